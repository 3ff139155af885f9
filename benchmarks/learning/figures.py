"""What is told of many orders of a task: means with their spread, and paired intervals."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Earned = NDArray[np.float64]  # utility of each decision [N], in the order they were taken
Order = NDArray[np.intp]


def spread(values: Sequence[float]) -> tuple[float, float]:
    """(mean, standard deviation)."""
    return round(float(np.mean(values)), 4), round(float(np.std(values, ddof=1)), 4)


def tail(earned: Earned, start: float) -> float:
    """Mean from this share of the stream on."""
    return float(earned[int(start * len(earned)) :].mean())


def paired(mine: Sequence[Earned], theirs: Sequence[Earned], start: float) -> tuple[float, float]:
    """95 % interval (normal, over orders) of how much more is earned, from this share of the stream on."""
    by = np.array([tail(a, start) - tail(b, start) for a, b in zip(mine, theirs, strict=True)])
    half = 1.96 * float(by.std(ddof=1)) / np.sqrt(len(by))
    return round(float(by.mean()) - half, 4), round(float(by.mean()) + half, 4)
