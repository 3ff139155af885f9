"""Days, weeks and months as whole numbers, beside the calendar of the standard library."""

import random
from datetime import UTC, datetime, timedelta

from auditor.periods import PERIODS, Period, begins, key_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS_S = 300 * 366 * 86_400


def first_of(period: Period, moment: datetime) -> datetime:
    """When its period began, by the calendar."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return midnight
    return midnight - timedelta(days=moment.weekday()) if period == "week" else midnight.replace(day=1)


def test_every_moment_lies_in_the_period_that_the_calendar_says(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(5000):
        at = rng.randrange(-YEARS_S, YEARS_S)
        moment = EPOCH + timedelta(seconds=at)
        for period in PERIODS:
            assert EPOCH + timedelta(seconds=begins(period, key_of(period, at))) == first_of(period, moment)


def test_a_period_ends_where_the_next_begins_and_its_last_second_is_its_own(seed: int) -> None:
    rng = random.Random(seed)
    for period in PERIODS:
        for key in (rng.randrange(-5000, 5000) for _ in range(500)):
            assert key_of(period, begins(period, key)) == key
            assert key_of(period, begins(period, key + 1) - 0.001) == key


def test_a_leap_day_belongs_to_february() -> None:
    leap = datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()
    assert key_of("month", leap) == 58 * 12 + 1
    assert key_of("month", leap + 1) == 58 * 12 + 2
