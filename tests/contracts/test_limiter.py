"""Both limiters, on a clock that moves when it is told to: what is let through, when, and what is said of it.

That of replicas stands on a real Redis, and on the one of the simulation.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from controlplane.clock import FixedClock
from controlplane.errors import RateLimited
from controlplane.redis import Link
from controlplane.telemetry import Metrics
from controlplane.tenants import Call, Limiter, MemoryLimiter, RedisLimiter
from controlplane.tenants.limits import WINDOW_S, quota
from controlplane.tenants.redis_limits import GCRA

from ..simulation.redis_server import SimulatedLink, SimulatedRedis

FIGURES: list[tuple[str, Call]] = [
    *((tier, call) for tier in ("free", "starter", "pro") for call in ("decide", "capture", "search")),
    *(("enterprise", call) for call in ("capture", "search")),
]
KEPT_TRYING: list[tuple[str, Call]] = [("free", "capture"), ("free", "search"), ("starter", "search")]
PATIENT_S = 1.0  # of a round: this machine may be busy
Make = Callable[[FixedClock], Limiter]


@pytest.fixture(params=["memory", "simulated", pytest.param("redis", marks=pytest.mark.services)])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes an empty limiter that counts by a clock."""
    async with AsyncExitStack() as ending:
        if request.param == "memory":
            yield MemoryLimiter
            return
        if request.param == "simulated":
            link: Link = SimulatedLink(SimulatedRedis(time.monotonic, random.Random(1)), "limits", PATIENT_S)
        else:
            link = Link(request.getfixturevalue("redis").url, "limits", PATIENT_S)
        ending.push_async_callback(link.close)
        link.script(GCRA)
        await link.beat()
        yield lambda clock: RedisLimiter(link, clock, Metrics(), redis_clock=clock)


async def admitted(limiter: Limiter, tier: str, call: Call, tenant: str = "acme") -> bool:
    try:
        await limiter.take(tenant, tier, call)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize(("tier", "call"), FIGURES)
async def test_a_minutes_quota_may_be_used_at_once_and_not_one_call_more(make: Make, tier: str, call: Call) -> None:
    limiter, figure = make(FixedClock()), quota(tier, call) or 0
    assert sum(await asyncio.gather(*(admitted(limiter, tier, call) for _ in range(figure + 50)))) == figure


@pytest.mark.parametrize(("tier", "call"), KEPT_TRYING)
async def test_no_window_ever_holds_more_than_the_quota_and_what_was_saved_up(
    make: Make, seed: int, tier: str, call: Call
) -> None:
    """Any 60 seconds: at most a full burst and what a minute brings; a caller who keeps trying gets 99 % of it."""
    clock, figure, rng = FixedClock(), quota(tier, call) or 0, random.Random(f"{seed} {tier} {call}")
    limiter, passed = make(clock), deque[float]()
    step, total = WINDOW_S / figure / 3, 0
    for _ in range(6 * figure):
        clock.advance(step * rng.choice((0.0, 1.0, 2.0)))
        if await admitted(limiter, tier, call):
            total += 1
            passed.append(clock.monotonic())
            while passed[0] <= clock.monotonic() - WINDOW_S:
                passed.popleft()
            assert len(passed) <= 2 * figure
    allowed = figure + figure * (clock.monotonic() - FixedClock().monotonic()) / WINDOW_S
    assert total <= allowed + 1
    assert total >= min(6 * figure, 0.99 * allowed - 1)


async def test_a_refusal_says_when_to_come_back_and_then_lets_through(make: Make) -> None:
    clock = FixedClock()
    limiter = make(clock)
    for _ in range(10):
        await limiter.take("acme", "free", "capture")
    with pytest.raises(RateLimited, match="10 capture calls a minute") as refused:
        await limiter.take("acme", "free", "capture")
    headers = refused.value.headers
    assert headers == {"RateLimit-Policy": '"capture";q=10;w=60', "RateLimit": '"capture";r=0;t=60', "Retry-After": "6"}
    clock.advance(5.99)
    assert not await admitted(limiter, "free", "capture")
    clock.advance(0.02)
    assert await admitted(limiter, "free", "capture")


async def test_what_is_left_is_told_call_by_call(make: Make) -> None:
    clock = FixedClock()
    limiter = make(clock)
    seen = [await limiter.take("acme", "free", "capture") for _ in range(3)]
    assert [left.remaining for left in seen if left] == [9, 8, 7]
    assert [left.full_in_s for left in seen if left] == [6, 12, 18]
    clock.advance(600.0)
    left = await limiter.take("acme", "free", "capture")
    assert left is not None
    assert left.headers == {"RateLimit-Policy": '"capture";q=10;w=60', "RateLimit": '"capture";r=9;t=6'}


async def test_a_noisy_neighbour_and_other_kinds_of_calls_cost_nothing(make: Make) -> None:
    limiter = make(FixedClock())
    while await admitted(limiter, "free", "capture", "noisy"):
        pass
    assert await admitted(limiter, "free", "capture", "quiet")
    assert await admitted(limiter, "free", "search", "noisy")


async def test_who_has_no_limit_is_not_counted(make: Make) -> None:
    limiter = make(FixedClock())
    assert [await limiter.take("acme", "local", "capture") for _ in range(3)] == [None] * 3


async def test_a_clock_that_stands_still_or_a_long_pause_breaks_nothing(make: Make) -> None:
    clock = FixedClock()
    limiter = make(clock)
    assert sum([await admitted(limiter, "free", "capture") for _ in range(100)]) == 10
    clock.advance(10**7)
    assert sum([await admitted(limiter, "free", "capture") for _ in range(100)]) == 10
