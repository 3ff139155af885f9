"""How sure an estimate is: two approximate intervals for logs of a fixed policy, and one that is valid for every log.

`normal` and `bootstrap` count on many decisions of one policy. `anytime` holds whatever the policy that logged learnt
meanwhile, whatever the judged one learnt meanwhile, and however often somebody looks.
"""

from math import log, sqrt
from statistics import NormalDist

import msgspec
import numpy as np

from .estimators import Floats

RESAMPLES = 1000
GROUPS = 2000  # of consecutive decisions, at most, that are weighted
BETS = np.ldexp(1.0, -np.arange(1, 17))  # shares of the wealth, all bet at once: each is best for some length and noise
HALVINGS = 40  # of the range that a bound lies in


class Interval(msgspec.Struct, frozen=True):
    """From `low` to `high`; `approximate` where it holds for large logs of a fixed policy only."""

    low: float
    high: float
    approximate: bool


def normal(terms: Floats, level: float = 0.95) -> Interval:
    """By the central limit theorem, over terms [N]; for a ratio over its influence terms."""
    return around(float(terms.mean()), float(terms.std(ddof=1)), len(terms), level)


def around(mean: float, deviation: float, count: int, level: float = 0.95) -> Interval:
    """The same, of terms that were added up; `deviation` is the standard deviation of one."""
    half = NormalDist().inv_cdf(0.5 + level / 2.0) * deviation / sqrt(count)
    return Interval(mean - half, mean + half, approximate=True)


def bootstrap(tops: Floats, bottoms: Floats, rng: np.random.Generator, level: float = 0.95) -> Interval:
    """Percentiles of sum(tops) / sum(bottoms) over decisions weighted at random; bottoms are 1 where it is a mean.

    Weights are exponential (the Bayesian bootstrap; Rubin 1981), which needs no indices. In a large log consecutive
    decisions share one.
    """
    size = min(len(tops), GROUPS)
    begins = np.arange(size) * len(tops) // size
    drawn = rng.standard_exponential((RESAMPLES, size))
    top, bottom = (
        np.einsum("bn,n->b", drawn, np.add.reduceat(part, begins), optimize=False) for part in (tops, bottoms)
    )
    low, high = np.quantile(top / bottom, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(float(low), float(high), approximate=True)


def anytime(rewards: Floats, weights: Floats, lowest: float, highest: float, level: float = 0.95) -> Interval:
    """A confidence sequence, by betting, for the mean value over the log (Waudby-Smith et al. 2024, "Anytime-valid
    off-policy inference for contextual bandits").

    Each side is a lower bound of a mean of numbers that are never negative, w * r and w * (1 - r), so no weight is too
    large for it; it only makes it wide.

    Args:
      rewards, weights: of decisions [N] in the order of the log.
      lowest, highest: the range of the rewards, known beforehand.
    """
    scaled = (rewards - lowest) / (highest - lowest)
    return between(weights * scaled, weights * (1.0 - scaled), lowest, highest, level)


def between(gains: Floats, losses: Floats, lowest: float, highest: float, level: float = 0.95) -> Interval:
    """From terms [N] >= 0, what was won of the range and what was lost; their means add up to 1."""
    alpha, width = (1.0 - level) / 2.0, highest - lowest
    low, high = lower_bound(gains, alpha), 1.0 - lower_bound(losses, alpha)
    return Interval(lowest + low * width, lowest + high * width, approximate=False)


def lower_bound(terms: Floats, alpha: float) -> float:
    """What the mean over terms [N] in order, each >= 0 and of a mean <= 1, is at least, but for a chance of alpha.

    Each term may have a mean of its own, given what came before. With x the term, c a guess of it from earlier ones
    and b a bet, the product of exp(b (x - mean) - (-log(1 - b) - b) (x - c)^2) does not grow on average (Howard et al.
    2021, by Fan's inequality), so it reaches 1 / alpha with a chance of at most alpha (Ville), and so does the mean
    over all bets.
    """
    count, costs = len(terms), -np.log1p(-BETS) - BETS
    guesses = np.minimum(1.0, (0.5 + np.cumsum(terms)) / np.arange(2.0, count + 2.0))
    noise = float(np.square(terms - np.concatenate(([0.5], guesses[:-1]))).sum())
    low, high, total = 0.0, 1.0, float(terms.sum())
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        grown = BETS * (total - count * middle) - costs * noise
        if grown.max() + np.log(np.exp(grown - grown.max()).mean()) < log(1.0 / alpha):
            high = middle
        else:
            low = middle
    return low
