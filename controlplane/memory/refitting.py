"""Fits how much each term of a score weighs to what came of sessions, and judges that on others.

The one file that imports scikit-learn.
"""

from collections.abc import Sequence
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from auditor.ranker_events import Evaluation
from auditor.sessions import Joined

from .ranking import SHIPPED, TERMS, Weights

HELD_OUT = 3  # every third session
FEWEST = 10  # sessions that went well, and that failed, among those that are fitted and those held out
DRAWS, QUANTILE = 400, 0.05
KEPT = 5 / 6  # of the shipped weights: similarity and words weigh twice as much as all else, whatever is reported

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class TooFew(Exception):
    """There is too little to fit on; the message says what is missing."""


def fit(joined: Sequence[Joined], weights: Weights) -> tuple[Weights, Evaluation]:
    """Weights fitted on two thirds of the sessions, judged on the others beside those in force; blocking.

    Only memories that were used are known, and those were relevant: what that is worth cannot be seen in them, and is
    kept.

    Raises:
      TooFew: sessions that went well or that failed.
    """
    scores = [{term: score for term, score in of.scores.items() if term in TERMS} for of in joined]
    before = _ranked(scores, weights)
    # A term that a memory does not have leaves its score as it is: so it is filled with that, [N, T].
    filled = [[of.get(term, score) for term in TERMS] for of, score in zip(scores, before, strict=True)]
    rows = np.array(filled).reshape(-1, len(TERMS))
    good, share = np.array([of.success for of in joined], np.bool_), np.array([of.weight for of in joined])
    session = np.array([crc32(of.session_id.encode()) for of in joined], np.int64)
    held = session % HELD_OUT == 0
    _enough(session[~held], good[~held], "fitted on")
    _enough(session[held], good[held], "held out")
    found = _positive(rows[~held], good[~held], share[~held])
    if not found.any():
        raise TooFew("no term of the score speaks for success in what there is")
    new = _blended(found / found.sum())
    old_auc, new_auc, low = _judged(session[held], good[held], share[held], before[held], _ranked(scores, new)[held])
    evaluation = Evaluation(
        sessions=len(np.unique(session)),
        held_out=len(np.unique(session[held])),
        auc_before=round(old_auc, 4),
        auc_after=round(new_auc, 4),
        low=round(low, 4),
    )
    return new, evaluation


def _ranked(scores: Sequence[dict[str, float]], weights: Weights) -> Floats:
    """What ranks each memory, [N]."""
    return np.array([weights.of(of) for of in scores])


def _blended(fitted: Floats) -> Weights:
    """Mostly the shipped weights, and for the rest the fitted ones [T], each in sum 1."""
    shipped = np.array([getattr(SHIPPED, term) for term in TERMS])
    mixed: list[float] = (KEPT * shipped + (1.0 - KEPT) * fitted).tolist()
    return msgspec.convert(dict(zip(TERMS, mixed, strict=True)), Weights)


def _enough(session: NDArray[np.int64], good: Flags, what: str) -> None:
    well, failed = len(np.unique(session[good])), len(np.unique(session[~good]))
    if min(well, failed) < FEWEST:
        needed = f"{FEWEST} of each are needed"
        raise TooFew(f"of the sessions that are {what}, {well} went well and {failed} failed; {needed}")


def _positive(rows: Floats, good: Flags, share: Floats) -> Floats:
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


def _judged(
    session: NDArray[np.int64], good: Flags, share: Floats, before: Floats, after: Floats
) -> tuple[float, float, float]:
    """AUC of the old scores and of the new ones, and what the difference is at least by a bootstrap over sessions."""
    names, place = np.unique(session, return_inverse=True)
    drawn = np.random.default_rng(len(session)).multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    times = np.vstack([np.ones(len(names)), drawn])[:, place] * share  # [1 + DRAWS, N], the first is the sample itself
    times = times[times[:, good].any(1) & times[:, ~good].any(1)]
    old, new = (_auc(scores, good, times) for scores in (before, after))
    return float(old[0]), float(new[0]), float(np.quantile(new[1:] - old[1:], QUANTILE))


def _auc(scores: Floats, good: Flags, times: Floats) -> Floats:
    """How likely a good row has a higher score than a bad one, ties half, for each way of counting rows [D]."""
    higher = scores[good][:, None] - scores[~good][None, :]  # [P, Q]
    won = (np.sign(higher) + 1.0) / 2.0
    well, failed = times[:, good], times[:, ~good]
    found: Floats = np.einsum("dp,pq,dq->d", well, won, failed, optimize=True) / (well.sum(1) * failed.sum(1))
    return found
