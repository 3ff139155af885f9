"""Inverse gap weighting: what lies further behind the best is tried less often (SquareCB; Foster & Rakhlin 2020)."""

from collections.abc import Sequence

from .mixture import Mixture


def inverse_gap(q: Sequence[float], gamma: float, epsilon: float) -> Mixture:
    """1 / (A + gamma * gap) for each action behind the first best one, which has the rest; `epsilon` uniform beside it.

    >>> inverse_gap([0.5, 0.3], 10.0, 0.0).probabilities()
    (0.75, 0.25)
    """
    best = max(range(len(q)), key=q.__getitem__)
    shares = [0.0 if i == best else 1.0 / (len(q) + gamma * (q[best] - value)) for i, value in enumerate(q)]
    shares[best] = 1.0 - sum(shares)
    return Mixture(tuple(shares), epsilon)
