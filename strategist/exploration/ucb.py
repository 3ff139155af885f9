"""Upper confidence bounds: the best value an action may yet have (UCB1; Auer, Cesa-Bianchi & Fischer 2002)."""

from collections.abc import Sequence
from math import log, sqrt

from .epsilon_greedy import best_of
from .mixture import Mixture


def ucb(q: Sequence[float], variances: Sequence[float], updates: int, bonus: float, epsilon: float) -> Mixture:
    """The largest q + bonus * sqrt(log(1 + updates) * variance); `epsilon` uniform over all actions beside it.

    variances: of the values [A] in units of a reward's; 1 / n for a mean of n.
    """
    wide = bonus * sqrt(log(1.0 + updates))
    return Mixture(best_of([value + wide * sqrt(variance) for value, variance in zip(q, variances, strict=True)]), epsilon)
