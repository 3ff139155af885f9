"""The servers that replicas share beside their database - Redis, vectors, a broker - which go away and come back."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from auditor.events import AnyEvent, Captured, EpisodeDeleted, JobAdded, JobEnded
from controlplane.broker import WORK, subject
from controlplane.memory.hosted import HostedIndex, Place
from controlplane.parts import Ways
from controlplane.service import Service

from .broker import SimulatedStream, Stream
from .operations import canary
from .redis_server import SimulatedLink, SimulatedRedis
from .store import Faults
from .vector_server import Generations, SimulatedVectors

# Settings that name them. Nobody is asked there: `Engines.ways` lead to those in memory.
SETTINGS: dict[str, Any] = {
    "redis_url": "redis://simulated",
    "vectors": "pgvector",
    "vectors_url": "postgresql://simulated/vectors",
    "broker_url": "nats://simulated",
}
LEFT_OUT = {
    **dict.fromkeys(("psi_url", "router_url"), "asked with a deadline for what decisions go on without"),
    **dict.fromkeys(
        ("openai_base_url", "anthropic_base_url", "openrouter_base_url"),
        "a provider answers inside the process; what comes over sockets is tests/providers/",
    ),
    "pinecone_host": "the same port as pgvector's, which is simulated",
}
BETWEEN_S, AWAY_S = (0.1, 1.0), (0.0, 2.0)
HOW = ("redis killed", "redis paused", "redis slow", "redis flushed", "vectors away", "vectors renewed", "broker away")


class Engines:
    """All of them, and what is wrong with what they hold."""

    def __init__(self, now: Callable[[], float], rng: random.Random, faults: Faults) -> None:
        self.redis, self.generations, self.stream = SimulatedRedis(now, rng), Generations(), Stream()
        self._rng, self._faults = rng, faults

    def ways(self) -> Ways:
        """One replica's."""
        return Ways(
            redis=partial(SimulatedLink, self.redis),
            vectors=SimulatedVectors(self.generations, self._faults),
            broker=SimulatedStream(self.stream, self._faults),
        )

    async def trouble(self, happened: Counter[str]) -> None:
        """One goes away at a time and comes back, for ever."""
        while True:
            for how in self._rng.sample(HOW, len(HOW)):
                await asyncio.sleep(self._rng.uniform(*BETWEEN_S))
                happened[how] += 1
                await self._befall(how)

    async def _befall(self, how: str) -> None:
        match how:
            case "redis killed":
                self.redis.kill()
            case "redis paused":
                self.redis.pause()
            case "redis slow":
                self.redis.slow = True
            case "redis flushed":
                self.redis.flush()
            case "vectors renewed":
                self.generations.renew()
        self.generations.away = how == "vectors away"
        self.stream.switch(away=how == "broker away")
        await asyncio.sleep(self._rng.uniform(*AWAY_S))
        self.over()

    def over(self) -> None:
        """They are all there again."""
        self.redis.start()
        self.redis.go_on()
        self.redis.slow = self.generations.away = False
        self.stream.switch(away=False)

    def wrong(self, services: Iterable[Service], events: list[tuple[int, AnyEvent]]) -> list[str]:
        """Once everything is quiet."""
        found = [problem for service in services for problem in self._of(service)]
        return found + self._published(events) + self._written()

    def _of(self, service: Service) -> list[str]:
        """A replica uses all of them, and its indexes are what the server of vectors holds."""
        redis, broker, vectors = service.redis, service.broker, service.memory.vectors
        assert redis is not None
        assert broker is not None
        troubles = [redis.trouble, broker.stream.trouble, getattr(vectors, "trouble", None)]
        found = [f"a replica does without: {troubles}"] if any(troubles) else []
        known = {place: index for place, index in _indexes(service).items() if len(index)}
        held = self.generations.serving
        places = {place for (place, _), (_, vector) in held.rows.items() if vector is not None}
        return found + [
            f"the vectors of {place}: {sorted(set(held.held(place)) ^ _keys(known.get(place)))} are there or are not"
            for place in sorted(places | known.keys())
            if set(held.held(place)) != _keys(known.get(place))
        ]

    def _published(self, events: list[tuple[int, AnyEvent]]) -> list[str]:
        """What happened is told at least once, under one id, to nobody but whose it is; what is owed is done.

        Of a capture that was purged before whoever leads wrote it down, the purge alone is told.
        """
        said = self.stream.said()
        told = Counter((message["tenant"], message["event"], message["kind"]) for _, message in said)
        owed = [(event.tenant, f"{seq}.0", kind) for seq, event in events if (kind := _news(event)) is not None]
        jobs = {event.job_id: event.about for _, event in events if isinstance(event, JobAdded) and event.work == WORK}
        done = {event.job_id for _, event in events if isinstance(event, JobEnded) and event.given_up is None}
        return [
            *self.stream.wrong,
            *[f"the broker was not told of {what}" for what in owed if what not in told],
            *[f"{what} has more than one id" for what, ids in told.items() if ids > 1],
            *[f"the job {job_id} about {about} is not done" for job_id, about in jobs.items() if job_id not in done],
            *[f"{m} is published under {at}" for at, m in said if at != subject(m["tenant"], m["kind"])],
        ]

    def _written(self) -> list[str]:
        """No text stands in a message or a key, nor in a value where nobody may read it."""
        everywhere = [*self.stream.said(), *self.redis.values.items(), *self.redis.living.items()]
        return [f"a text is written down: {one}" for one in map(str, everywhere) if canary("") in one]


def _news(event: AnyEvent) -> str | None:
    """What the broker is to be told of an event, whatever else follows from it."""
    return "captured" if isinstance(event, Captured) else "purged" if isinstance(event, EpisodeDeleted) else None


def _indexes(service: Service) -> dict[Place, HostedIndex]:
    indexes: dict[Place, HostedIndex] = service.memory.vectors._indexes  # type: ignore[attr-defined]
    return indexes


def _keys(index: HostedIndex | None) -> set[int]:
    return set() if index is None else index._known
