"""Which embedder the settings name: how it is made, and what takes its place where it cannot be."""

import asyncio
import random
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from .checkpoints import write_atomically
from .clock import Clock
from .embedding import (
    AskedEmbedder,
    Embedder,
    EmbedderUnreachable,
    HashingEmbedder,
    QuantizedEmbedder,
    SentenceEmbedder,
)
from .embedding.quantized import FOLDER, SHIPPED_INT8
from .embedding.sentence import SHIPPED
from .errors import BadSetting
from .llm.addresses import Origin
from .llm.aiohttp_transport import AiohttpTransport
from .llm.embeddings import OpenAIEmbeddings, sent, vectors
from .llm.endpoints import BASE_URLS
from .llm.measuring import Measured
from .llm.provider import ProviderFailed, Route
from .llm.resilience import Resilience
from .llm.transport import Exchanges
from .masking import without_secrets
from .settings import Settings
from .telemetry import Metrics

OPENAI, USUAL, HASHING = "openai", "text-embedding-3-small", "hashing"
DEADLINE_S = 3.0  # of one call with all its tries: a decision waits for it
GRACE_S = 1.0  # until the thread that waits for it gives up by itself
NAMED = (SHIPPED, SHIPPED_INT8, OPENAI, HASHING)
Make = Callable[[], Embedder]


def refuse_unusable(settings: Settings) -> None:
    """Raises BadSetting where the embedder is none there is, or nothing says where it is.

    A sentence-transformers model is told by the name of its organisation, or as a folder: anything else may be a typo.
    """
    named = settings.embedder
    said, is_openai = f"POINTSMAN_EMBEDDER={without_secrets(named)!r}", named.partition(":")[0] == OPENAI
    if is_openai and not (settings.openai_base_url or settings.openai_api_key):
        raise BadSetting(f"{said}: set POINTSMAN_OPENAI_API_KEY, or POINTSMAN_OPENAI_BASE_URL")
    if not (is_openai or named in NAMED or "/" in named or Path(named).is_dir()):
        close = get_close_matches(named.lower(), NAMED, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        known = f"{', '.join(NAMED)}, {OPENAI}:MODEL, a folder, and ORGANISATION/MODEL of sentence-transformers"
        raise BadSetting(f"{said}: there are {known}{hint}")


class Embedders:
    """Makes the embedder. One that is asked over the network has connections, a breaker and tries of its own.

    Raises:
      BadSetting: there is no such embedder, or nothing says where it is.
    """

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        refuse_unusable(settings)
        self._named, self._folder = settings.embedder, Path(settings.data_dir) / FOLDER
        provider, _, model = self._named.partition(":")
        self._exchanges: Exchanges | None = None
        if provider == OPENAI:
            self._ask_openai(settings, model or USUAL, clock, metrics)

    def _ask_openai(self, settings: Settings, model: str, clock: Clock, metrics: Metrics) -> None:
        url, key = settings.openai_base_url, settings.openai_api_key
        origin = Origin(url or BASE_URLS[OPENAI], keyed=bool(key))
        self._exchanges = Exchanges(AiohttpTransport(origin), clock)
        provider = Measured(OPENAI, OpenAIEmbeddings(OPENAI, self._exchanges, key), metrics, clock, {model})
        self._resilience = Resilience({OPENAI: provider}, clock, random.Random(settings.seed).random)
        self._route = Route(OPENAI, model)

    def ways(self) -> tuple[Make, Make | None]:
        """How it is made, and its equal where it cannot be; both block."""
        if self._exchanges is not None:
            name, loop = f"{OPENAI}:{self._route.model}", asyncio.get_running_loop()
            return partial(AskedEmbedder, name, self._ask, loop, DEADLINE_S + GRACE_S), None
        if self._named == SHIPPED_INT8:
            return partial(QuantizedEmbedder, self._folder, write_atomically), SentenceEmbedder
        return HashingEmbedder if self._named == HASHING else partial(SentenceEmbedder, self._named), None

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            reply = await self._resilience.complete([self._route], {"input": [*map(sent, texts)]}, DEADLINE_S)
        except ProviderFailed as failure:
            if failure.kind == "bad_request":  # one of the texts may be why
                raise
            raise EmbedderUnreachable(str(failure)) from failure
        return vectors(reply.body, len(texts))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._exchanges is not None:
            await self._exchanges.close()
