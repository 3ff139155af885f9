"""What a NATS server holds of the broker's stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from controlplane.jetstream import STREAM


class Stored(NamedTuple):
    """A message: where it went, under which id, and what it says."""

    subject: str
    id: str
    said: Any


@contextlib.asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(url, allow_reconnect=False)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def stored(url: str) -> list[Stored]:
    """Everything in the stream, the oldest first; nothing where there is no stream."""
    async with jetstream(url) as stream:
        try:
            state = (await stream.stream_info(STREAM)).state
        except NotFoundError:
            return []
        numbers = range(state.first_seq, state.last_seq + 1)
        messages = [await stream.get_msg(STREAM, number) for number in numbers]
    return [
        Stored(m.subject or "", (m.headers or {})["Nats-Msg-Id"], msgspec.json.decode(m.data or b"")) for m in messages
    ]


def stored_now(url: str) -> list[Stored]:
    """The same where no loop runs."""
    return asyncio.run(stored(url))
