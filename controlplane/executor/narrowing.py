"""A search of failures that filters narrow: among what is most like it, else among all that fit."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from ..memory.clusters import representatives
from ..memory.fusion import WIDEST
from ..memory.lexical import Keep
from ..memory.ranking import Match
from ..memory.space import EpisodeRecord, Space
from .hearsay import Hearsay
from .matching import recall_matches, standing
from .telling import Asking

OVERSAMPLING = 4  # candidates looked at per result, so that ranking has something to choose from
WIDENING = 8  # times as many, while filters leave too few
TURN = 200  # failures that are gone through before others have theirs

KeptOutBy = Callable[[EpisodeRecord], str | None]  # the name of the filter that removes a failure


class Narrowed(NamedTuple):
    """The best that fit, one of each cluster; for how many others each stands; how many a filter removed."""

    matches: list[Match]
    alike: dict[int, int]
    filtered: dict[str, int]


async def narrowed(asking: Asking, k: int, min_similarity: float, kept_out_by: KeptOutBy) -> Narrowed:
    """The k best of the failures that are near enough and that no filter removes.

    Ever more are looked at while too few fit; where WIDEST are not enough, all are gone through, once.

    Raises:
      VectorsUnavailable: a hosted index does not answer.
    """
    space, sought = asking.memory.space(asking.fold.tenant, asking.namespace), asking.sought
    readable = Hearsay(asking.asker, space, asking.fold).may_read
    most, keep, removed = k * OVERSAMPLING, None, Counter[str]()
    while True:
        matches = await recall_matches(space, asking.fold, sought, most, keep)
        kept, filtered = list[Match](), removed.copy()
        for match in await standing(space, asking.fold, sought, most, asking.asker, matches, keep):
            near = match.similarity >= min_similarity
            why = None if near and keep else kept_out_by(match.record) if near else "min_similarity"
            if why is None:
                kept.append(match)
            else:
                filtered[why] += 1
        near_enough = sum(match.similarity >= min_similarity for match in matches)
        shown, enough = representatives(kept, readable, k), len(kept) >= k
        if len(shown) == k or near_enough < most or (most >= WIDEST and (enough or keep)):
            return Narrowed([match for match in kept if match.record.episode_id in shown], shown, dict(filtered))
        if most >= WIDEST:
            keep, removed = await _fitting(space, kept_out_by)
            most = k * OVERSAMPLING
        else:
            most = min(WIDEST, WIDENING * most)


async def _fitting(space: Space, kept_out_by: KeptOutBy) -> tuple[Keep, Counter[str]]:
    """Which failures no filter removes, and how many each one does."""
    fits, removed = set[int](), Counter[str]()
    for place, record in enumerate([*space.episodes.values()]):
        if place % TURN == 0:
            await asyncio.sleep(0)
        if (why := kept_out_by(record)) is None:
            fits.add(record.episode_id)
        else:
            removed[why] += 1
    return fits.__contains__, removed
