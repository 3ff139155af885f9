"""The ranker: how much each term of a memory's score weighs, fitted to what came of sessions (logistic regression).

New weights are used once they rank memories of sessions that were held out better than those in force, by a bound; the
event that says so is their version, and recall reads them from the fold: nothing is restarted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from auditor import Learner
from auditor.fold import TenantFold
from auditor.ranker_events import Evaluation, RankerSet
from auditor.sessions import Joined

from .clock import Clock
from .contract import EvaluationAnswer, RankerAnswer
from .failpoints import failpoint
from .journal import Journal
from .memory.ranking import weights_of
from .settings import Settings
from .tenants import Caller

HELD_OUT = 3  # every third session
FEWEST = 10  # sessions that went well, and that failed, among those that are fitted and those held out
DRAWS, QUANTILE = 400, 0.05
NO_BETTER = "the weights in force may be as good on sessions that were held out"

Weights = Mapping[str, float]


class TooFew(Exception):
    """There is too little to fit on; the message says what is missing."""


class _Tried(NamedTuple):
    """When a refit was tried last, and what had come of sessions by then."""

    at: float
    outcomes: int = 0
    swing: float = 0.0
    failed: int = 0


def fit(joined: Sequence[Joined], weights: Weights) -> tuple[dict[str, float], Evaluation]:
    """Weights fitted on two thirds of the sessions, judged on the others beside those in force; blocking.

    Raises:
      TooFew: sessions that went well or that failed.
    """
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

    terms = sorted(weights)
    rows = np.array([[of.scores.get(term, 0.0) for term in terms] for of in joined])  # [N, T]
    good, share = np.array([of.success for of in joined]), np.array([of.weight for of in joined])
    session = np.array([crc32(of.session_id.encode()) for of in joined])
    held = session % HELD_OUT == 0
    _enough(session[~held], good[~held], "fitted on")
    _enough(session[held], good[held], "held out")
    found = _positive(rows[~held], good[~held], share[~held])
    if not found.any():
        raise TooFew("no term of the score speaks for success in what there is")
    new = {term: float(value) for term, value in zip(terms, found / found.sum(), strict=True)}
    before, after = rows[held] @ np.array([weights[term] for term in terms]), rows[held] @ np.array(list(new.values()))

    def auc(scores: NDArray[np.float64], counted: NDArray[np.float64]) -> float:
        return float(roc_auc_score(good[held], scores, sample_weight=counted))

    differences, draw = [], np.random.default_rng(len(joined))
    names, place = np.unique(session[held], return_inverse=True)
    for _ in range(DRAWS):
        times = np.bincount(draw.integers(len(names), size=len(names)), minlength=len(names))[place] * share[held]
        if times[good[held]].any() and times[~good[held]].any():
            differences.append(auc(after, times) - auc(before, times))
    return new, Evaluation(
        sessions=len(np.unique(session)),
        held_out=len(names),
        auc_before=round(auc(before, share[held]), 4),
        auc_after=round(auc(after, share[held]), 4),
        low=round(float(np.quantile(differences, QUANTILE)), 4),
    )


def _enough(session: NDArray[np.int64], good: NDArray[np.bool_], what: str) -> None:
    well, failed = len(np.unique(session[good])), len(np.unique(session[~good]))
    if min(well, failed) < FEWEST:
        raise TooFew(
            f"of the sessions that are {what}, {well} went well and {failed} failed; {FEWEST} of each are needed"
        )


def _positive(rows: NDArray[np.float64], good: NDArray[np.bool_], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients [T] of a logistic regression, of which none is negative: a term that would be is left out."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    kept, found = list(range(rows.shape[1])), np.zeros(rows.shape[1])
    while kept:
        fitted = LogisticRegression().fit(rows[:, kept], good, sample_weight=share).coef_[0]
        if (fitted >= 0.0).all():
            found[kept] = fitted
            break
        kept = [term for term, value in zip(kept, fitted, strict=True) if value > 0.0]
    return found


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
        weights = msgspec.structs.asdict(weights_of(fold))
        try:
            found, judged = await asyncio.to_thread(fit, list(sessions.joined), weights)
        except TooFew as few:
            return msgspec.structs.replace(standing_weights(fold), reason=str(few))
        evaluation = msgspec.convert(judged, EvaluationAnswer, from_attributes=True)
        if judged.low <= 0.0:
            return msgspec.structs.replace(standing_weights(fold), evaluation=evaluation, reason=NO_BETTER)
        event = RankerSet(tenant=tenant, at=self._clock.now(), weights=found, evaluation=judged, by=by)
        seq = await self._journal.append(event)
        failpoint("ranker.appended")
        await self._learner.reached(seq)
        return msgspec.structs.replace(standing_weights(fold), replaced=True)


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
