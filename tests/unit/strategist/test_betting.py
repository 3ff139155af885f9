"""A lower bound that may be looked at after every number: too high no more often than it says, and high soon enough."""

import random
from collections.abc import Callable
from math import log1p

import msgspec
import pytest

from strategist.betting import ALPHA, ENOUGH, GRID, LowerBound

Draw = Callable[[random.Random], float]


def heavy(rng: random.Random) -> float:
    """As importance weights are: mostly a small loss, seldom a large gain, 0 on average."""
    return 9.0 if rng.random() < 0.1 else -1.0


def rare(rng: random.Random) -> float:
    return 99.0 if rng.random() < 0.01 else -1.0


def even(rng: random.Random) -> float:
    return rng.choice((-1.0, 1.0))


@pytest.mark.parametrize("draw", [heavy, rare, even])
@pytest.mark.parametrize("runs", [80, pytest.param(3000, marks=pytest.mark.nightly)])
def test_a_mean_of_zero_is_hardly_ever_taken_for_more_however_often_one_looks(draw: Draw, runs: int, seed: int) -> None:
    """Looked at after each of 300 numbers; what may be is ALPHA of the runs, and four standard errors of chance."""
    rng, wrong = random.Random(seed), 0
    for _ in range(runs):
        bound, at_most = LowerBound(), 0.0
        for _ in range(300):
            bound.add(draw(rng))
            at_most = max(at_most, bound.low)
        wrong += at_most > 0.0
    print(f"{wrong} of {runs}")
    assert wrong / runs <= ALPHA + 4.0 * (ALPHA * (1.0 - ALPHA) / runs) ** 0.5


def test_a_mean_that_is_above_zero_is_found_out_and_never_overshot(seed: int) -> None:
    """0.5 on average, of numbers between -1 and 9."""
    rng, bound = random.Random(seed), LowerBound()
    for _ in range(3000):
        bound.add(9.0 if rng.random() < 0.15 else -1.0)
    assert 0.0 < bound.low <= 0.5


def test_nothing_is_known_at_first_and_a_bound_that_was_reached_stays() -> None:
    bound = LowerBound()
    assert bound.low == -1.0
    for _ in range(60):
        bound.add(1.0)
    reached = bound.low
    assert reached > 0.0
    for _ in range(500):
        bound.add(-1.0)
    assert bound.low >= reached


def test_the_stakes_are_as_worked_by_hand() -> None:
    """Before the second number: mean 0.5, spread (10 + 0) / (10 + 1). The stake at m = 0 is 0.5 / (10/11 + 0.25)."""
    bound = LowerBound()
    bound.add(0.5)
    assert (bound.mean, bound.wealth) == (0.5, [log1p(-m / (1.0 + m * m) * (0.5 - m)) if m < 0 else 0.0 for m in GRID])
    bound.add(1.0)
    assert bound.wealth[GRID.index(0.0)] == pytest.approx(log1p(0.5 / (10.0 / 11.0 + 0.25)), rel=1e-12)


def test_what_it_knows_does_not_grow_and_comes_back_whole(seed: int) -> None:
    rng, bound, sizes = random.Random(seed), LowerBound(), set()
    for _ in range(400):
        bound.add(heavy(rng))
        sizes.add(len(msgspec.msgpack.encode(bound)))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(bound), type=LowerBound)
    assert again == bound
    assert max(sizes) < 500
    assert min(bound.wealth) > -1e9
    assert max(bound.wealth) < ENOUGH + 10.0


def test_no_number_that_may_come_loses_everything() -> None:
    """A wider loss is staked less on: with `least` 20, -20 leaves a quarter."""
    bound = LowerBound()
    for _ in range(50):
        bound.add(5.0, 20.0)
    before = list(bound.wealth)
    bound.add(-20.0, 20.0)
    assert all(log1p(-0.75) - 1e-9 <= now - then <= 0.0 for now, then in zip(bound.wealth, before, strict=True))
