"""Tenants of very different size, and the shards that they are put on."""

import numpy as np
from numpy.typing import NDArray

TENANTS, EXPONENT = 10_000, 1.1
PARTS = 8  # of an average shard: as much as a tenant may be, where larger ones are split


def shares(tenants: int = TENANTS, exponent: float = EXPONENT) -> NDArray[np.float64]:
    """What share of all calls each tenant makes, the busiest first (Zipf) [tenants].

    >>> shares(3, 1.0).round(3).tolist()
    [0.545, 0.273, 0.182]
    """
    weights = np.arange(1, tenants + 1) ** -exponent
    return np.asarray(weights / weights.sum())


def split(of_tenants: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """The same calls by tenants that are no larger than that: a larger one is several, which share what they learn.

    >>> split(np.array([0.6, 0.4]), 0.25).tolist()
    [0.19999999999999998, 0.19999999999999998, 0.19999999999999998, 0.2, 0.2]
    """
    parts = np.ceil(of_tenants / most).astype(int)
    return np.repeat(of_tenants / parts, parts)


def busiest(of_tenants: NDArray[np.float64], shards: int, seed: int) -> float:
    """The busiest shard's share of all calls, each tenant on one drawn at random: nobody knows who will be busy."""
    at = np.random.default_rng(seed).integers(0, shards, len(of_tenants))
    return float(np.bincount(at, weights=of_tenants, minlength=shards).max())
