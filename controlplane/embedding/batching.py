"""One worker thread embeds for everybody: requests that wait together go as one batch, texts are cached.

Tokenizers are not safe under threads, so nothing else may call the embedder. The model loads in the
same thread; when it cannot, another takes over, loudly.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec
import structlog
from cachetools import LRUCache

from .hashing import HashingEmbedder
from .port import Embedder, EmbedderUnreachable, EmbeddingUnavailable, Vector
from .vector_cache import VectorCache

log = structlog.get_logger()
BATCH = 64
CACHED_TEXTS = 20_000


class EmbedderState(msgspec.Struct, frozen=True, kw_only=True):
    """What /status says of the embedder."""

    status: Literal["loading", "ready", "fallback"]
    name: str | None
    reason: str | None = None
    load_s: float | None = None


class BatchingEmbedder:
    """Asynchronous face of an embedder that is made, and called, in a thread of its own."""

    def __init__(self, kept: VectorCache | None = None) -> None:
        """`kept` is asked before the embedder is."""
        self.state = EmbedderState(status="loading", name=None)
        self._embedder: Embedder | None = None
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._cache: LRUCache[str, Vector] = LRUCache(CACHED_TEXTS)
        self._waiting: dict[str, asyncio.Future[Vector]] = {}
        self._batch: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()

    @property
    def name(self) -> str:
        """Of the embedder in use; vectors of different names cannot be compared."""
        return self._embedder.name if self._embedder else ""

    @property
    def dimension(self) -> int:
        return self._embedder.dimension if self._embedder else 0

    async def load(self, make: Callable[[], Embedder], instead: Callable[[], Embedder] | None = None) -> None:
        """Make the embedder in its thread; where that fails its equal `instead`, and hashing where there is none."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        status: Literal["ready", "fallback"] = "ready"
        made, reason = await self._made(make)
        if made is None and instead is not None:
            log.warning("embedder_replaced", reason=reason)
            made, also = await self._made(instead)
            reason = reason if also is None else f"{reason}; {also}"
        if made is None:
            status, made = "fallback", HashingEmbedder()
            log.error("embedding_model_failed", reason=reason, fallback=made.name)
        self._embedder = made
        self.state = EmbedderState(status=status, name=made.name, reason=reason, load_s=round(loop.time() - begun, 2))
        self._loaded.set()

    async def _made(self, make: Callable[[], Embedder]) -> tuple[Embedder | None, str | None]:
        """An embedder, or why there is none."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, make), None
        except Exception as error:  # whatever a model library raises: the service goes on without it, and says so
            return None, f"{type(error).__name__}: {error}"

    async def loaded(self) -> None:
        """Wait until there is an embedder."""
        await self._loaded.wait()

    def cached(self, text: str) -> Vector | None:
        return self._cache.get(text)

    async def embed(self, text: str) -> Vector:
        """The text's unit vector [D].

        Raises:
          EmbeddingUnavailable: the model is still loading, or it failed on this text.
        """
        if self._embedder is None:
            raise EmbeddingUnavailable("the embedding model is still loading")
        if (known := self._cache.get(text)) is not None:
            return known
        future = self._waiting.get(text)
        if future is None:
            future = self._waiting[text] = asyncio.get_running_loop().create_future()
            if self._batch is None or self._batch.done():
                self._batch = asyncio.create_task(self._run_batches(self._embedder), name="embedding")
        return await asyncio.shield(future)

    async def embed_many(self, texts: Sequence[str]) -> list[Vector | None]:
        """Vectors of many texts; None for one that cannot be embedded.

        Raises:
          EmbedderUnreachable: none can, for now.
        """

        async def vector(text: str) -> Vector | None:
            try:
                return await self.embed(text)
            except EmbedderUnreachable:
                raise
            except EmbeddingUnavailable:
                return None

        return list(await asyncio.gather(*(vector(text) for text in texts)))

    async def _run_batches(self, embedder: Embedder) -> None:
        while self._waiting:
            texts = list(self._waiting)[:BATCH]
            if self._kept is None:
                await self._resolve_made(embedder, texts)
            else:
                await self._resolve_kept(self._kept, embedder, texts)

    async def _resolve_made(self, embedder: Embedder, texts: list[str]) -> dict[str, Vector]:
        """Embed texts; the vectors of those that could be."""
        made = dict(zip(texts, await self._vectors(embedder, texts), strict=True))
        for text, vector in made.items():
            self._resolve(text, vector)
        return {text: vector for text, vector in made.items() if not isinstance(vector, EmbeddingUnavailable)}

    async def _resolve_kept(self, kept: VectorCache, embedder: Embedder, texts: list[str]) -> None:
        """Embed only what is not kept, and keep it."""
        found = dict(zip(texts, await kept.get(embedder, texts), strict=True))
        for text, vector in found.items():
            if vector is not None:
                self._resolve(text, vector)
        if missing := [text for text, vector in found.items() if vector is None]:
            await kept.put(embedder, await self._resolve_made(embedder, missing))

    async def _vectors(self, embedder: Embedder, texts: list[str]) -> Sequence[Vector | EmbeddingUnavailable]:
        """A vector per text; a text the model fails on gets none and spoils no other."""
        try:
            return list(await asyncio.get_running_loop().run_in_executor(self._thread, embedder.embed, texts))
        except EmbedderUnreachable as unreachable:
            log.warning("embedder_unreachable", error=str(unreachable))
            return [EmbedderUnreachable(str(unreachable)) for _ in texts]
        except Exception as error:  # whatever a model library raises belongs to one of these texts
            if len(texts) > 1:
                return [vector for text in texts for vector in await self._vectors(embedder, [text])]
            log.error("embedding_failed", length=len(texts[0]), error=f"{type(error).__name__}: {error}")
            return [EmbeddingUnavailable("the embedding model failed on this text")]

    def _resolve(self, text: str, vector: Vector | EmbeddingUnavailable) -> None:
        future = self._waiting.pop(text)
        if isinstance(vector, EmbeddingUnavailable):
            if not future.done():
                future.set_exception(vector)
                future.exception()  # whoever waited was told; nobody waiting is no reason to warn
            return
        self._cache[text] = vector
        if not future.done():
            future.set_result(vector)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
