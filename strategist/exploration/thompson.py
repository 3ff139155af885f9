"""Thompson sampling: each action as often as it is likely to be the best (Thompson 1933).

The probabilities are computed, not drawn, because every choice is logged with its own.
"""

from collections.abc import Sequence
from math import erf, sqrt

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
    """Up to a factor, the chance that an action is the best: by the cells in which the best value may lie."""
    shares, below = [0.0] * len(means), [0.0] * len(means)
    for cell in range(1, CELLS + 1):
        end = low + (high - low) * cell / CELLS
        reached = [
            0.5 * (1.0 + erf((end - mean) / (deviation * ROOT)))
            for mean, deviation in zip(means, deviations, strict=True)
        ]
        _share_cell(shares, below, reached)
        below = reached
    return shares


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
