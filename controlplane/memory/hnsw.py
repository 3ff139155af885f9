"""Approximate nearest neighbours with hnswlib. The one file that imports it, imported when first wanted.

Built from vectors in memory and never read from disk: hnswlib cannot tell a damaged file. Deleted slots
are never reused (the library returns deleted ids otherwise), so an index with many is built anew.
"""

from collections.abc import Callable

import hnswlib
import numpy as np

from ..embedding import Vector

EF_CONSTRUCTION, M, EF = 200, 16, 64


class HnswIndex:
    """Inner-product HNSW over unit vectors. One thread at a time: the library is not safe under more."""

    def __init__(self, ids: np.ndarray, vectors: np.ndarray, *, room: int) -> None:
        self._index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self._index.init_index(max_elements=room, ef_construction=EF_CONSTRUCTION, M=M, random_seed=100)
        self._index.set_ef(EF)
        self._index.add_items(vectors, ids, num_threads=1)
        self.room, self.used = room, len(ids)
        self.deleted: set[int] = set()

    def add(self, key: int, vector: Vector) -> bool:
        """False when there is no room left, or it holds the id as deleted; build another index."""
        if self.used == self.room or key in self.deleted:
            return False
        self._index.add_items(vector[None], [key], num_threads=1)
        self.used += 1
        return True

    def remove(self, key: int) -> None:
        self._index.mark_deleted(key)
        self.deleted.add(key)

    def search(self, vector: Vector, k: int, keep: Callable[[int], bool] | None = None) -> list[tuple[int, float]]:
        """Up to k (id, similarity), the most similar first, of those that are kept.

        Raises:
          RuntimeError: the graph could not reach k live vectors; search exactly instead.
        """
        ids, distances = self._index.knn_query(vector, k=k, num_threads=1, filter=keep)
        return [(int(i), 1.0 - float(d)) for i, d in zip(ids[0], distances[0], strict=True)]

    @property
    def stale(self) -> bool:
        """Whether it is time to build a new one: over a quarter deleted, or nearly full."""
        return len(self.deleted) * 4 > self.used or self.used * 10 > self.room * 9
