"""Searches a vector index while it changes and is built anew: `python -m tests.contracts.hammer ROUNDS SEED [URL]`.

The URL is of a database with pgvector, or of a server that speaks as Pinecone does.

A process of its own, so that a crash in the library is seen as one. Prints what it saw as JSON.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable

import msgspec
import numpy as np

from controlplane.memory.hosted import HostedVectors
from controlplane.memory.index import Index
from controlplane.memory.pgvector import PgVectors
from controlplane.memory.pinecone import PineconeVectors
from controlplane.memory.vectors import VectorIndex

from .pinecone_server import KEY
from .test_vector_index import DIMENSION, unit
from .vector_servers import hosted_by

SWITCH_POINT, LARGEST, K = 400, 1_500, 10


class Seen(msgspec.Struct):
    """What the searches found."""

    searches: Counter[str] = msgspec.field(default_factory=Counter)  # by the kind of index that answered
    during_builds: int = 0
    builds: int = 0
    found: int = 0  # of the k nearest, over all searches
    wanted: int = 0


class Hammer:
    """An index, and what is in it."""

    def __init__(self, rounds: int, seed: int, hosted: HostedVectors | None = None) -> None:
        self._hosted = hosted
        self._rng = np.random.default_rng(seed)
        self._vectors = unit(40 * rounds, seed)
        self._queries = unit(200, seed + 1)
        self._index: Index = VectorIndex(DIMENSION, switch_point=SWITCH_POINT)
        if hosted is not None:
            self._index = hosted.index("acme", "", "given", DIMENSION)
        self._held: dict[int, None] = {}
        self._new, self._growing = 0, True
        self._building = False
        self.seen = Seen()

    async def run(self, rounds: int) -> Seen:
        """Change and search in turn, while a task of its own builds what the index wants."""
        maintaining = asyncio.create_task(self._maintain())
        for _ in range(rounds):
            self._change()
            for _ in range(4):
                await self._search()
                await asyncio.sleep(0)
        while self._hosted is not None and self.seen.builds < 2:  # however long its server takes
            await self._search()
            await asyncio.sleep(0)
        maintaining.cancel()
        await asyncio.gather(maintaining, return_exceptions=True)
        return self.seen

    async def _maintain(self) -> None:
        while True:
            if self._hosted is not None:
                await self._hosted.flush()
                await self._built(self._hosted.build())
            elif isinstance(self._index, VectorIndex) and self._index.wants_graph:
                await self._built(self._index.maintain())
            await asyncio.sleep(0)

    async def _built(self, building: Awaitable[None]) -> None:
        self._building = True
        await building
        self._building = False
        self.seen.builds += 1

    def _change(self) -> None:
        """Grow to the largest size, then shrink to a third: a full graph, and one that is mostly deleted."""
        self._growing = len(self._held) < (LARGEST if self._growing else LARGEST // 3)
        for _ in range(int(self._rng.integers(30)) if self._growing else 5):
            self._index.add(self._new, self._vectors[self._new])
            self._held[self._new] = None
            self._new += 1
        for key in self._rng.permutation(list(self._held))[: 5 if self._growing else 30].tolist():
            self._index.remove(key)
            del self._held[key]

    async def _search(self) -> None:
        query = self._queries[int(self._rng.integers(len(self._queries)))]
        found = await self._index.search(query, K)
        keys = np.fromiter(self._held, np.int64)
        nearest = keys[np.argsort(-(self._vectors[keys] @ query))[:K]] if len(keys) else keys
        assert {key for key, _ in found} <= self._held.keys(), "what was removed, or never there, was found"
        assert len({key for key, _ in found}) == len(found) == len(nearest)
        for key, similarity in found:
            assert abs(similarity - float(self._vectors[key] @ query)) < 1e-4
        self.seen.searches[self._index.kind if isinstance(self._index, VectorIndex) else "hosted"] += 1
        self.seen.during_builds += self._building
        self.seen.found += len({key for key, _ in found} & set(nearest.tolist()))
        self.seen.wanted += len(nearest)


async def hammered(rounds: int, seed: int, url: str = "") -> Seen:
    """What the searches of an index saw, wherever it is."""
    if not url:
        return await Hammer(rounds, seed).run(rounds)
    server = PineconeVectors(url, KEY) if url.startswith("http") else PgVectors(url, SWITCH_POINT)
    async with hosted_by(server) as hosted:
        return await Hammer(rounds, seed, hosted).run(rounds)


if __name__ == "__main__":
    print(json.dumps(msgspec.to_builtins(asyncio.run(hammered(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])))))
