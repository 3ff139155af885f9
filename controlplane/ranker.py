"""The ranker: how much each term of a memory's score weighs, fitted to what came of sessions (logistic regression).

New weights are used once they rank memories of sessions that were held out better than those in force, by a bound; the
event that says so is their version, and recall reads them from the fold: nothing is restarted.
"""

import asyncio
from typing import NamedTuple

import msgspec

from auditor import Learner
from auditor.fold import TenantFold
from auditor.ranker_events import Evaluation, RankerSet

from .clock import Clock
from .contract import EvaluationAnswer, RankerAnswer
from .failpoints import failpoint
from .journal import Journal
from .memory.ranking import weights_of
from .memory.refitting import TooFew, fit
from .settings import Settings
from .tenants import Caller

NO_BETTER = "the weights in force may be as good on sessions that were held out"


class _Tried(NamedTuple):
    """When a refit was tried last, and what had come of sessions by then."""

    at: float
    outcomes: int = 0
    swing: float = 0.0
    failed: int = 0


class Ranker:
    """Refits when it is due: after an interval, at once where returns or failures swing, and when it is asked to."""

    def __init__(self, learner: Learner, journal: Journal, clock: Clock, settings: Settings) -> None:
        self._learner, self._journal, self._clock = learner, journal, clock
        self._interval_s, self._return_swing = settings.ranker_interval_s, settings.ranker_return_swing
        self._risk_swing = settings.ranker_risk_swing
        self._tried: dict[str, _Tried] = {}  # by tenant

    async def follow_evidence(self) -> None:
        """Refit for the tenants for which it is due."""
        now = self._clock.monotonic()
        for tenant, fold in list(self._learner.state.tenants.items()):
            sessions, last = fold.sessions, self._tried.setdefault(tenant, _Tried(now))
            due = (
                _beyond(now - last.at, self._interval_s),
                _beyond(sessions.swing - last.swing, self._return_swing),
                _beyond(sessions.failed - last.failed, self._risk_swing),
            )
            if sessions.outcomes != last.outcomes and any(due):
                await self.refit(tenant, "")

    async def reload(self, caller: Caller) -> RankerAnswer:
        """Refit now, because an operator says so."""
        return await self.refit(caller.tenant, caller.key_id)

    async def refit(self, tenant: str, by: str) -> RankerAnswer:
        """Fit beside the loop; write the weights down where they are better."""
        fold = self._learner.state.of(tenant)
        sessions = fold.sessions
        self._tried[tenant] = _Tried(self._clock.monotonic(), sessions.outcomes, sessions.swing, sessions.failed)
        try:
            found, judged = await asyncio.to_thread(fit, list(sessions.joined), weights_of(fold))
        except TooFew as few:
            return msgspec.structs.replace(standing_weights(fold), reason=str(few))
        evaluation = msgspec.convert(judged, EvaluationAnswer, from_attributes=True)
        if judged.low <= 0.0:
            return msgspec.structs.replace(standing_weights(fold), evaluation=evaluation, reason=NO_BETTER)
        return await self._set(tenant, by, msgspec.structs.asdict(found), judged)

    async def reset(self, caller: Caller) -> RankerAnswer:
        """Put the shipped weights back, because an operator says so; what was reported up to here is not fitted to."""
        return await self._set(caller.tenant, caller.key_id, {}, None)

    async def _set(self, tenant: str, by: str, weights: dict[str, float], judged: Evaluation | None) -> RankerAnswer:
        event = RankerSet(tenant=tenant, at=self._clock.now(), weights=weights, evaluation=judged, by=by)
        seq = await self._journal.append(event)
        failpoint("ranker.appended")
        await self._learner.reached(seq)
        return msgspec.structs.replace(standing_weights(self._learner.state.of(tenant)), replaced=True)


def standing_weights(fold: TenantFold) -> RankerAnswer:
    """What is in force."""
    fitted, weights = fold.sessions.ranker, msgspec.structs.asdict(weights_of(fold))
    evaluation = (
        None if fitted is None else msgspec.convert(fitted.set.evaluation, EvaluationAnswer, from_attributes=True)
    )
    version = 0 if fitted is None else fitted.version
    return RankerAnswer(replaced=False, version=version, weights=weights, evaluation=evaluation, reason=None)


def _beyond(figure: float, bound: float) -> bool:
    """Whether a figure reached a bound; a bound of 0 is none."""
    return 0.0 < bound <= figure
