"""What the gate finds in memory for a planned action, before anything of it is weighed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from auditor.fold import TenantFold
from auditor.trace import Offered

from ..contract import DecisionRequest
from ..embedding import Vector
from ..memory.passages import PassageSpace
from ..memory.ranking import Match
from ..memory.space import Space
from .matching import Sought, recall_matches, standing
from .recalled import NEIGHBOURS, NearCase, failed_patches, similar_actions


class Remembered(NamedTuple):
    """What searches for a planned action found."""

    matches: Sequence[Match] = ()  # the best first
    stood: Sequence[Match] = ()  # the same as they stand before the key that asks
    actions: Sequence[tuple[float, str]] = ()  # similar ones, as similarity and signature
    patches: Sequence[NearCase] = ()  # similar ones that failed

    def without(self, offered: Sequence[Offered]) -> "Remembered":
        """As if what is withheld were unknown."""
        withheld = {item.episode_id for item in offered if item.withheld}
        return self.only(lambda episode_id: episode_id not in withheld)

    def only(self, keep: Callable[[int], bool]) -> "Remembered":
        """Of its matches those that are kept."""
        found = [m for m in self.matches if keep(m.record.episode_id)]
        if self.stood is self.matches:
            return self._replace(matches=found, stood=found)
        return self._replace(matches=found, stood=[m for m in self.stood if keep(m.record.episode_id)])


async def search(
    space: Space,
    patches: PassageSpace,
    fold: TenantFold,
    request: DecisionRequest,
    asker: str,
    vector: Vector,
    now: float,
) -> Remembered:
    """Look for what is like a planned action.

    Raises:
      VectorsUnavailable: a hosted index does not answer.
    """
    sought = Sought.of(request.goal or "", request.planned_action or "", vector, request.environment, now)
    matches = await recall_matches(space, fold, sought, NEIGHBOURS)
    stood = await standing(space, fold, sought, NEIGHBOURS, asker, matches)
    actions = await similar_actions(space, vector)
    found = Remembered(matches, stood, actions, await failed_patches(space, patches, fold, vector))
    return found.only(space.episodes.__contains__)  # some may be purged by now: hosted indexes are waited for
