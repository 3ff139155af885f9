"""A broker's stream in memory, in the place of a NATS server: it acknowledges, loses acknowledgements, goes away."""

import asyncio
from collections import Counter
from typing import Any

import msgspec

from controlplane.jetstream import JetStream, NoBroker

from .store import WRITE_S, Faults


class Stream:
    """What outlives every replica: messages by id, each as it came first."""

    def __init__(self) -> None:
        self.messages: dict[str, tuple[str, bytes]] = {}  # subject and body
        self.came = Counter[str]()  # how often, by id
        self.wrong: list[str] = []
        self.away = False
        self._lines = set[asyncio.Event]()

    def switch(self, *, away: bool) -> None:
        """Where it goes, whoever is connected loses the connection."""
        self.away = away
        for lost in self._lines if away else ():
            lost.set()

    def connect(self) -> asyncio.Event:
        """A connection: rings when it is lost. Raises NoBroker."""
        if self.away:
            raise NoBroker("nobody is there")
        self._lines.add(lost := asyncio.Event())
        return lost

    def take(self, subject: str, body: bytes, message_id: str) -> bool:
        """Keep a message; whether it is none that was there."""
        self.came[message_id] += 1
        if self.messages.setdefault(message_id, (subject, body)) != (subject, body):
            self.wrong.append(f"the broker: {message_id} came as {body!r}, before as {self.messages[message_id]}")
        return self.came[message_id] == 1

    def said(self) -> list[tuple[str, Any]]:
        """Subject and content of each."""
        return [(subject, msgspec.json.decode(body)) for subject, body in self.messages.values()]


class SimulatedStream(JetStream):
    """One replica's connection to it."""

    def __init__(self, stream: Stream, faults: Faults) -> None:
        super().__init__("nats://simulated")
        self._stream, self._faults = stream, faults

    async def _hold(self) -> None:
        await self._pass()
        lost = self._stream.connect()
        self.trouble, self._warned = None, False
        await lost.wait()

    async def publish(self, subject: str, body: bytes, message_id: str) -> bool:
        if self.trouble is not None:
            raise NoBroker(self.trouble)
        await self._pass()
        self._perhaps("it did not come")
        new = self._stream.take(subject, body, message_id)
        await self._pass()
        self._perhaps("the acknowledgement did not come")
        return new

    def _perhaps(self, why: str) -> None:
        if self._stream.away or self._faults.rng.random() < self._faults.share:
            raise NoBroker(why)

    async def _pass(self) -> None:
        await asyncio.sleep(self._faults.rng.choice(WRITE_S))
