"""Epsilon-greedy: mostly the best value, sometimes anything eligible (Sutton & Barto 2018, section 2.2)."""

from collections.abc import Sequence

from .mixture import Mixture, evenly


def best_of(q: Sequence[float]) -> tuple[float, ...]:
    """A preference for the largest value, shared evenly where several are as large."""
    best = max(q)
    return evenly(len(q), [i for i, value in enumerate(q) if value == best])


def epsilon_greedy(q: Sequence[float], epsilon: float) -> Mixture:
    """`epsilon` uniform over all actions, the rest shared evenly by the actions of the largest value.

    >>> epsilon_greedy([0.1, 0.5], 0.2).probabilities()
    (0.1, 0.9)
    """
    return Mixture(best_of(q), epsilon)
