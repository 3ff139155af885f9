"""From a raw fact to a short bucket name. A missing fact is its own bucket, never a default value."""

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from math import isfinite, log2

Fact = str | int | float | bool | None
Bucket = Callable[[Fact], str]
MISSING = "?"
COUNTED = 8  # counts below it differ by each one


def edges(bounds: tuple[float, ...]) -> Bucket:
    """Index of the interval a number falls into; `bounds` are the inner borders, left-closed.

    >>> edges((0.7, 0.9))(0.8)
    '1'
    """

    def bucket(fact: Fact) -> str:
        return MISSING if not _is_number(fact) else str(bisect_right(bounds, float(fact)))  # type: ignore[arg-type]

    return bucket


def rounded(digits: int) -> Bucket:
    """A number rounded to so many digits.

    >>> rounded(1)(0.68)
    '0.7'
    """

    @lru_cache(maxsize=1024, typed=True)
    def bucket(fact: Fact) -> str:
        return MISSING if not _is_number(fact) else f"{round(float(fact), digits) + 0.0:.{digits}f}"  # type: ignore[arg-type]

    return bucket


def category(longest: int = 40) -> Bucket:
    """A short lower-case name; its slashes are replaced, since they separate the features of a key.

    >>> category()("US-West")
    'us-west'
    """

    def bucket(fact: Fact) -> str:
        return MISSING if fact is None or fact == "" else str(fact).strip().lower()[:longest].replace("/", "_")

    return bucket


def hashed() -> Bucket:
    """A hash, as it is.

    >>> hashed()(7421)
    '7421'
    """
    return lambda fact: MISSING if fact is None else str(fact)


def magnitude(fact: Fact) -> str:
    """Any scalar a caller sends: text and flags as they are, small counts too, other numbers by sign and power of two.

    >>> magnitude(300), magnitude(-0.2), magnitude(3), magnitude("gpu"), magnitude(True)
    ('+8', '-n3', '=3', 'gpu', 'true')
    """
    if not _is_number(fact):
        return category()(fact)
    number = float(fact)  # type: ignore[arg-type]
    if number == 0:
        return "0"
    if number.is_integer() and 0 < number < COUNTED:
        return f"={number:.0f}"
    power = int(log2(abs(number)) // 1)
    return f"{'+' if number > 0 else '-'}{'n' if power < 0 else ''}{abs(power)}"


def _is_number(fact: Fact) -> bool:
    return isinstance(fact, int | float) and not isinstance(fact, bool) and isfinite(fact)
