"""How sure an estimate is: two approximate intervals for logs of a fixed policy, and one that is valid for every log.

`normal` and `bootstrap` count on many decisions of one policy. `anytime` holds whatever the policy that logged learnt
meanwhile, and however often somebody looks: the log of a learner is collected adaptively.
"""

from math import log
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .estimators import Floats

RESAMPLES = 1000
BLOCK = 2_000_000  # numbers drawn at once
MOST = 0.75  # the largest bet
UNBET = 20  # decisions by which the spread is known roughly before anything is bet
HALVINGS = 30  # of the range that a bound lies in


class Interval(NamedTuple):
    """From `low` to `high`; `approximate` where it holds for large logs of a fixed policy only."""

    low: float
    high: float
    approximate: bool


def normal(terms: Floats, level: float = 0.95) -> Interval:
    """By the central limit theorem, over terms [N]; for a ratio over its influence terms."""
    half = NormalDist().inv_cdf(0.5 + level / 2.0) * terms.std(ddof=1) / np.sqrt(len(terms))
    return Interval(float(terms.mean() - half), float(terms.mean() + half), approximate=True)


def bootstrap(tops: Floats, bottoms: Floats, rng: np.random.Generator, level: float = 0.95) -> Interval:
    """Percentiles of sum(tops) / sum(bottoms) over decisions weighted at random; bottoms are 1 where it is a mean.

    Weights are exponential (the Bayesian bootstrap; Rubin 1981), which needs no indices.
    """
    size = max(1, BLOCK // len(tops))
    values = []
    for start in range(0, RESAMPLES, size):
        drawn = rng.standard_exponential((min(size, RESAMPLES - start), len(tops)))
        top, bottom = (np.einsum("bn,n->b", drawn, part, optimize=False) for part in (tops, bottoms))
        values.append(top / bottom)
    low, high = np.quantile(np.concatenate(values), [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(float(low), float(high), approximate=True)


def anytime(rewards: Floats, weights: Floats, lowest: float, highest: float, level: float = 0.95) -> Interval:
    """A confidence sequence, by betting (Waudby-Smith et al. 2024, "Anytime-valid off-policy inference for contextual
    bandits").

    Each side is a lower bound of a mean of numbers that are never negative, w * r and w * (1 - r), so no weight is too
    large for it; it only makes it wide.

    Args:
      rewards, weights: of decisions [N] in the order of the log.
      lowest, highest: the range of the rewards, known beforehand.
    """
    scaled, alpha = (rewards - lowest) / (highest - lowest), (1.0 - level) / 2.0
    low, high = lower_bound(weights * scaled, alpha), 1.0 - lower_bound(weights * (1.0 - scaled), alpha)
    low, high = (lowest + end * (highest - lowest) for end in (low, high))
    return Interval(low, high, approximate=False)


def lower_bound(terms: Floats, alpha: float) -> float:
    """What the mean, at most 1, of such terms (each >= 0, in order) is at least, but for a chance of alpha.

    Who bets a share that only looks back on a mean above m does not gain on average where it is not, so the wealth
    reaches 1 / alpha with a chance of at most alpha (Ville); the bound is the largest m where it did.
    """
    place = np.arange(1.0, len(terms) + 1.0)
    centres = (0.5 + np.cumsum(terms)) / (place + 1.0)
    spread = (0.25 + np.cumsum(np.square(terms - centres))) / (place + 1.0)
    wanted = np.sqrt(2.0 * log(1.0 / alpha) / (spread * place * np.log(1.0 + place)))
    bets = np.concatenate(([0.0], np.minimum(MOST, wanted)[:-1]))
    bets[:UNBET] = 0.0
    low, high = 0.0, 1.0
    if np.log1p(bets * terms).cumsum().max() < log(1.0 / alpha):
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if np.log1p(bets * (terms - middle)).cumsum().max() < log(1.0 / alpha):
            high = middle
        else:
            low = middle
    return low
