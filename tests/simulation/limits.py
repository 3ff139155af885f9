"""Replicas that count calls and keep values together in a Redis that goes away in every way, at times a seed draws."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from controlplane.errors import RateLimited
from controlplane.redis import RedisCache
from controlplane.redis.link import BEAT_S, CONNECT_S, DEADLINE_S, LOOK_S
from controlplane.telemetry import Metrics
from controlplane.tenants import Call, RedisLimiter
from controlplane.tenants.limits import WINDOW_S, quota

from .loop import SimulatedClock, SimulatedLoop
from .redis_server import SimulatedLink, SimulatedRedis

REPLICAS = 3
KINDS: list[tuple[str, str, Call]] = [("acme", "free", "search"), ("zeta", "starter", "capture")]  # tenant, tier, call
THINKS_S, AWAY_S, CALM_S = (0.1, 0.6), (0.5, 45.0), (3.0, 12.0)
HOW = ("killed", "paused", "slow", "flushed", "full", "cut")
BACK_S, HEARD_S = 5.0, BEAT_S + CONNECT_S  # within which Redis is in use again; in which each replica hears that it is
LONGEST_S = 2 * (DEADLINE_S + LOOK_S)  # that a call may take for its sake
SECRET, TTL_S = bytes(range(32)), 60.0
LEAST = 0.7  # of the quota, that a caller who keeps trying is let in, however often Redis goes away
MakeLimiter = Callable[..., RedisLimiter]


class Trouble:
    """One time that Redis was not as it should be."""

    def __init__(self, how: str, since: float) -> None:
        self.how, self.since, self.lasted = how, since, 0.0


class Crowd:
    """Replicas, callers that keep trying at each of them, and what was let through."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random, make: MakeLimiter, how: Sequence[str]) -> None:
        self.loop, self.rng, self.clock = loop, rng, SimulatedClock(loop)
        self.redis = SimulatedRedis(loop.time, rng)
        self.links = [SimulatedLink(self.redis, "r") for _ in range(REPLICAS)]
        self.limiters = [make(link, self.clock, Metrics()) for link in self.links]
        self.caches = [RedisCache(link, SECRET, "thing", TTL_S) for link in self.links]
        self.passed: list[str] = []  # whose
        self.happened = Counter[str]()
        self.troubles: list[Trouble] = []
        self.wrong: list[str] = []
        self._how = how
        self._put: defaultdict[bytes, set[bytes | None]] = defaultdict(lambda: {None})

    async def run(self, troubles: int) -> list[str]:
        """So many times of trouble; what is wrong in the end."""
        if self.rng.random() < 0.5:
            self.redis.values[self.links[0].born] = b"%d" % -(WINDOW_S * 10**6)  # it has counted for long
        beside = [self.loop.create_task(link.watch()) for link in self.links]
        await asyncio.sleep(2 * BEAT_S)
        begun = self.loop.time()
        calling = [self.loop.create_task(work) for at in range(REPLICAS) for work in self._callers(at)]
        for _ in range(troubles):
            await asyncio.sleep(self.rng.uniform(*CALM_S))
            await self._trouble()
        elapsed = self.loop.time() - begun
        self.wrong += [str(task.exception()) for task in calling if task.done() and task.exception() is not None]
        for task in (*calling, *beside):
            task.cancel()
        await asyncio.gather(*calling, *beside, return_exceptions=True)
        return self.wrong + [wrong for kind in KINDS for wrong in self._let_in(*kind, elapsed)]

    def _callers(self, at: int) -> list[Any]:
        return [*(self._calls(at, *kind) for kind in KINDS), self._keeps(at)]

    async def _calls(self, at: int, tenant: str, tier: str, call: Call) -> None:
        """One after the other; some go away before they are answered, and what is let through then counts, too."""
        while True:
            await asyncio.sleep(self.rng.uniform(*THINKS_S))
            asking = self.loop.create_task(self._take(at, tenant, tier, call))
            gone_after = self.rng.choice((None, None, None, None, 0.0, 0.001))
            if gone_after is not None:
                await asyncio.wait({asking}, timeout=gone_after)
                asking.cancel()
            await asyncio.gather(asking, return_exceptions=gone_after is not None)

    async def _take(self, at: int, tenant: str, tier: str, call: Call) -> None:
        asked_at = self.loop.time()
        try:
            await self.limiters[at].take(tenant, tier, call)
        except RateLimited:
            self.happened["refused"] += 1
        else:
            self.passed.append(tenant)
        if (took := self.loop.time() - asked_at) > LONGEST_S:
            self.wrong.append(f"a call of {tenant} took {took:g} s at replica {at}")

    async def _keeps(self, at: int) -> None:
        """Puts values and looks them up: what is found was put there."""
        while True:
            await asyncio.sleep(self.rng.uniform(*THINKS_S))
            key = b"k%d" % self.rng.randrange(4)
            if self.rng.random() < 0.5:
                self._put[key].add(value := b"%d" % self.rng.randrange(10**9))
                await self.caches[at].put(key, value)
            elif (found := await self.caches[at].get(key)) not in self._put[key]:
                self.wrong.append(f"{found!r} was found under {key!r}")
            else:
                self.happened["found" if found else "not found"] += 1

    async def _trouble(self) -> None:
        """Redis goes away in some way, comes back, and everybody uses it again in time."""
        how, redis = self.rng.choice(self._how), self.redis
        self.happened[how] += 1
        self.troubles.append(trouble := Trouble(how, self.loop.time()))
        match how:
            case "killed":
                redis.kill()
            case "paused":
                redis.pause()
            case "slow":
                redis.slow = True
            case "flushed":
                redis.flush()
            case "full":
                redis.full = True
            case "cut":
                redis.cut = self.rng.choice(self.links).way
        await asyncio.sleep(0.0 if how == "flushed" else self.rng.uniform(*AWAY_S))
        trouble.lasted = self.loop.time() - trouble.since
        redis.start()
        redis.go_on()
        redis.slow, redis.full, redis.cut = False, False, None
        await asyncio.sleep(BACK_S)
        if away := [link.trouble for link in self.links if link.trouble is not None]:
            self.wrong.append(f"{BACK_S:g} s after Redis was {how} it is not used: {away}")

    def _let_in(self, tenant: str, tier: str, call: Call, elapsed: float) -> list[str]:
        """What docs/scale.md allows, for callers who keep trying everywhere, so that no share is saved up."""
        per_minute = quota(tier, call) or 0
        rate, passed = per_minute / WINDOW_S, self.passed.count(tenant)
        most = per_minute + rate * elapsed + sum(self._beyond(rate, trouble) for trouble in self.troubles)
        told = f"{passed} {call} calls of {tenant} in {elapsed:g} s"
        if passed > most:
            return [f"{told}, and not more than {most:g} are allowed"]
        return [] if passed >= LEAST * rate * elapsed - per_minute else [f"{told}, too few"]

    def _beyond(self, rate: float, trouble: Trouble) -> float:
        """Each replica's call that others did not know of, and its share until it hears that Redis is back.

        Where only some are cut off, the others' limit holds beside their share.
        """
        share = rate / REPLICAS
        some = (REPLICAS - 1) * share * (trouble.lasted + HEARD_S) if trouble.how in ("slow", "cut") else 0.0
        return some + REPLICAS * (1 + share * (HEARD_S + 1.0 / rate))
