"""What will have been spent when a period is over, by what whole days cost so far."""

from collections.abc import Sequence
from math import sqrt

import msgspec

from .periods import DAY_S, Period, begins

FEWEST_DAYS = 3  # before there is an interval
NORMAL_95 = 1.6448536269514722  # quantile: nine forecasts in ten are to lie between the ends


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """In nano-USD; without an interval where too few whole days are known. `rate` is a day's mean."""

    at_end: int
    low: int | None
    high: int | None
    rate: int
    days: int  # whole days that it rests on


def forecast(period: Period, key: int, at: float, spent: int, days: Sequence[int]) -> Forecast:
    """Spent so far, and for what is left of the period the mean of whole days, with a 90 % prediction interval.

    The days are taken as draws of one law: the variance of the rest is that of its own days and that of the mean.
    """
    start, end = begins(period, key), begins(period, key + 1)
    rest = max(0.0, min(1.0 * (end - start), end - at)) / DAY_S
    if not days:
        gone = max(at - start, 1.0) / DAY_S
        rate = spent / gone if gone < (end - start) / DAY_S else 0.0
        return Forecast(at_end=spent + round(rate * rest), low=None, high=None, rate=round(rate), days=0)
    number = len(days)
    mean = sum(days) / number
    at_end = spent + mean * rest
    if number < FEWEST_DAYS:
        return Forecast(at_end=round(at_end), low=None, high=None, rate=round(mean), days=number)
    variance = sum((day - mean) * (day - mean) for day in days) / (number - 1)
    off = student_95(number - 1) * sqrt(variance * (rest + rest * rest / number))
    low, high = max(spent, round(at_end - off)), round(at_end + off)
    return Forecast(at_end=round(at_end), low=low, high=high, rate=round(mean), days=number)


def student_95(freedom: int) -> float:
    """The 95 % quantile of Student's t, by its expansion around the normal (Abramowitz & Stegun 26.7.5).

    >>> [round(student_95(freedom), 2) for freedom in (2, 5, 10, 30)]  # tables say 2.92, 2.02, 1.81, 1.70
    [2.88, 2.01, 1.81, 1.7]
    """
    z, z2 = NORMAL_95, NORMAL_95 * NORMAL_95
    first = z * (z2 + 1) / 4
    second = z * ((5 * z2 + 16) * z2 + 3) / 96
    third = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384
    return z + first / freedom + second / (freedom * freedom) + third / (freedom * freedom * freedom)
