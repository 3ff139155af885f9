"""Days, weeks and months in UTC as whole numbers that grow: the keys under which money is counted."""

from typing import Literal, get_args

Period = Literal["day", "week", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)
DAY_S = 86_400


def key_of(period: Period, at: float) -> int:
    """The day, the week (from Monday) or the month that a moment [s since 1970] lies in.

    >>> [key_of(period, 1795737600.0) for period in PERIODS]  # 2026-11-27, a Friday
    [20784, 2969, 682]
    """
    day = int(at // DAY_S)
    if period == "day":
        return day
    return (day + 3) // 7 if period == "week" else _month_of(day)


def begins(period: Period, key: int) -> int:
    """When a period begins [s since 1970]; it ends when the next one begins.

    >>> begins("month", 682), begins("week", 2969), begins("day", 20784)
    (1793491200, 1795392000, 1795737600)
    """
    day = key if period == "day" else key * 7 - 3 if period == "week" else _first_day(key)
    return day * DAY_S


def _month_of(day: int) -> int:
    """Months since January 1970; years are counted from March, so that a leap day is a year's last (Hinnant, 2013)."""
    since = day + 719_468  # days since 0000-03-01
    era, of_era = divmod(since, 146_097)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return (era * 400 + year) * 12 + (5 * of_year + 2) // 153 + 2 - 1970 * 12


def _first_day(month: int) -> int:
    """Days since 1970 of a month's first."""
    years, of_year = divmod(month + 1970 * 12 - 2, 12)
    era, year = divmod(years, 400)
    of_era = year * 365 + year // 4 - year // 100 + (153 * of_year + 2) // 5
    return era * 146_097 + of_era - 719_468
