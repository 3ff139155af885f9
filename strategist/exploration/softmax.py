"""Softmax: the larger the value, the likelier (Boltzmann exploration; Sutton & Barto 2018, section 2.8)."""

from collections.abc import Sequence
from math import exp

from .mixture import Mixture


def softmax(q: Sequence[float], temperature: float, epsilon: float) -> Mixture:
    """Odds of e for each `temperature` by which a value is larger; `epsilon` uniform over all actions beside it.

    >>> [round(p, 3) for p in softmax([0.0, 0.1], 0.1, 0.0).probabilities()]
    [0.269, 0.731]
    """
    best = max(q)
    odds = [exp((value - best) / temperature) for value in q]
    total = sum(odds)
    return Mixture(tuple([each / total for each in odds]), epsilon)
