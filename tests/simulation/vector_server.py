"""A server of vectors that replicas share, in memory: what `PgVectors` does in a database, and how it goes away.

It passes the contract suite of vector indexes as the real ones do. Answers are lost before and after their effect.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from controlplane.embedding import Vector
from controlplane.memory.hosted import Change, Place
from controlplane.memory.index import VectorsUnavailable

from .store import READ_S, WRITE_S, Faults

Row = tuple[int, Vector | None]  # the event it follows from; None: taken out


class Generation:
    """What one embedder's vectors are, whole."""

    def __init__(self, number: int, embedder: str) -> None:
        self.number, self.embedder = number, embedder
        self.position = 0
        self.serving = self.retired = False
        self.rows: dict[tuple[Place, int], Row] = {}

    def write(self, change: Change) -> None:
        """A row never follows an older event, and an id has one vector for ever."""
        seq, vector = self.rows.get((change.place, change.key), (0, None))
        if seq < change.seq:
            kept = None if change.vector is None else change.vector if vector is None else vector
            self.rows[change.place, change.key] = change.seq, kept

    def held(self, place: Place) -> dict[int, Vector]:
        return {key: vector for (at, key), (_, vector) in self.rows.items() if at == place and vector is not None}


class Generations:
    """What outlives every replica."""

    def __init__(self) -> None:
        self.all: list[Generation] = []
        self.away = False

    def begin(self, embedder: str) -> Generation:
        self.all.append(Generation(len(self.all) + 1, embedder))
        return self.all[-1]

    def renew(self) -> None:
        """As `pointsman rebuild`: another one beside each that is in use."""
        for embedder in sorted({one.embedder for one in self.all if not one.retired}):
            self.begin(embedder)

    @property
    def serving(self) -> Generation:
        return next(one for one in reversed(self.all) if one.serving and not one.retired)


class SimulatedVectors:
    """One replica's way there."""

    def __init__(self, generations: Generations, faults: Faults) -> None:
        self._generations, self._faults = generations, faults
        self._embedder, self._reading = "", 0
        self._covered: list[int] = []

    @asynccontextmanager
    async def _reached(self, draws: Sequence[float]) -> AsyncIterator[None]:
        """Time passes, what is done has its effect at once, and the answer may be lost."""
        rng = self._faults.rng
        await asyncio.sleep(min(rng.choice(draws), self._faults.slowest_s))
        if self._generations.away or rng.random() < self._faults.share:
            raise VectorsUnavailable("before it was asked")
        yield
        await asyncio.sleep(min(rng.choice(draws), self._faults.slowest_s))
        if rng.random() < self._faults.share:
            raise VectorsUnavailable("after it was done")

    async def begin(self, embedder: str) -> int:
        self._embedder = embedder
        async with self._reached(WRITE_S):
            found = self._followed() or self._brought_back() or [self._generations.begin(embedder)]
            self._follow(found)
            self._covered = [one.number for one in found]
        return min(one.position for one in found)

    def _followed(self) -> list[Generation]:
        """Those to write to."""
        of = (one for one in self._generations.all if one.embedder == self._embedder)
        return [one for one in of if not one.retired or one.number == self._reading]

    def _brought_back(self) -> list[Generation]:
        of = [one for one in self._generations.all if one.embedder == self._embedder][-1:]
        for one in of:
            one.retired = False
        return of

    def _follow(self, found: Sequence[Generation]) -> None:
        if not found:
            raise VectorsUnavailable("there is nothing to follow")
        serving = [one.number for one in found if one.serving]
        self._reading = max(serving or [one.number for one in found])

    async def write(self, changes: Sequence[Change], position: int) -> int:
        async with self._reached(WRITE_S):
            self._follow(found := self._followed())
            for one in found:
                for change in changes:
                    one.write(change)
                if one.number in self._covered:
                    one.position = max(one.position, position)
        return len(changes)

    def _searched(self) -> Generation:
        return self._generations.all[self._reading - 1]

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[tuple[int, Vector]]:
        async with self._reached(READ_S):
            held = self._searched().held(place)
        return sorted(held.items(), key=lambda row: (-float(row[1] @ vector), row[0]))[:k]

    async def vectors(self, place: Place, keys: Sequence[int]) -> dict[int, Vector]:
        async with self._reached(READ_S):
            held = self._searched().held(place)
        return {key: held[key] for key in keys if key in held}

    async def held(self, tenant: str, position: int) -> dict[Place, list[int]]:
        found: dict[Place, list[int]] = {}
        async with self._reached(READ_S):
            rows = [item for number in self._covered for item in self._generations.all[number - 1].rows.items()]
        for place, key in {at for at, (seq, vector) in rows if vector is not None and seq < position}:
            if place.tenant == tenant:
                found.setdefault(place, []).append(key)
        return {place: sorted(keys) for place, keys in sorted(found.items())}

    async def build(self, sizes: Mapping[Place, int], *, filled: bool) -> None:
        async with self._reached(WRITE_S):
            self._follow(found := self._followed())
            for one in found if filled else ():
                if not one.serving and one.number in self._covered:
                    one.serving, self._reading = True, one.number
                    for older in self._generations.all[: one.number - 1]:
                        older.retired = True

    async def renew(self) -> int:
        async with self._reached(WRITE_S):
            self._generations.renew()
        return len(self._generations.all)

    async def close(self) -> None:
        """Nothing to let go of."""
