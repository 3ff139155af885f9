"""What estimates need of a part of a log, as sums: parts are counted apart, in any process, and added up.

Decisions that stood alike, took the same action and belong to the same part of the cross-fit share a **cell**. Every
estimator is `baseline + k (reward - model)`, where k follows from the importance weight and all else from the cell, so
five sums for each k are enough for its value and for its interval.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import fsum
from typing import NamedTuple, Self

import numpy as np

from .estimators import LAM, TAU, Floats, shrunk, switched
from .reward_model import FOLDS, Indices
from .student import Probabilities

WEIGHTS = ("whole", "switched", "shrunk")  # kinds of k
POWERS = ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2))  # of k and of the reward
COUNT, REWARD, SQUARE, KINDS = 0, 1, 2, 3  # rows of the sums; each kind of k has one for each of POWERS
ROWS = KINDS + len(WEIGHTS) * len(POWERS)


class Stood(NamedTuple):
    """Where decisions stood, and with which probabilities [A] the judged policy would have taken each action."""

    chains: tuple[tuple[str, ...], ...]
    actions: tuple[str, ...]
    target: Probabilities


class Part(NamedTuple):
    """Decisions [N] that were read together.

    sights: where each stood, by number; places: of the logged actions among the eligible ones.
    folds: which part of the cross-fit each belongs to.
    impossible: decisions and places of actions that the log could not take.
    """

    sights: Indices
    places: Indices
    rewards: Floats
    propensities: Floats
    folds: Indices
    impossible: tuple[Indices, Indices]


class Tally(NamedTuple):
    """Sums over decisions.

    stood: where they stood, by name; cells number them in this order.
    sights, places, folds: of the cells [E]; sums: [ROWS, E].
    largest: weight of one decision; lacking: the judged policy's probability of actions that the log could not take.
    """

    stood: Mapping[str, Stood]
    sights: Indices
    places: Indices
    folds: Indices
    sums: Floats
    largest: float
    lacking: float

    def of(self, kind: str, rewards: int, weights: int) -> Floats:
        """The sums [E] of k^weights times reward^rewards for a kind of k."""
        row: Floats = self.sums[KINDS + WEIGHTS.index(kind) * len(POWERS) + POWERS.index((weights, rewards))]
        return row


class Pairs(NamedTuple):
    """Places and their eligible actions, one after the other [P]: where each place's begin [S], and `target` [P]."""

    begins: Indices
    sizes: Indices
    target: Floats

    @classmethod
    def of(cls, stood: Collection[Stood]) -> Self:
        sizes = np.array([len(each.actions) for each in stood], np.intp)
        return cls(np.cumsum(sizes) - sizes, sizes, np.array([p for each in stood for p in each.target], np.float64))


def tally(stood: Mapping[str, Stood], part: Part) -> Tally:
    """Add decisions up, cell by cell."""
    pairs = Pairs.of(stood.values())
    taken = pairs.begins[part.sights] + part.places
    weights = pairs.target[taken] / part.propensities
    cells = taken * FOLDS + part.folds
    size = len(pairs.target) * FOLDS
    count = np.bincount(cells, minlength=size)
    met = np.flatnonzero(count)
    sums = np.empty((ROWS, len(met)))
    sums[COUNT] = count[met]
    for row, values in enumerate(_values(part.rewards, weights), REWARD):
        sums[row] = np.bincount(cells, values, size)[met]
    owner = np.repeat(np.arange(len(pairs.sizes)), pairs.sizes)[met // FOLDS]
    rows, places = part.impossible
    return Tally(
        stood=stood,
        sights=owner,
        places=met // FOLDS - pairs.begins[owner],
        folds=met % FOLDS,
        sums=sums,
        largest=float(weights.max(initial=0.0)),
        lacking=float(pairs.target[pairs.begins[part.sights[rows]] + places].sum()),
    )


def _values(rewards: Floats, weights: Floats) -> Iterator[Floats]:
    """What is added up of each decision [N] besides their count, in the order of the rows."""
    squares = rewards * rewards
    yield rewards
    yield squares
    for k in (weights, switched(weights, TAU), shrunk(weights, LAM)):
        yield k
        yield k * rewards
        yield (twice := k * k)
        yield twice * rewards
        yield twice * squares


def merged(tallies: Sequence[Tally]) -> Tally:
    """The tally of all their decisions; the same tallies in the same order give the same bits."""
    stood: dict[str, Stood] = {}
    numbers: dict[str, int] = {}
    moved = []
    for each in tallies:
        stood.update(each.stood)
        there = np.array([numbers.setdefault(name, len(numbers)) for name in each.stood], np.intp)
        moved.append(there[each.sights])
    shape = (len(numbers), 1 + max((int(each.places.max(initial=0)) for each in tallies), default=0), FOLDS)
    where = [np.concatenate(part) for part in (moved, [t.places for t in tallies], [t.folds for t in tallies])]
    cells, to = np.unique(np.ravel_multi_index(where, shape), return_inverse=True)
    together = np.concatenate([each.sums for each in tallies], axis=1)
    sights, places, folds = np.unravel_index(cells, shape)
    return Tally(
        stood=stood,
        sights=sights,
        places=places,
        folds=folds,
        sums=np.stack([np.bincount(to, row, len(cells)) for row in together]),
        largest=max(each.largest for each in tallies),
        lacking=fsum(each.lacking for each in tallies),
    )
