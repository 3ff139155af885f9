"""How well the conditions under which something happened fit the present ones."""

from collections.abc import Mapping

UNKNOWN = 0.5  # a condition the caller says nothing about neither fits nor contradicts


def match(conditions: Mapping[str, object], current: Mapping[str, object]) -> float:
    """Mean fit of each condition in [0, 1]; UNKNOWN when none was recorded.

    A condition fits fully when its value is equal (text without case), partly when words are shared.
    """
    if not conditions:
        return UNKNOWN
    return sum(_fit(value, current[key]) if key in current else UNKNOWN for key, value in conditions.items()) / len(
        conditions
    )


def _fit(expected: object, actual: object) -> float:
    if isinstance(expected, bool) or isinstance(actual, bool) or not isinstance(expected, str):
        return 1.0 if expected == actual else 0.0
    mine, theirs = expected.strip().lower(), str(actual).strip().lower()
    if mine == theirs:
        return 1.0
    ours, others = set(mine.split()), set(theirs.split())
    return 0.5 * len(ours & others) / len(ours | others) if ours and others else 0.0
