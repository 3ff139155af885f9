"""Rate limits at every figure of the tiers, on a clock that moves when it is told to, and the shares of replicas."""

import random
from collections import deque

import pytest

from controlplane.clock import FixedClock
from controlplane.errors import RateLimited
from controlplane.tenants import Call, MemoryLimiter
from controlplane.tenants.limits import PER_MINUTE, WINDOW, WINDOW_S, quota

CALLS: tuple[Call, ...] = ("decide", "feedback", "capture", "search", "reflect", "read")
EVERY = [(tier, call) for tier in PER_MINUTE for call in CALLS]
ONE_OF_A_FIGURE: tuple[Call, ...] = ("decide", "capture", "search")  # the others have the figure of one of these
MINUTES = [
    *((tier, call, 2) for tier in PER_MINUTE for call in ONE_OF_A_FIGURE),
    *(pytest.param(tier, call, 5, marks=pytest.mark.nightly) for tier, call in EVERY),
]


def admitted(limiter: MemoryLimiter, tier: str, call: Call, among: int = 1) -> bool:
    try:
        limiter.share("acme", tier, call, among)
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
    limiter, figure = MemoryLimiter(FixedClock()), quota(tier, call) or 0
    assert sum(admitted(limiter, tier, call) for _ in range(figure + 50)) == figure


def test_every_figure_is_tried_and_is_a_whole_number_of_microseconds() -> None:
    figures = [{quota(tier, call) for tier, call in EVERY}, {quota(t, c) for t in PER_MINUTE for c in ONE_OF_A_FIGURE}]
    assert figures[0] == figures[1]
    assert {WINDOW % figure for figure in figures[0] if figure} == {0}


@pytest.mark.parametrize(("tier", "call", "minutes"), MINUTES)
def test_no_window_ever_holds_more_than_the_quota_and_what_was_saved_up(
    seed: int, tier: str, call: Call, minutes: int
) -> None:
    """Any 60 seconds: at most a full burst and what a minute brings; a caller who keeps trying gets 99 % of it."""
    clock, figure, rng = FixedClock(), quota(tier, call) or 0, random.Random(f"{seed} {tier} {call}")
    limiter, passed = MemoryLimiter(clock), deque[float]()
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


@pytest.mark.parametrize("replicas", [2, 3, 4, 10])
def test_the_shares_of_all_replicas_together_are_no_more_than_the_limit(replicas: int) -> None:
    """At once, and then minute by minute."""
    clock = FixedClock()
    limiters = [MemoryLimiter(clock) for _ in range(replicas)]
    for _ in range(3):
        passed = [admitted(limiter, "free", "capture", replicas) for limiter in limiters for _ in range(20)]
        assert 10 - replicas < sum(passed) <= 10
        clock.advance(WINDOW_S)


def test_a_share_begins_with_what_was_left_of_the_whole() -> None:
    """Six of ten calls are left: three for each of two."""
    limiter = MemoryLimiter(FixedClock())
    assert sum(admitted(limiter, "free", "capture") for _ in range(4)) == 4
    assert sum(admitted(limiter, "free", "capture", among=2) for _ in range(20)) == 3


def test_among_very_many_replicas_each_still_lets_one_call_through() -> None:
    limiter = MemoryLimiter(FixedClock())
    assert [admitted(limiter, "free", "capture", among=50) for _ in range(2)] == [True, False]
