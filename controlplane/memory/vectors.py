"""A tenant's vector index: exact while that is the faster in use, HNSW above the measured switch point.

The exact matrix always holds every vector; the graph is built from it in a thread and swapped in. Agents ask
about the same text again and again, so what was found is kept and compared with what was added since.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from ..embedding import Vector
from .exact import ExactIndex, nearest_first
from .index import Fold

if TYPE_CHECKING:
    from .hnsw import HnswIndex

# Vectors. Both are measured by `make bench`; on busy servers, whose caches do not hold the matrix, HNSW is the faster
# from here on, and three searches save what one addition costs.
SWITCH_POINT = 2_000

KEPT_SEARCHES, KEPT_RESULTS = 10_000, 64  # most searches that are kept, and most results of one
CATCHING_UP = 256  # vectors added since: beyond, a search starts anew


class _Kept(NamedTuple):
    """What a search found, and of what."""

    vector: Vector
    found: list[tuple[int, float]]
    size: int
    removals: int


class VectorIndex:
    """Add, remove and search at once; `maintain` builds what large indexes need."""

    def __init__(self, dimension: int, switch_point: int = SWITCH_POINT) -> None:
        self._exact = ExactIndex(dimension)
        self._graph: HnswIndex | None = None
        self._switch_point = switch_point
        self._missed: set[int] | None = None  # touched while a new graph is being built
        self._kept: LRUCache[tuple[int, int], _Kept] = LRUCache(KEPT_SEARCHES)  # by the vector's identity, and k
        self._removals = 0

    def add(self, key: int, vector: Vector) -> None:
        """Add a vector under an id that is not there; one that was there before has the same vector again."""
        self._exact.add(key, vector)
        if self._missed is not None:
            self._missed.add(key)
        if self._graph is not None and not self._graph.add(key, vector):
            self._graph = None  # full, or it has the id as deleted: exact search until the next graph is there

    def remove(self, key: int) -> Vector | None:
        """Take an id out; the vector it had."""
        row = self._exact.get(key)
        if row is None:
            return None
        vector = row.copy()
        self._exact.remove(key)
        self._removals += 1
        if self._missed is not None:
            self._missed.add(key)
        if self._graph is not None:
            self._graph.remove(key)
        return vector

    def build_anew(self) -> None:
        """Let go of what was removed: a graph keeps deleted vectors until it is built again."""
        self._graph = None

    async def search(self, vector: Vector, k: int) -> list[tuple[int, float]]:
        """Up to k (id, cosine similarity), the most similar first; not the caller's to change."""
        if k > KEPT_RESULTS:
            return self._search(vector, k)
        size, known = len(self._exact), self._kept.get((id(vector), k))
        if known is None or known.vector is not vector or known.removals != self._removals:
            found = self._search(vector, k)
        elif known.size == size:
            return known.found
        elif size - known.size > CATCHING_UP:
            found = self._search(vector, k)
        else:
            since = self._exact.search(vector, k, after=known.size)
            found = sorted((*known.found, *since), key=nearest_first)[:k]
        self._kept[id(vector), k] = _Kept(vector, found, size, self._removals)
        return found

    def _search(self, vector: Vector, k: int) -> list[tuple[int, float]]:
        if self._graph is not None and k < len(self._exact):
            try:
                return self._graph.search(vector, k)
            except RuntimeError:  # too many deleted around the query: hnswlib gives up, the matrix does not
                return self._exact.search(vector, k)
        return self._exact.search(vector, k)

    async def vectors(self, keys: Iterable[int]) -> dict[int, Vector]:
        """Of those that are there, by their ids."""
        return self._exact.several(keys)

    async def search_among(self, vector: Vector, k: int, keep: Callable[[int], bool]) -> list[tuple[int, float]]:
        """The same of those that are kept, however many nearer ones are not."""
        if self._graph is None:
            return self._exact.search_among(vector, k, keep)
        try:
            return self._graph.search(vector, k, keep)
        except RuntimeError:  # fewer than k are kept, or the graph does not reach them
            return self._exact.search_among(vector, k, keep)

    @property
    def kind(self) -> str:
        return "hnsw" if self._graph is not None else "exact"

    def __len__(self) -> int:
        return len(self._exact)

    def __contains__(self, key: int) -> bool:
        return key in self._exact

    @property
    def wants_graph(self) -> bool:
        large = len(self._exact) > self._switch_point
        return large and self._missed is None and (self._graph is None or self._graph.stale)

    async def maintain(self) -> None:
        """Build the graph a large index wants, off the event loop, and catch up with what came meanwhile."""
        if not self.wants_graph:
            return
        from .hnsw import HnswIndex

        self._missed = set()
        ids, vectors = self._exact.snapshot()
        try:
            graph = await asyncio.to_thread(HnswIndex, ids, vectors, room=2 * len(ids))
            self._catch_up(graph, set(ids.tolist()))
            self._graph = graph
        finally:
            self._missed = None

    def _catch_up(self, graph: "HnswIndex", built: set[int]) -> None:
        """What was built and is gone leaves; what came, comes. An id has one vector for ever."""
        for key in self._missed or ():
            vector = self._exact.get(key)
            if key in built and vector is None:
                graph.remove(key)
            elif key not in built and vector is not None:
                graph.add(key, vector)


class InProcess:
    """Indexes that are in this process alone, and wait for nothing."""

    def index(self, tenant: str, namespace: str, kind: str, dimension: int) -> VectorIndex:
        return VectorIndex(dimension)

    def follow(self, fold: Fold) -> None:
        """They are read by nobody else."""

    async def begin(self, embedder: str) -> None:
        """They are empty."""

    async def page_added(self) -> None:
        """There is room."""

    async def run(self) -> None:
        """Each is maintained where it is."""

    async def close(self) -> None:
        """They go with the process."""
