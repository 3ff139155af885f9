"""Near-duplicates in a ranked list: one is shown for all of them, and none of them is forgotten."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..embedding import Vector
from .duplicates import NEAR, alike
from .ranking import Match
from .space import EpisodeRecord


def representatives(
    ranked: Sequence[Match], vector: Callable[[int], Vector | None], readable: Callable[[EpisodeRecord], bool]
) -> dict[int, int]:
    """Of each cluster the first, by its id, and how many others it stands for; the order is kept.

    None is hidden behind one with another fix, nor one whose words the key that asks may read behind one whose it may
    not. `vector` is what an episode of this id is found by.
    """
    records = [match.record for match in ranked]
    near, standing_for = _near([vector(record.episode_id) for record in records]), dict[int, int]()
    for place, record in enumerate(records):
        before = (records[other] for other in np.flatnonzero(near[place, :place]))
        shown = (other for other in before if other.episode_id in standing_for)
        first = next((other for other in shown if _stands_for(other, record, readable)), None)
        if first is None:
            standing_for[record.episode_id] = 0
        else:
            standing_for[first.episode_id] += 1
    return standing_for


def _near(vectors: Sequence[Vector | None]) -> NDArray[np.bool_]:
    """Which are nearly the same, [N, N]; what has no vector is near nothing."""
    known = next((vector for vector in vectors if vector is not None), np.zeros(1, np.float32))
    stacked = np.zeros((len(vectors), len(known)), np.float32)  # [N, D]
    for place, vector in enumerate(vectors):
        if vector is not None:
            stacked[place] = vector
    near: NDArray[np.bool_] = stacked @ stacked.T >= NEAR
    return near


def _stands_for(first: EpisodeRecord, other: EpisodeRecord, readable: Callable[[EpisodeRecord], bool]) -> bool:
    return alike(first, other) and (readable(first) or not readable(other))
