"""No exploration: the best value (frozen policies), or an action somebody else prefers (a rule)."""

from collections.abc import Sequence

from .mixture import Mixture, evenly


def greedy(q: Sequence[float]) -> Mixture:
    """Probability 1 for the first action of the largest value."""
    return Mixture(evenly(len(q), [max(range(len(q)), key=q.__getitem__)]), 0.0)


def follow(size: int, index: int, others: float) -> Mixture:
    """The action at `index`, with the total `others` spread evenly over the remaining ones.

    >>> [round(p, 3) for p in follow(3, 0, 0.05).probabilities()]
    [0.95, 0.025, 0.025]
    """
    return Mixture(evenly(size, [index]), others * size / (size - 1) if size > 1 else 0.0)
