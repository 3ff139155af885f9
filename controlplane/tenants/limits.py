"""How often a tenant may call: the generic cell rate algorithm (ITU-T I.371), in whole nanoseconds.

A quota of q calls a minute lets a call through every 60/q seconds; who was quiet may make up to q at once. Each
tenant and kind of call has its own, so nobody's haste costs anybody else.
"""

from typing import Literal, NamedTuple

from ..clock import Clock
from ..contract import Tier
from ..errors import RateLimited

Call = Literal["decide", "feedback", "capture", "search", "reflect", "read"]
WINDOW_S = 60
_S = 10**9  # nanoseconds
_FREQUENT = 10  # times the search figure: what an agent does at every step

# Calls a minute (the Vritti seed's table); local has no limit.
_CAPTURE, _SEARCH, _REFLECT = "capture", "search", "reflect"
PER_MINUTE: dict[Tier, dict[str, int]] = {
    "free": {_CAPTURE: 10, _SEARCH: 20, _REFLECT: 10},
    "starter": {_CAPTURE: 100, _SEARCH: 200, _REFLECT: 100},
    "pro": {_CAPTURE: 500, _SEARCH: 1000, _REFLECT: 500},
    "enterprise": {_CAPTURE: 2000, _SEARCH: 5000, _REFLECT: 2000},
}


def quota(tier: str, call: Call) -> int | None:
    """Calls a minute; None for no limit.

    >>> quota("pro", "reflect"), quota("free", "decide"), quota("local", "decide")
    (500, 200, None)
    """
    figures = PER_MINUTE.get(tier)  # type: ignore[call-overload]
    return None if figures is None else figures.get(call, _FREQUENT * figures[_SEARCH])


class Left(NamedTuple):
    """What a tenant has left of a kind of call: so many at once, all of them again in so many seconds."""

    call: Call
    per_minute: int
    remaining: int
    full_in_s: int

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11)."""
        return {
            "RateLimit-Policy": f'"{self.call}";q={self.per_minute};w={WINDOW_S}',
            "RateLimit": f'"{self.call}";r={self.remaining};t={self.full_in_s}',
        }


class Limiter:
    """Counts everybody's calls. One process: what several share is the scale-out's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._arrival: dict[tuple[str, Call], int] = {}  # when the next call would be due if all came evenly [ns]

    def take(self, tenant: str, tier: str, call: Call) -> Left | None:
        """Count a call; what is left after it, None where there is no limit.

        Raises:
          RateLimited: there is none left; the error says when there will be.
        """
        per_minute = quota(tier, call)
        if per_minute is None:
            return None
        now, every = int(self._clock.monotonic() * _S), WINDOW_S * _S // per_minute
        due = max(now, self._arrival.get((tenant, call), 0)) + every
        over = due - now - WINDOW_S * _S
        if over > 0:
            left = Left(call, per_minute, 0, _seconds(due - every - now))
            raise RateLimited(
                f"{per_minute} {call} calls a minute are what this tenant's tier allows", _seconds(over), left.headers
            )
        self._arrival[tenant, call] = due
        return Left(call, per_minute, -over // every, _seconds(due - now))


def _seconds(nanoseconds: int) -> int:
    """Whole seconds, rounded up: waiting so long is enough."""
    return -(-nanoseconds // _S)
