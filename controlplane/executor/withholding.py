"""Which memories a decision is offered, drawn before anything is made of them: what is withheld is as if unknown.

Only where little is at risk, and a small share: the decisions it is withheld from show what a memory is worth.
"""

import random
from collections.abc import Sequence

from auditor import PointRules
from auditor.fold import TenantFold
from auditor.trace import Offered

from ..memory.ranking import Match
from .advice import CITED
from .evidence import GateEvidence

NEAR = 4  # times as often, where little is missing to a judgement
MOST = 0.5  # of a memory that was not found to harm


class Withholding:
    """Draws from a source of its own, so that no other draw depends on what is remembered."""

    def __init__(self, seed: int | None) -> None:
        self._rng = random.Random(None if seed is None else f"withholding {seed}")

    def draw(self, found: GateEvidence, rules: PointRules) -> tuple[Offered, ...]:
        """What the answer would tell of, and what would be told if it were not known to harm; each with its draw."""
        share = rules.withheld_share
        if not share or rules.policy.mode == "frozen" or found.said.risk >= rules.audit_ceiling:
            return ()
        against = [match for match in found.against[:CITED] if not found.space.denies(match.record)]
        told = {match.record.episode_id: match for match in (*(match for match, _ in found.cited), *against)}
        return tuple([self._drawn(found.fold, match, share) for match in told.values()])

    def _drawn(self, fold: TenantFold, match: Match, share: float) -> Offered:
        episode_id, of = match.record.episode_id, match.record.episode
        probability = probability_of(fold, episode_id, share)
        withheld = self._rng.random() < probability
        return Offered(episode_id, withheld, probability, of.error_class, of.origin)


def changes(found: GateEvidence, offered: Sequence[Offered]) -> bool:
    """Whether something is to be made of other memories than before the draw."""
    told = {match.record.episode_id for match in found.matches}
    return any(item.withheld or item.episode_id not in told for item in offered)


def probability_of(fold: TenantFold, episode_id: int, share: float) -> float:
    """With which a memory is withheld: more often where that soon decides, mostly where it was found to harm."""
    standing, skill = fold.worth.standing(episode_id), fold.skills.by_episode.get(episode_id)
    if standing.status == "harms":
        return 1.0 - share
    undecided = skill is not None and skill.status == "trial"
    near = standing.status == "unproven" and (standing.near or undecided)
    return min(MOST, NEAR * share) if near else share
