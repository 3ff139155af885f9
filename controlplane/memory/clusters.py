"""Near-duplicates in a ranked list: one is shown for all of them, and none of them is forgotten."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..embedding import Vector
from .duplicates import NEAR, alike
from .ranking import Match
from .space import EpisodeRecord


def representatives(ranked: Sequence[Match], readable: Callable[[EpisodeRecord], bool]) -> dict[int, int]:
    """Of each cluster the first, by its id, and how many others it stands for; the order is kept.

    None is hidden behind one with another fix, nor one whose words the key that asks may read behind one whose it may
    not.
    """
    records = [match.record for match in ranked]
    near, standing_for = _near([match.vector for match in ranked]), dict[int, int]()
    for place, record in enumerate(records):
        before = (records[other] for other in np.flatnonzero(near[place, :place]))
        shown = (other for other in before if other.episode_id in standing_for)
        first = next((other for other in shown if _stands_for(other, record, readable)), None)
        if first is None:
            standing_for[record.episode_id] = 0
        else:
            standing_for[first.episode_id] += 1
    return standing_for


def _near(vectors: Sequence[Vector]) -> NDArray[np.bool_]:
    """Which are nearly the same, [N, N]."""
    stacked = np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)  # [N, D]
    near: NDArray[np.bool_] = stacked @ stacked.T >= NEAR
    return near


def _stands_for(first: EpisodeRecord, other: EpisodeRecord, readable: Callable[[EpisodeRecord], bool]) -> bool:
    return alike(first, other) and (readable(first) or not readable(other))
