"""Vectors on a server beside the process: what is folded here is written there, off the path of requests.

An index knows the ids that are in use, and keeps the vectors that are not written yet: what was added is found at once,
what was removed is not found however late the server hears of it, and what other replicas know and this one does not
is not found either.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

import structlog
from cachetools import LRUCache

from ..embedding import Vector
from ..failpoints import failpoint
from .exact import ExactIndex, nearest_first
from .index import Fold, Keep, VectorsUnavailable

log = structlog.get_logger()
TICK_S = 1.0
BATCH = 1_000  # changes that are written together
ROOM = 4 * BATCH  # changes that wait, beyond which a start reads no more of the past
WIDENING = 4  # times as many are asked for, while what is not in use here leaves too few
READ = 10_000  # most vectors that are kept of those that were read
T = TypeVar("T")


class Place(NamedTuple):
    """What an index is of: nothing is found across two."""

    tenant: str
    namespace: str
    kind: str


class Change(NamedTuple):
    """What an event made of an id: its vector, or None where it is taken out."""

    place: Place
    key: int
    seq: int
    vector: Vector | None


class VectorServer(Protocol):
    """Where the vectors are. All of it raises VectorsUnavailable, after a deadline, when there is no answer."""

    async def begin(self, embedder: str) -> int:
        """Open what this embedder's vectors are in, or begin it; every event up to the number returned is in it."""
        ...

    async def write(self, changes: Sequence[Change], position: int) -> int:
        """Follow changes, once each however often they come, and give their number.

        With them it has every event up to `position`.
        """
        ...

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[tuple[int, Vector]]:
        """The k nearest, or all there are, as id and vector: the nearest first."""
        ...

    async def vectors(self, place: Place, keys: Sequence[int]) -> dict[int, Vector]:
        """Of those that are there."""
        ...

    async def held(self, tenant: str, position: int) -> dict[Place, list[int]]:
        """The ids of a tenant's vectors that follow from events before a number."""
        ...

    async def build(self, sizes: Mapping[Place, int], *, filled: bool) -> None:
        """Build what large places need; once everything is written, let it serve. May take long."""
        ...

    async def renew(self) -> int:
        """Begin anew what serves: the next start fills it. How many embedders' vectors those are."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class HostedVectors:
    """The indexes of all spaces, and what of them is to be written yet."""

    def __init__(self, server: VectorServer) -> None:
        self._server = server
        self._fold: Fold | None = None  # until it is followed
        self._indexes: dict[Place, HostedIndex] = {}
        self._waiting: dict[tuple[Place, int], Change] = {}  # by age
        self._written = 0  # of the past, every event up to here is on the server
        self._compared = False
        self.trouble: str | None = None
        self.read: LRUCache[tuple[Place, int], Vector] = LRUCache(READ)

    def index(self, tenant: str, namespace: str, kind: str, dimension: int) -> "HostedIndex":
        """The one of a place; it was not asked for before."""
        place = Place(tenant, namespace, kind)
        self._indexes[place] = made = HostedIndex(place, self, dimension)
        return made

    def follow(self, fold: Fold) -> None:
        self._fold = fold

    async def begin(self, embedder: str) -> None:
        """Wait until there is a server to write to."""
        while True:  # as long as it takes
            found = await self._tried(partial(self._server.begin, embedder))
            if found is not None:
                break
            await asyncio.sleep(TICK_S)
        self._written = found

    async def page_added(self) -> None:
        """Write, until little waits."""
        while len(self._waiting) > ROOM:
            if not await self._write():
                await asyncio.sleep(TICK_S)

    @property
    def waiting(self) -> int:
        """Changes that are not on the server yet."""
        return len(self._waiting)

    def changed(self, place: Place, key: int, vector: Vector | None) -> bool:
        """A change is to be written, unless it was before."""
        assert self._fold is not None
        seq = self._fold.position
        if seq <= self._written and not self._fold.live:
            return False
        self._waiting.pop((place, key), None)
        self._waiting[place, key] = Change(place, key, seq, vector)
        return True

    async def ask(self, work: Callable[[VectorServer], Awaitable[T]]) -> T:
        """What the server answers.

        Raises:
          VectorsUnavailable: it does not, or did not a moment ago.
        """
        if self.trouble is not None:
            raise VectorsUnavailable
        try:
            return await work(self._server)
        except VectorsUnavailable as error:
            self._failed(error)
            raise VectorsUnavailable from error

    async def run(self) -> None:
        """Write what waits and build what is large, for ever; each survives a server that is away."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._writing())
            loops.create_task(self._building())

    async def _writing(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._waiting:
                await self.flush()
            elif self.trouble is not None:
                await self._tried(partial(self._server.write, (), 0))  # is it back?

    async def _building(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._fold is not None and self._fold.live:
                if self._fold.complete and not self._compared:
                    self._compared = await self.compare()
                await self.build()

    async def compare(self) -> bool:
        """What is there and not in use is to be deleted; whether that was seen.

        A process that died after a purge, and before it was heard of there, left it: no event tells of it any more.
        """
        assert self._fold is not None
        position = self._fold.position
        for tenant in tuple(self._fold.tenants):
            held = await self._tried(partial(self._server.held, tenant, position))
            if held is None:
                return False
            for place, keys in held.items():
                known = self._indexes.get(place) or frozenset[int]()
                gone = ((place, key) for key in keys if key not in known and (place, key) not in self._waiting)
                self._waiting.update({(place, key): Change(place, key, position, None) for place, key in gone})
        return True

    async def build(self) -> None:
        """Have built what large indexes need; what was filled serves then, once everything is in it."""
        assert self._fold is not None
        sizes = {place: len(index) for place, index in self._indexes.items()}
        await self._tried(partial(self._server.build, sizes, filled=self._fold.complete and not self._waiting))

    async def flush(self) -> None:
        """Write what waits now, as far as the server takes it."""
        left = self.waiting
        while left > 0 and await self._write():
            left -= BATCH

    async def _write(self) -> bool:
        """Whether a batch of what waits is on the server now."""
        if not (changes := list(islice(self._waiting.values(), BATCH + 1))):
            return True
        batch, later = changes[:BATCH], changes[BATCH:]
        position = later[0].seq - 1 if later else batch[-1].seq  # one event may have made what is left, too
        if await self._tried(partial(self._server.write, batch, position)) is None:
            return False
        failpoint("vectors.written")
        for change in batch:
            if self._waiting.get((change.place, change.key)) is change:
                del self._waiting[change.place, change.key]
                if (index := self._indexes.get(change.place)) is not None:
                    index.written(change.key)
        return True

    async def _tried(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What it gives, or None where the server does not answer."""
        try:
            done = await work()
        except VectorsUnavailable as error:
            self._failed(error)
            return None
        if self.trouble is not None:
            self.trouble = None
            log.info("vectors_back", waiting=self.waiting)
        return done

    def _failed(self, error: VectorsUnavailable) -> None:
        if self.trouble is None:
            log.warning("vectors_unavailable", why=str(error), waiting=self.waiting)
        self.trouble = str(error)

    async def close(self) -> None:
        """Let go of the server. What waits stands in the journal; the next start writes it."""
        await self._server.close()


class HostedIndex:
    """The vectors of one place."""

    def __init__(self, place: Place, hosted: HostedVectors, dimension: int) -> None:
        self.place, self._hosted = place, hosted
        self._known = set[int]()
        self._fresh = ExactIndex(dimension)  # what is not on the server yet

    def add(self, key: int, vector: Vector) -> None:
        self._known.add(key)
        if self._hosted.changed(self.place, key, vector) and key not in self._fresh:
            self._fresh.add(key, vector)

    def remove(self, key: int) -> Vector | None:
        if key not in self._known:
            return None
        self._known.remove(key)
        vector = self._fresh.several([key]).get(key)
        self._fresh.remove(key)
        self._hosted.changed(self.place, key, None)
        return vector

    def written(self, key: int) -> None:
        """The server has it as it is here."""
        self._fresh.remove(key)

    async def search(self, vector: Vector, k: int) -> list[tuple[int, float]]:
        return await self.search_among(vector, k, lambda key: True)

    async def search_among(self, vector: Vector, k: int, keep: Keep) -> list[tuple[int, float]]:
        found = dict(self._fresh.search_among(vector, k, keep))  # now: it may be written while the server is asked
        found |= await self._on_server(vector, k, keep)
        return sorted(((key, near) for key, near in found.items() if key in self._known), key=nearest_first)[:k]

    async def _on_server(self, vector: Vector, k: int, keep: Keep) -> dict[int, float]:
        """The k nearest of what is in use here: of ever more that is there, while it leaves too few."""
        asked = k
        while k > 0 and len(self._known) > len(self._fresh):
            place, most = self.place, asked
            near = await self._hosted.ask(lambda server: server.nearest(place, vector, most))  # noqa: B023  # awaited
            self._hosted.read.update({(place, key): held for key, held in near})
            found = {key: float(held @ vector) for key, held in near if key in self._known and keep(key)}
            if len(found) >= k or len(near) < asked:
                return found
            asked *= WIDENING
        return {}

    async def vectors(self, keys: Iterable[int]) -> dict[int, Vector]:
        wanted = [key for key in keys if key in self._known]
        held, read = self._fresh.several(wanted), self._hosted.read
        held |= {key: vector for key in wanted if (vector := read.get((self.place, key))) is not None}
        if missing := [key for key in wanted if key not in held]:
            found = await self._hosted.ask(lambda server: server.vectors(self.place, missing))
            read.update({(self.place, key): vector for key, vector in found.items()})
            held |= found
        return {key: held[key] for key in wanted if key in held and key in self._known}

    async def maintain(self) -> None:
        """The server is kept by a loop of its own."""

    def build_anew(self) -> None:
        """What is removed is deleted there."""

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: int) -> bool:
        return key in self._known
