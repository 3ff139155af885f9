"""Completions that are kept: whoever asks the same again, in a way that asks for the same answer, is told it for free.

Asked for the same answer is who sets the temperature to 0 or gives a seed. Long chats are not kept: no two are alike.
Calls that are under way at once are one (single flight).
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from ..cache import Cache
from ..telemetry import Metrics
from .provider import Json, Reply

MOST_BYTES, TTL_S = 64 * 1024 * 1024, 3600.0
LONGEST = 8  # messages of a chat that is kept
WHOLE = ("stop", "tool_calls")  # how answers end that were not broken off
UNSAID = ("model", "user", "metadata", "stream", "stream_options", "store")  # fields that change no answer

_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Reply)


class Completion(NamedTuple):
    """An answer; `kept` says that it was there, or on its way, and cost nothing."""

    reply: Reply
    kept: bool


class Completions:
    """Completions over a cache, and the calls that are under way for it."""

    def __init__(self, cache: Cache, metrics: Metrics) -> None:
        self._cache, self._metrics = cache, metrics
        self._flights: dict[bytes, asyncio.Future[Reply]] = {}

    @property
    def size(self) -> int:
        return self._cache.size

    async def once(self, key: bytes | None, call: Callable[[], Awaitable[Reply]]) -> Completion:
        """The answer that is kept under the key, or that of the call; without a key the call's, which is not kept.

        Raises:
          ProviderFailed: the call failed, this one or the one under way that was waited for.
        """
        if key is None:
            return Completion(await call(), kept=False)
        if (found := _reply(await self._cache.get(key))) is not None:
            self._metrics.completion_hits.inc()
            return Completion(found, kept=True)
        if (flight := self._flights.get(key)) is not None:
            self._metrics.completion_hits.inc()
            return Completion(await asyncio.shield(flight), kept=True)
        self._metrics.completion_misses.inc()
        return Completion(await self._flown(key, call), kept=False)

    async def _flown(self, key: bytes, call: Callable[[], Awaitable[Reply]]) -> Reply:
        flight: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        try:
            reply = await call()
            if reply.finish_reason in WHOLE:
                await self._cache.put(key, _encoder.encode(reply))
            flight.set_result(reply)
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # that nobody waits for it is no reason to warn
            raise
        finally:
            del self._flights[key]
        return reply


def _reply(kept: bytes | None) -> Reply | None:
    """What was kept; None where nothing was, or another version kept it in another form."""
    try:
        return None if kept is None else _decoder.decode(kept)
    except msgspec.MsgspecError:
        return None


def key_of(tenant: str, model: str, body: Json) -> bytes | None:
    """What a call's answer is kept under: of its tenant, its model and all that can change it; None: it is not kept.

    >>> key_of("t", "m", {"messages": [], "temperature": 0}) == key_of("t", "m", {"messages": [], "temperature": 0.0})
    True
    >>> key_of("t", "m", {"messages": [], "temperature": 0.5})
    """
    repeatable = body.get("temperature") == 0 or body.get("seed") is not None
    if not repeatable or body.get("stream") or len(body["messages"]) > LONGEST:
        return None
    said = {name: value for name, value in body.items() if name not in UNSAID}
    if "temperature" in said:
        said["temperature"] = float(said["temperature"] or 0)
    return blake2b(msgspec.json.encode([tenant, model, said], order="sorted"), digest_size=32).digest()
