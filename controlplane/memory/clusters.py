"""Near-duplicates in a ranked list: one is shown for all of them, and none of them is forgotten."""

from collections.abc import Callable, Sequence

import numpy as np

from .duplicates import NEAR, alike
from .ranking import Match
from .space import EpisodeRecord


def representatives(
    ranked: Sequence[Match], readable: Callable[[EpisodeRecord], bool], most: int | None = None
) -> dict[int, int]:
    """Of each cluster the first, by its id, and how many others it stands for, of the `most` best; the order is kept.

    None is hidden behind one with another fix, nor one whose words the key that asks may read behind one whose it may
    not.
    """
    if not ranked:
        return {}
    records, standing_for = [match.record for match in ranked], dict[int, int]()
    vectors, waiting = np.stack([match.vector for match in ranked]), np.ones(len(ranked), np.bool_)  # [N, D], [N]
    for place, record in enumerate(records):
        if len(standing_for) == most:
            break
        if waiting[place]:
            waiting[place] = False
            near = np.flatnonzero(waiting & (vectors @ vectors[place] >= NEAR)).tolist()
            others = [other for other in near if _stands_for(record, records[other], readable)]
            waiting[others] = False
            standing_for[record.episode_id] = len(others)
    return standing_for


def _stands_for(first: EpisodeRecord, other: EpisodeRecord, readable: Callable[[EpisodeRecord], bool]) -> bool:
    return alike(first, other) and (readable(first) or not readable(other))
