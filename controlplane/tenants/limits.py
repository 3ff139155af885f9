"""How often a tenant may call: the generic cell rate algorithm (ITU-T I.371), in whole microseconds.

A quota of q calls a minute lets a call through every 60/q seconds; who was quiet may make up to q at once. Each
tenant and kind of call has its own, so nobody's haste costs anybody else.
"""

from typing import Literal, NamedTuple, Protocol

from ..clock import Clock
from ..contract import Tier
from ..errors import RateLimited

Call = Literal["decide", "feedback", "capture", "search", "reflect", "read"]
WINDOW_S = 60
_S = 10**6  # microseconds
WINDOW = WINDOW_S * _S
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


class Limiter(Protocol):
    """Counts everybody's calls."""

    async def take(self, tenant: str, tier: str, call: Call) -> Left | None:
        """Count a call; what is left after it, None where there is no limit.

        Raises:
          RateLimited: there is none left; the error says when there will be.
        """
        ...


class MemoryLimiter:
    """In this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[tuple[str, Call], int] = {}  # when the next call would be due if all came evenly [us]

    async def take(self, tenant: str, tier: str, call: Call) -> Left | None:
        return self.share(tenant, tier, call, 1)

    def share(self, tenant: str, tier: str, call: Call, among: int) -> Left | None:
        """The same where so many limiters count, each its part. Raises RateLimited."""
        per_minute = quota(tier, call)
        if per_minute is None:
            return None
        per_minute = max(1, per_minute // among)
        every, ahead = WINDOW // per_minute, self.ahead(tenant, call)
        passes = ahead + every <= WINDOW
        self.note(tenant, call, ahead + every if passes else ahead)
        return left_after(call, per_minute, ahead + every if passes else ahead, passes=passes)

    def ahead(self, tenant: str, call: Call) -> int:
        """How far ahead of now the next call is due [us]."""
        return max(0, self._due.get((tenant, call), 0) - self._now())

    def note(self, tenant: str, call: Call, ahead: int) -> None:
        """Take over how far ahead of now the next call is due [us]."""
        self._due[tenant, call] = self._now() + ahead

    def _now(self) -> int:
        return int(self._clock.monotonic() * _S)


def left_after(call: Call, per_minute: int, ahead: int, *, passes: bool) -> Left:
    """What is left while the next call is due so far ahead of now [us].

    Raises:
      RateLimited: the call does not pass.
    """
    every = WINDOW // per_minute
    if passes:
        return Left(call, per_minute, (WINDOW - ahead) // every, _seconds(ahead))
    headers = Left(call, per_minute, 0, _seconds(ahead)).headers
    said = f"{per_minute} {call} calls a minute are let through for this tenant"
    raise RateLimited(said, _seconds(ahead + every - WINDOW), headers)


def _seconds(microseconds: int) -> int:
    """Whole seconds, rounded up: waiting so long is enough."""
    return -(-microseconds // _S)
