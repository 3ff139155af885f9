"""Rate limits on a clock that moves when it is told to: what is let through, when, and what is said of it."""

import random
from collections import deque

import pytest

from controlplane.clock import FixedClock
from controlplane.errors import RateLimited
from controlplane.tenants import Limiter
from controlplane.tenants.limits import PER_MINUTE, WINDOW_S, Call, quota

CALLS: tuple[Call, ...] = ("decide", "feedback", "capture", "search", "reflect", "read")
EVERY = [(tier, call) for tier in PER_MINUTE for call in CALLS]
ONE_OF_A_FIGURE: tuple[Call, ...] = ("decide", "capture", "search")  # the others have the figure of one of these
MINUTES = [
    *((tier, call, 2) for tier in PER_MINUTE for call in ONE_OF_A_FIGURE),
    *(pytest.param(tier, call, 5, marks=pytest.mark.nightly) for tier, call in EVERY),
]


def admitted(limiter: Limiter, tier: str, call: Call, tenant: str = "acme") -> bool:
    try:
        limiter.take(tenant, tier, call)
    except RateLimited:
        return False
    return True


def test_the_table_is_the_seeds() -> None:
    assert [[quota(tier, call) for call in ("capture", "search", "reflect")] for tier in PER_MINUTE] == [
        [10, 20, 10], [100, 200, 100], [500, 1000, 500], [2000, 5000, 2000],
    ]  # fmt: skip
    assert {quota(tier, call) for tier in PER_MINUTE for call in ("decide", "feedback")} == {200, 2000, 10_000, 50_000}
    assert {quota("local", call) for call in CALLS} == {None}


@pytest.mark.parametrize(("tier", "call"), EVERY)
def test_a_minutes_quota_may_be_used_at_once_and_not_one_call_more(tier: str, call: Call) -> None:
    limiter, figure = Limiter(FixedClock()), quota(tier, call) or 0
    assert sum(admitted(limiter, tier, call) for _ in range(figure + 50)) == figure


def test_every_figure_is_tried() -> None:
    figures = [{quota(tier, call) for tier, call in EVERY}, {quota(t, c) for t in PER_MINUTE for c in ONE_OF_A_FIGURE}]
    assert figures[0] == figures[1]


@pytest.mark.parametrize(("tier", "call", "minutes"), MINUTES)
def test_no_window_ever_holds_more_than_the_quota_and_what_was_saved_up(
    seed: int, tier: str, call: Call, minutes: int
) -> None:
    """Any 60 seconds: at most a full burst and what a minute brings; a caller who keeps trying gets 99 % of it."""
    clock, figure, rng = FixedClock(), quota(tier, call) or 0, random.Random(f"{seed} {tier} {call}")
    limiter, passed = Limiter(clock), deque[float]()
    step, total = WINDOW_S / figure / 3, 0
    for _ in range(3 * figure * minutes):
        clock.advance(step * rng.choice((0.0, 1.0, 2.0)))
        if admitted(limiter, tier, call):
            total += 1
            passed.append(clock.monotonic())
            while passed[0] <= clock.monotonic() - WINDOW_S:
                passed.popleft()
            assert len(passed) <= 2 * figure
    elapsed = clock.monotonic() - FixedClock().monotonic()
    allowed = figure + figure * elapsed / WINDOW_S
    assert total <= allowed + 1
    assert total >= min(3 * figure * minutes, 0.99 * allowed - 1)


def test_a_refusal_says_when_to_come_back_and_then_lets_through() -> None:
    clock = FixedClock()
    limiter = Limiter(clock)
    for _ in range(10):
        limiter.take("acme", "free", "capture")
    with pytest.raises(RateLimited, match="10 capture calls a minute") as refused:
        limiter.take("acme", "free", "capture")
    headers = refused.value.headers
    assert headers == {"RateLimit-Policy": '"capture";q=10;w=60', "RateLimit": '"capture";r=0;t=60', "Retry-After": "6"}
    clock.advance(5.99)
    assert not admitted(limiter, "free", "capture")
    clock.advance(0.02)
    assert admitted(limiter, "free", "capture")


def test_what_is_left_is_told_call_by_call() -> None:
    clock = FixedClock()
    limiter = Limiter(clock)
    seen = [limiter.take("acme", "free", "capture") for _ in range(3)]
    assert [left.remaining for left in seen if left] == [9, 8, 7]
    assert [left.full_in_s for left in seen if left] == [6, 12, 18]
    clock.advance(600.0)
    left = limiter.take("acme", "free", "capture")
    assert left is not None
    assert left.headers == {"RateLimit-Policy": '"capture";q=10;w=60', "RateLimit": '"capture";r=9;t=6'}


def test_a_noisy_neighbour_and_other_kinds_of_calls_cost_nothing() -> None:
    limiter = Limiter(FixedClock())
    while admitted(limiter, "free", "capture", "noisy"):
        pass
    assert admitted(limiter, "free", "capture", "quiet")
    assert admitted(limiter, "free", "search", "noisy")


def test_a_clock_that_stands_still_or_a_long_pause_breaks_nothing() -> None:
    clock = FixedClock()
    limiter = Limiter(clock)
    assert sum(admitted(limiter, "free", "capture") for _ in range(100)) == 10
    clock.advance(10**7)
    assert sum(admitted(limiter, "free", "capture") for _ in range(100)) == 10
