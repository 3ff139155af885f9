"""A Redis that goes away in every way, at any time: nobody sees an error, and no more is let through than was said."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from controlplane.redis import RedisAway
from controlplane.tenants import Call, RedisLimiter
from controlplane.tenants.limits import Left

from .limits import HOW, Crowd, MakeLimiter
from .loop import SimulatedLoop
from .process import heard, uncollected

TROUBLES, FEW = 10, 3  # in one world
ENOUGH = 8  # worlds within which a weaker limiter is found out


def played(
    seed: int, troubles: int, make: MakeLimiter = RedisLimiter, how: Sequence[str] = HOW
) -> tuple[list[str], Crowd]:
    """What was wrong, and whoever was there."""
    rng = random.Random(seed)
    loop = SimulatedLoop(rng)
    asyncio.set_event_loop(loop)
    try:
        with heard() as defects, uncollected():
            crowd = Crowd(loop, rng, make, how)
            wrong = loop.run_until_complete(crowd.run(troubles))
            loop.run_until_complete(loop.kill(list(loop.alive)))
        return [*wrong, *defects, *loop.defects], crowd
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.mark.parametrize("worlds", [2, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_however_redis_goes_away_callers_see_no_error_and_pass_as_the_limit_says(worlds: int, seed: int) -> None:
    happened = Counter[str]()
    for n in range(worlds):
        wrong, crowd = played(seed + n, TROUBLES)
        assert wrong == [], f"--seed {seed + n}: {wrong[:5]}"
        happened += crowd.happened
    assert {*HOW, "refused", "found", "not found"} <= happened.keys()
    print(dict(happened))


def test_the_same_seed_lets_the_same_calls_through(seed: int) -> None:
    runs = [played(seed, FEW)[1] for _ in range(2)]
    assert [run.passed for run in runs] == [runs[0].passed] * 2
    assert runs[0].happened == runs[1].happened


class Generous(RedisLimiter):
    """Counts the whole limit while Redis is away."""

    async def take(self, tenant: str, tier: str, call: Call) -> Left | None:
        self._link.replicas = 1
        return await super().take(tenant, tier, call)


class Forgetful(RedisLimiter):
    """Begins anew each time that Redis goes away."""

    async def _counted(self, tenant: str, call: Call, every: int) -> tuple[bool, int]:
        try:
            return await super()._counted(tenant, call, every)
        except RedisAway:
            if self._told:
                self._here = type(self._here)(self._here._clock)
                self._told.clear()
            raise


class Silent(RedisLimiter):
    """Does not tell Redis what it let through meanwhile."""

    async def _counted(self, tenant: str, call: Call, every: int) -> tuple[bool, int]:
        self._told.setdefault((tenant, call), 0)
        return await super()._counted(tenant, call, every)


@pytest.mark.parametrize(("weaker", "how"), [(Generous, "killed"), (Forgetful, "killed"), (Silent, "paused")])
def test_the_simulation_finds_what_a_weaker_limiter_breaks(weaker: MakeLimiter, how: str, seed: int) -> None:
    for number in range(seed, seed + ENOUGH):
        if wrong := played(number, FEW, weaker, (how,))[0]:
            print(f"found with seed {number}: {wrong[0]}")
            return
    pytest.fail(f"{ENOUGH} seeds found nothing wrong")
