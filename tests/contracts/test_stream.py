"""A broker's stream, of a NATS server and of the simulation: it has each message once, and nobody publishes to none."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.services import Nats, running
from controlplane.jetstream import JetStream, NoBroker

from ..integration.cancelling import until
from ..simulation.broker import SimulatedStream, Stream
from ..simulation.store import Faults
from ..streams import stored

SUBJECT, BODY = "pointsman.acme.captured", b'{"said": 1}'


class Held(NamedTuple):
    """A connection that is held, and the stream behind it."""

    stream: JetStream
    ids: Callable[[], Awaitable[list[str]]]  # of all messages, the oldest first
    go_away: Callable[[], None]
    come_back: Callable[[], object]


def _simulated() -> Held:
    behind, faults = Stream(), Faults(random.Random(1), share=0.0, slowest_s=0.0)

    async def ids() -> list[str]:
        return list(behind.messages)

    return Held(
        SimulatedStream(behind, faults), ids, lambda: behind.switch(away=True), lambda: behind.switch(away=False)
    )


def _of(nats: Nats) -> Held:
    async def ids() -> list[str]:
        return [message.id for message in await stored(nats.url)]

    return Held(JetStream(nats.url), ids, nats.kill, nats.start)


@pytest.fixture(params=["simulated", "nats"])
async def held(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Held]:
    """Connected to an empty stream."""
    with ExitStack() as ending:
        made = _simulated() if request.param == "simulated" else _of(ending.enter_context(running(Nats, tmp_path)))
        holding = asyncio.create_task(made.stream.run())
        await until(lambda: made.stream.trouble is None)
        yield made
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def test_a_message_that_comes_again_is_kept_once_and_said_to_have_been_there(held: Held) -> None:
    said = [await held.stream.publish(SUBJECT, BODY, name) for name in ("a", "b", "a", "a", "c")]
    assert said == [True, True, False, False, True]
    assert await held.ids() == ["a", "b", "c"]


async def test_nobody_publishes_to_a_stream_that_is_away_and_what_it_has_it_keeps(held: Held) -> None:
    assert await held.stream.publish(SUBJECT, BODY, "a")
    held.go_away()
    with pytest.raises(NoBroker):
        await held.stream.publish(SUBJECT, BODY, "b")
    await until(lambda: held.stream.trouble is not None)
    with pytest.raises(NoBroker):
        await held.stream.publish(SUBJECT, BODY, "b")
    held.come_back()
    await until(lambda: held.stream.trouble is None)
    said = [await held.stream.publish(SUBJECT, BODY, name) for name in ("a", "b")]
    assert said == [False, True]
    assert await held.ids() == ["a", "b"]
