"""Near-duplicates in a ranked list: one is shown for all of them, and none of them is forgotten."""

from collections.abc import Callable, Sequence

import numpy as np

from ..embedding import Vector
from .duplicates import NEAR, alike
from .ranking import Match
from .space import EpisodeRecord

VectorOf = Callable[[int], Vector | None]
Readable = Callable[[EpisodeRecord], bool]


def representatives(ranked: Sequence[Match], vector: VectorOf, readable: Readable) -> dict[int, int]:
    """Of each cluster the first, by its id, and how many others it stands for; the order is kept.

    None is hidden behind one with another fix, nor behind one whose words the key that asks may not read, unless those
    of neither may be.
    """
    shown, standing_for = list[EpisodeRecord](), dict[int, int]()
    for match in ranked:
        record = match.record
        first = next((of for of in shown if _stands_for(of, record, vector, readable)), None)
        if first is None:
            shown.append(record)
            standing_for[record.episode_id] = 0
        else:
            standing_for[first.episode_id] += 1
    return standing_for


def _stands_for(first: EpisodeRecord, other: EpisodeRecord, vector: VectorOf, readable: Readable) -> bool:
    if not alike(first, other) or (readable(other) and not readable(first)):
        return False
    one, two = vector(first.episode_id), vector(other.episode_id)
    return one is not None and two is not None and float(np.dot(one, two)) >= NEAR
