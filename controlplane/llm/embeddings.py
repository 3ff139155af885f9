"""Embeddings as OpenAI gives them: texts in, a vector for each of them out, in one call."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .completions import decoded, garbled
from .provider import Call, Json, Reply, named
from .transport import PLAIN, Exchanges, Request
from .usage import openai_usage

MOST_TEXT_BYTES = 8_000  # a token is a byte at least, and no more than 8,191 of them are taken


class _Embedding(msgspec.Struct):
    index: Annotated[int, Meta(ge=0)]
    embedding: Annotated[list[float], Meta(min_length=1)]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]


class OpenAIEmbeddings:
    """One provider's embeddings; a call's body holds the texts as `input`."""

    def __init__(self, name: str, exchanges: Exchanges, key: str | None) -> None:
        self.name, self._exchanges = name, exchanges
        self._headers = {**PLAIN, **({"Authorization": f"Bearer {key}"} if key else {})}

    async def complete(self, call: Call) -> Reply:
        """The answer.

        Raises:
          ProviderFailed: there is none, or not a vector of each text.
        """
        with named(self.name):
            body = msgspec.json.encode({**call.body, "model": call.model, "encoding_format": "float"})
            request = Request(path="/embeddings", body=body, headers=self._headers)
            answer = decoded(await (await self._exchanges.open(request, call.deadline_s)).whole())
            vectors(answer, len(call.body["input"]))
            used: Any = answer.get("usage")
            usage = openai_usage({"completion_tokens": 0, **used}) if isinstance(used, dict) else None
            return Reply(body=answer, usage=usage, finish_reason="stop", provider=self.name, model=call.model)

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        """The same: vectors come at once."""
        yield await self.complete(call)


def sent(text: str) -> str:
    """A text as it is sent: never empty, and no longer than any model reads."""
    return text.encode()[:MOST_TEXT_BYTES].decode(errors="ignore") or " "


def vectors(answer: Json, count: int) -> list[list[float]]:
    """The vectors of an answer, in the order of the texts, all of one length.

    Raises:
      ProviderFailed: it has not one of each text.
    """
    try:
        data = msgspec.convert(answer, _Embeddings).data
    except msgspec.ValidationError as error:
        raise garbled() from error
    placed = {item.index: item.embedding for item in data}
    if placed.keys() != set(range(count)) or len({len(vector) for vector in placed.values()}) != 1:
        raise garbled()
    return [placed[place] for place in range(count)]
