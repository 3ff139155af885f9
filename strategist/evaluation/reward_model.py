"""A reward model for direct and doubly robust estimates: means by state and action, shrunk towards the action's own.

Cross-fitted: what it says of a decision it learnt from other parts of the log only, else it would know the noise that
it is to correct.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .estimators import Floats

Indices = NDArray[np.intp]
FOLDS = 5
KAPPA = 3.0  # pseudo-decisions by which a state's mean is shrunk towards the mean over all states


class Seen(NamedTuple):
    """What the model learns from: decisions [N] in states and with actions that are numbered from 0.

    parts: which part of the log a decision belongs to, from 0 to FOLDS - 1; those that know of each other share one.
    visits: how many decisions an entry stands for; its reward is their sum.
    """

    states: Indices
    actions: Indices
    rewards: Floats
    parts: Indices
    visits: Floats | None = None


def cross_fitted(seen: Seen, rows: Indices, actions: Indices) -> Floats:
    """What the model, without a decision's own part, says of taking `actions` [P] where the decisions `rows` [P] stood.

    Of an action that the other parts never took it says their mean reward.
    """
    size = 1 + max(int(seen.actions.max(initial=0)), int(actions.max(initial=0)))
    known, cells = np.unique(seen.states * size + seen.actions, return_inverse=True)
    visits, totals = (_without_own(part) for part in _sums(seen, cells, len(known)))
    by_action = tuple(_without_own(part) for part in _sums(seen, seen.actions, size))
    asked = seen.states[rows] * size + actions
    cell = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    found, part = known[cell] == asked, seen.parts[rows]
    means = _means(*by_action)[part, actions]
    told: Floats = (np.where(found, totals[part, cell], 0.0) + KAPPA * means) / (
        np.where(found, visits[part, cell], 0.0) + KAPPA
    )
    return told


def _sums(seen: Seen, cells: Indices, size: int) -> tuple[Floats, Floats]:
    """Visits and total rewards [FOLDS, size] of each part."""
    places = seen.parts * size + cells
    each = np.ones(len(places)) if seen.visits is None else seen.visits
    visits = added(each, places, FOLDS * size)
    totals = added(seen.rewards, places, FOLDS * size)
    return visits.reshape(FOLDS, size), totals.reshape(FOLDS, size)


def added(values: Floats, places: Indices, size: int) -> Floats:
    """The sum of the values in each of `size` places."""
    sums: Floats = np.bincount(places, values, size).astype(np.float64)
    return sums


def _without_own(sums: Floats) -> Floats:
    others: Floats = sums.sum(axis=0) - sums
    return others


def _means(visits: Floats, totals: Floats) -> Floats:
    """Mean rewards [FOLDS, A] of the actions, shrunk towards the mean of everything."""
    overall = totals.sum(axis=1, keepdims=True) / np.maximum(visits.sum(axis=1, keepdims=True), 1.0)
    means: Floats = (totals + KAPPA * overall) / (visits + KAPPA)
    return means
