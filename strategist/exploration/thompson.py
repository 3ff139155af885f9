"""Thompson sampling: each action as often as it is likely to be the best (Thompson 1933).

The probabilities are computed, not drawn, because every choice is logged with its own.
"""

from collections.abc import Sequence
from math import erf, exp, sqrt

from .mixture import Mixture

WIDE, PLACES = 4.0, 33  # standard deviations to either side, and points at which a density is summed
POINTS = tuple([WIDE * (2.0 * place / (PLACES - 1) - 1.0) for place in range(PLACES)])
DENSITY = tuple([exp(-0.5 * point * point) for point in POINTS])


def thompson(q: Sequence[float], variances: Sequence[float], spread: float, epsilon: float) -> Mixture:
    """The probability that an action is the best, if values are normal around q; `epsilon` uniform beside it.

    Args:
      variances: of the values [A], in units of a reward's; above 0.
      spread: a reward's standard deviation.
    """
    deviations = [spread * sqrt(variance) for variance in variances]
    shares = [_chance(i, q, deviations) for i in range(len(q))]
    total = sum(shares)
    return Mixture(tuple([share / total for share in shares]), epsilon)


def _chance(index: int, q: Sequence[float], deviations: Sequence[float]) -> float:
    """Up to a factor, the density of the action's value times the chance that every other one is below it."""
    total = 0.0
    for point, density in zip(POINTS, DENSITY, strict=True):
        value = q[index] + deviations[index] * point
        for other, (mean, deviation) in enumerate(zip(q, deviations, strict=True)):
            if other != index:
                density *= 0.5 * (1.0 + erf((value - mean) / (deviation * 1.4142135623730951)))
        total += density
    return total
