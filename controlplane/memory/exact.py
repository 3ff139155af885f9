"""Exact nearest neighbours: an inner product with every vector. The faster one up to a few thousand vectors."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np

from ..embedding import Vector


def nearest_first(found: tuple[int, float]) -> tuple[float, int]:
    """Sorts (id, similarity): the most similar first, equal ones by id."""
    return -found[1], found[0]


ROWS = [*range(4_096)]  # many small indexes have these numbers in common


class ExactIndex:
    """Unit vectors by id; cosine similarity is their inner product."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._ids = np.empty(16, np.int64)
        self._vectors = np.empty((16, dimension), np.float32)  # [capacity, D]
        self._row: dict[int, int] = {}

    def add(self, key: int, vector: Vector) -> None:
        row = len(self._row)
        if row == len(self._ids):
            self._grow()
        self._row[key], self._ids[row], self._vectors[row] = ROWS[row] if row < len(ROWS) else row, key, vector

    def _grow(self) -> None:
        """To twice the room; what is not written to takes no memory."""
        n, ids, vectors = len(self._ids), self._ids, self._vectors
        self._ids, self._vectors = np.empty(2 * n, np.int64), np.empty((2 * n, self.dimension), np.float32)
        self._ids[:n], self._vectors[:n] = ids, vectors

    def remove(self, key: int) -> None:
        """The last row takes the removed one's place."""
        row = self._row.pop(key, None)
        if row is None:
            return
        last = len(self._row)
        if row != last:
            self._ids[row], self._vectors[row] = self._ids[last], self._vectors[last]
            self._row[int(self._ids[row])] = row

    def search(self, vector: Vector, k: int, *, after: int = 0) -> list[tuple[int, float]]:
        """Up to k (id, similarity), the most similar first, equal ones by id; without the first so many rows."""
        n = len(self._row) - after
        if n <= 0 or k <= 0:
            return []
        ids, vectors = self._ids[after : after + n], self._vectors[after : after + n]
        # row by row: a matrix product is spread over threads, which wait for cores that others are using
        similarity = np.vecdot(vectors, vector)  # [N]
        nearest: Sequence[int] = range(n) if k >= n else np.argpartition(-similarity, k - 1)[:k].tolist()
        found = [(int(ids[i]), float(similarity[i])) for i in nearest]
        return sorted(found, key=nearest_first)

    def search_among(self, vector: Vector, k: int, keep: Callable[[int], bool]) -> list[tuple[int, float]]:
        """The same of those that are kept."""
        n = len(self._row)
        similarity = np.vecdot(self._vectors[:n], vector)  # [N]
        order = ((int(self._ids[i]), float(similarity[i])) for i in np.argsort(-similarity, kind="stable").tolist())
        return sorted(islice((found for found in order if keep(found[0])), k), key=nearest_first)

    def get(self, key: int) -> Vector | None:
        row = self._row.get(key)
        return None if row is None else self._vectors[row]

    def several(self, keys: Iterable[int]) -> dict[int, Vector]:
        """Copies of the vectors of those that are there."""
        rows = {key: row for key in keys if (row := self._row.get(key)) is not None}
        return dict(zip(rows, self._vectors[list(rows.values())], strict=True)) if rows else {}

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of ids [N] and vectors [N, D]."""
        n = len(self._row)
        return self._ids[:n].copy(), self._vectors[:n].copy()

    def __contains__(self, key: int) -> bool:
        return key in self._row

    def __len__(self) -> int:
        return len(self._row)
