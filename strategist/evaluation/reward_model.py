"""A reward model for direct and doubly robust estimates: means by state and action, shrunk towards the action's own.

Cross-fitted: what it says of a decision it learnt from others only, else it would know the noise that it is to correct.
"""

import numpy as np
from numpy.typing import NDArray

from .estimators import Floats

FOLDS = 5
KAPPA = 10.0  # pseudo-decisions by which a state's mean is shrunk towards the mean over all states


def cross_fitted(
    states: NDArray[np.intp], actions: NDArray[np.intp], rewards: Floats, size: int, folds: int = FOLDS
) -> Floats:
    """The model [N, A] of decisions in states (numbered from 0, [N]); decision i is in fold i % folds.

    Of an action that the other folds never took it says their mean reward.
    """
    fold, count = np.arange(len(rewards)) % folds, int(states.max(initial=0)) + 1
    cells = states * size + actions
    visits, totals = (
        np.zeros((folds, count * size)), np.zeros((folds, count * size))
    )  # fmt: skip
    np.add.at(visits, (fold, cells), 1.0)
    np.add.at(totals, (fold, cells), rewards)
    model = np.empty((len(rewards), size))
    for part in range(folds):
        seen = (visits.sum(axis=0) - visits[part]).reshape(count, size)
        got = (totals.sum(axis=0) - totals[part]).reshape(count, size)
        model[fold == part] = _shrunk(seen, got)[states[fold == part]]
    return model


def _shrunk(visits: Floats, totals: Floats) -> Floats:
    """Mean rewards [S, A]: cell towards action, action towards everything."""
    overall = totals.sum() / max(visits.sum(), 1.0)
    action = (totals.sum(axis=0) + KAPPA * overall) / (visits.sum(axis=0) + KAPPA)
    means: Floats = (totals + KAPPA * action) / (visits + KAPPA)
    return means
