"""One estimate with its intervals, from terms or from a ratio."""

import numpy as np

from .estimators import Floats
from .intervals import Interval, bootstrap, normal
from .report import Estimate


def mean(terms: Floats, seed: int, anytime: Interval | None = None) -> Estimate:
    """The mean of terms [N]."""
    return ratio(terms, np.ones(len(terms)), terms, seed, anytime)


def ratio(tops: Floats, bottoms: Floats, terms: Floats, seed: int, anytime: Interval | None = None) -> Estimate:
    """sum(tops) / sum(bottoms), with the influence terms [N] of its decisions; equal seeds give equal intervals."""
    return Estimate(
        value=float(tops.sum() / bottoms.sum()),
        normal=normal(terms),
        bootstrap=bootstrap(tops, bottoms, np.random.default_rng(seed)),
        anytime=anytime,
    )
