"""How well the conditions under which something happened fit the present ones."""

from collections.abc import Mapping
from functools import lru_cache

UNKNOWN = 0.5  # a condition the caller says nothing about neither fits nor contradicts


def match(conditions: Mapping[str, object], current: Mapping[str, object]) -> float:
    """Mean fit of each condition in [0, 1]; UNKNOWN when none was recorded.

    A condition fits fully when its value is equal (text without case), partly when words are shared.
    """
    if not conditions:
        return UNKNOWN
    fit = 0.0
    for key, expected in conditions.items():
        if key not in current:
            fit += UNKNOWN
        elif expected == (actual := current[key]):
            fit += 1.0
        elif isinstance(expected, str) and not isinstance(actual, bool):
            fit += _shared(expected, str(actual))
    return fit / len(conditions)


@lru_cache(20_000)
def _shared(expected: str, actual: str) -> float:
    mine, theirs = expected.strip().lower(), actual.strip().lower()
    if mine == theirs:
        return 1.0
    ours, others = set(mine.split()), set(theirs.split())
    return 0.5 * len(ours & others) / len(ours | others) if ours and others else 0.0
