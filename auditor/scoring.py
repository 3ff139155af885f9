"""What a decision's reward is, from all that was reported of it, and how it ended."""

from functools import reduce

from strategist import Link, Update

from .answers import Learned
from .credit import OpenDecision
from .feedback import Outcome
from .rewards import Report, Scene, default_report, join, score
from .rules import PointRules

FROZEN = "the policy is frozen; nothing is learnt"
OVER_SHARE = "this key has moved its share of what is learnt for now; what it says is logged, not learnt"


def scored(decision: OpenDecision, rules: PointRules) -> Report:
    """The decision's reward; the default one when nothing was reported."""
    validation, uses = decision.validation, decision.uses
    if not (decision.outcomes or validation is not None or uses or decision.obeyed_block):
        return default_report(decision.point)
    outcomes, upheld = decision.outcomes or (Outcome(),), decision.appeal == "upheld"
    if rules.join == "together":
        outcomes = (reduce(Outcome.with_more, outcomes),)
    scenes = [Scene(decision.action, o, validation, upheld, uses, decision.spent_usd) for o in outcomes]
    return join([score(decision.point, scene, rules.weights) for scene in scenes], rules.join)


def linked(decisions: list[OpenDecision], gamma: float) -> list[Link]:
    """Decisions that are learnt together, each with the place of the one that followed it."""
    place = {decision.trace_id: at for at, decision in enumerate(decisions)}
    return [Link(one.transition(gamma), place.get(one.followed_by or "")) for one in decisions]


def ended(seq: int, decision: OpenDecision, update: Update | None) -> Learned:
    """How a decision ended: what moved, or why nothing did."""
    return Learned(
        trace_id=decision.trace_id,
        point=decision.point,
        action=decision.action,
        seq=seq,
        report=None if decision.unscored else decision.report,
        update=update,
        reason=OVER_SHARE if decision.unscored else FROZEN if update is None else None,
    )
