"""Thompson sampling: each action as often as it is likely to be the best (Thompson 1933).

The probabilities are computed, not drawn, because every choice is logged with its own.
"""

from collections.abc import Sequence
from math import erf, sqrt
from operator import mul

from .mixture import Mixture

WIDE, CELLS = 4.0, 32  # standard deviations that are looked at, and parts in which the best value may lie
TINY, ROOT = 1e-12, 1.4142135623730951


def thompson(q: Sequence[float], variances: Sequence[float], spread: float, epsilon: float) -> Mixture:
    """The probability that an action is the best, if values are normal around q; `epsilon` uniform beside it.

    What lies four deviations below the best has no share but the uniform one.

    Args:
      variances: of the values [A], in squared units of the reward.
      spread: factor of their roots. It is shared by the other actions, so that many are not tried more than few.
    """
    shared = spread / sqrt(max(1, len(q) - 1))
    deviations = [shared * sqrt(variance) + TINY for variance in variances]
    low = max([mean - WIDE * deviation for mean, deviation in zip(q, deviations, strict=True)])
    high = max([mean + WIDE * deviation for mean, deviation in zip(q, deviations, strict=True)])
    near = [index for index, mean in enumerate(q) if mean + WIDE * deviations[index] > low]
    shares = _shares([q[index] for index in near], [deviations[index] for index in near], low, high)
    total, preference = sum(shares), [0.0] * len(q)
    for index, share in zip(near, shares, strict=True):
        preference[index] = share / total
    return Mixture(tuple(preference), epsilon)


def _shares(means: Sequence[float], deviations: Sequence[float], low: float, high: float) -> list[float]:
    """Up to a factor, the chance that an action is the best: by the cells in which the best value may lie.

    In a cell it is the action's, where the best value lies there and those of the others are below its middle.
    """
    ends = [low + (high - low) * cell / CELLS for cell in range(1, CELLS + 1)]
    inside, middle = list[list[float]](), list[list[float]]()  # [A, cells]: that a value lies in the cell, or below
    for mean, deviation in zip(means, deviations, strict=True):
        width = deviation * ROOT
        reached = [0.5 * (1.0 + erf((end - mean) / width)) for end in ends]
        below = [0.0, *reached[:-1]]
        inside.append([end - start for start, end in zip(below, reached, strict=True)])
        middle.append([0.5 * (start + end) for start, end in zip(below, reached, strict=True)])
    after = _products(middle[::-1])[::-1]
    before = _products(middle)
    return [sum(map(_times, *cells)) for cells in zip(inside, before, after, strict=True)]


def _products(middle: Sequence[Sequence[float]]) -> list[list[float]]:
    """For each action and cell, the chance that the values of all actions before it are below the cell's middle."""
    products = [[1.0] * CELLS]
    for chances in middle[:-1]:
        products.append(list(map(mul, products[-1], chances)))
    return products


def _times(inside: float, before: float, after: float) -> float:
    return inside * before * after
