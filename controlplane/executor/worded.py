"""How likely a plan is to fail by its words as well as by past outcomes."""

from collections.abc import Sequence

import msgspec

from auditor.cases import CaseRecord
from auditor.fold import TenantFold
from auditor.wording import READ, Plan, Wording, odds_of, words_of_plan
from strategist.features.words import spelled

from ..contract import DecisionRequest
from ..memory.space import Space
from .recalled import Recalled

ENOUGH = 50  # outcomes from which on the words of a plan alone may speak against it
TOLD = 2  # failures from which on a word is worth naming


class Worded(msgspec.Struct, frozen=True):
    """A plan, and what the outcomes of all plans of its namespace say of its words."""

    plan: Plan
    conditions: Sequence[str]
    wording: Wording
    risk: float  # in (0, 1): of failing as planned
    enough: bool  # whether there were so many outcomes that its words alone can be judged by
    speaks: bool  # whether they are judged to make it likelier to fail than most

    def worst_word(self, planned: str) -> str | None:
        """The word that fares worst, where plans with it failed more often than they worked."""
        found = self.wording.fares_worst(self.plan, self.conditions)
        if found is None or found[2] < TOLD or found[2] <= found[1]:
            return None
        place, worked, failed = found
        return f"Plans with {spelled(planned, READ)[place]!r} failed {failed} of {worked + failed} times here."


def judge(
    space: Space,
    fold: TenantFold,
    request: DecisionRequest,
    conditions: Sequence[str],
    own: CaseRecord,
    recalled: Recalled,
) -> Worded:
    """The risk that outcomes give, corrected by words."""
    odds = odds_of(recalled.failing), _adds(fold, own, conditions)
    plan = Plan(words_of_plan(request.planned_action or ""), _last_error(space, fold, request), odds)
    wording = fold.cases.wording(request.namespace)
    risk = wording.failing(plan, conditions)
    enough = wording.outcomes >= ENOUGH
    return Worded(plan, conditions, wording, risk, enough, enough and risk > fold.cases.base_rate(conditions))


def _adds(fold: TenantFold, own: CaseRecord, conditions: Sequence[str]) -> float:
    """Log odds of failing that the action's own record adds to those of the base rate."""
    if not own.total:
        return 0.0
    base = fold.cases.base_rate(conditions)
    return sum(fold.cases.speaking(((1.0, own),), conditions, base).values()) - odds_of(base)


def _last_error(space: Space, fold: TenantFold, request: DecisionRequest) -> tuple[int, ...]:
    """Words of the error the task saw last: as the caller says, or as it was captured, until something succeeds.

    It is looked up where memories can be purged: a fold that kept it would differ from one of the purged journal.
    """
    if isinstance(told := request.context.get("previous_error"), str):
        return words_of_plan(told)
    trajectory = fold.credit.trajectories.get(("gate", request.namespace, request.task_id or ""))
    episode = space.last_of(request.task_id) if trajectory is not None and not trajectory.last_success else None
    return () if episode is None else words_of_plan(episode.error_trace)
