"""Calls that all replicas count together, in one script of Redis; each counts its share while Redis is away."""

from importlib import resources

from ..clock import Clock
from ..redis import Link, RedisAway
from ..telemetry import Metrics
from .limits import WINDOW, Call, Left, MemoryLimiter, left_after, quota

GCRA = (resources.files(__package__) / "gcra.lua").read_text("utf-8")


class RedisLimiter:
    """What Redis last said is remembered here: neither its absence nor its loss of memory starts anybody anew."""

    def __init__(self, link: Link, clock: Clock, metrics: Metrics, redis_clock: Clock | None = None) -> None:
        """Redis counts by its own clock unless one is given; `clock` is this replica's."""
        self._link, self._metrics, self._redis_clock = link, metrics, redis_clock
        self._here, self._script = MemoryLimiter(clock), link.script(GCRA)
        self._told: dict[tuple[str, Call], int] = {}  # by Redis: when the next call is due [us of its clock]

    async def take(self, tenant: str, tier: str, call: Call) -> Left | None:
        per_minute = quota(tier, call)
        if per_minute is None:
            return None
        try:
            passes, ahead = await self._counted(tenant, call, WINDOW // per_minute)
        except RedisAway:
            self._metrics.degraded.labels("limits").inc()
            self._told.pop((tenant, call), None)
            return self._here.share(tenant, tier, call, self._link.replicas)
        self._here.note(tenant, call, ahead)
        return left_after(call, per_minute, ahead, passes=passes)

    async def _counted(self, tenant: str, call: Call, every: int) -> tuple[bool, int]:
        """Whether a call is let through, and how far ahead of now the next is due then [us]. Raises RedisAway."""
        told = self._told.get((tenant, call))
        ahead = self._here.ahead(tenant, call) if told is None else 0
        now = "" if self._redis_clock is None else int(self._redis_clock.monotonic() * 10**6)
        keys = (self._link.key("limit", tenant, call), self._link.born)
        counting = ("EVALSHA", self._script, 2, *keys, every, WINDOW, told or 0, ahead, now)
        passes, ahead, due = await self._link.ask(*counting)
        self._told[tenant, call] = due
        return bool(passes), ahead
