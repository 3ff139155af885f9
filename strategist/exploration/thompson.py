"""Thompson sampling: each action as often as it is likely to be the best (Thompson 1933).

The probabilities are computed, not drawn, because every choice is logged with its own.
"""

from collections.abc import Sequence
from math import erf, sqrt

from .mixture import Mixture

WIDE, CELLS = 4.0, 48  # standard deviations that are looked at, and parts in which the best value may lie
TINY = 1e-12  # of a standard deviation


def thompson(q: Sequence[float], variances: Sequence[float], spread: float, epsilon: float) -> Mixture:
    """The probability that an action is the best, if values are normal around q; `epsilon` uniform beside it.

    Args:
      variances: of the values [A], in squared units of the reward.
      spread: factor of their roots. It is shared by the other actions, so that many are not tried more than few.
    """
    shared = spread / sqrt(max(1, len(q) - 1))
    deviations = [shared * sqrt(variance) + TINY for variance in variances]
    low = max([mean - WIDE * deviation for mean, deviation in zip(q, deviations, strict=True)])
    high = max([mean + WIDE * deviation for mean, deviation in zip(q, deviations, strict=True)])
    shares, below = [0.0] * len(q), [0.0] * len(q)
    for cell in range(1, CELLS + 1):
        end = low + (high - low) * cell / CELLS
        reached = [_below(end, mean, deviation) for mean, deviation in zip(q, deviations, strict=True)]
        _share_cell(shares, below, reached)
        below = reached
    total = sum(shares)
    return Mixture(tuple([share / total for share in shares]), epsilon)


def _below(value: float, mean: float, deviation: float) -> float:
    return 0.5 * (1.0 + erf((value - mean) / (deviation * 1.4142135623730951)))


def _share_cell(shares: list[float], below: Sequence[float], reached: Sequence[float]) -> None:
    """Add the chance that the best value lies in this cell and is the action's, the others' being below its middle."""
    middle = [0.5 * (start + end) for start, end in zip(below, reached, strict=True)]
    after = [1.0]
    for chance in reversed(middle[1:]):
        after.append(after[-1] * chance)
    before = 1.0
    for index, chance in enumerate(middle):
        shares[index] += (reached[index] - below[index]) * before * after.pop()
        before *= chance
