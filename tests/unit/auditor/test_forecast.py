"""Where spending leads: hand-worked, and as often within its interval as is said."""

import random

import pytest

from auditor.forecast import forecast, student_95
from auditor.periods import DAY_S, begins, key_of

DAY = 20_784  # 2026-11-27, whose month has four days left at its beginning


def test_whole_days_and_what_is_left_of_the_month_make_its_end() -> None:
    """40 + 4 days x 10; the days' variance is 4 (8, 10, 12), so 2.88 x sqrt(4 x (4 + 16 / 3)) = 17.6 to either side."""
    at = begins("day", DAY)
    known = forecast("month", key_of("month", at), at, 40, [8, 10, 12])
    assert (known.at_end, known.rate, known.days) == (80, 10, 3)
    assert (known.low, known.high) == (62, 98)


def test_what_is_spent_is_never_unspent() -> None:
    at = begins("day", DAY)
    known = forecast("month", key_of("month", at), at, 40, [0, 0, 90])
    assert known.low == 40


@pytest.mark.parametrize(("days", "at_end"), [([], 60), ([12], 44), ([12, 24], 46)])
def test_too_few_days_give_a_figure_without_an_interval(days: list[int], at_end: int) -> None:
    """After 16 hours 40 are spent: where no whole day is known, as much an hour goes on; else a third of a mean day."""
    at = begins("day", DAY) + 16 * 3600
    known = forecast("day", DAY, at, 40, days)
    assert known.at_end == pytest.approx(at_end)
    assert (known.low, known.high) == (None, None)


@pytest.mark.parametrize(("freedom", "table"), [(3, 2.353), (5, 2.015), (10, 1.812), (20, 1.725), (27, 1.703)])
def test_quantiles_are_those_of_the_tables(freedom: int, table: float) -> None:
    assert student_95(freedom) == pytest.approx(table, rel=0.003)


def test_nine_forecasts_in_ten_hold(seed: int) -> None:
    """2,000 weeks of drawn days: the share within the interval is 0.9, give or take three standard errors."""
    rng, inside, weeks = random.Random(seed), 0, 2000
    start = begins("week", key_of("week", DAY * DAY_S))
    for _ in range(weeks):
        days = [round(rng.gauss(1e9, 2e8)) for _ in range(28)]
        rest = [round(rng.gauss(1e9, 2e8)) for _ in range(4)]
        spent = sum(days[-3:])
        known = forecast("week", key_of("week", start), start + 3 * DAY_S, spent, days)
        assert known.low is not None
        assert known.high is not None
        inside += known.low <= spent + sum(rest) <= known.high
    assert abs(inside / weeks - 0.9) < 3 * (0.09 / weeks) ** 0.5
