"""Intervals hold as often as they say, also over the log of a policy that learnt while it logged."""

import numpy as np
import pytest

from strategist.evaluation import Interval, anytime, bootstrap, ips, normal
from strategist.evaluation.intervals import lower_bound

MEANS, TARGET = np.array([0.3, 0.5, 0.6, 0.4]), np.array([0.1, 0.2, 0.6, 0.1])
TRUTH = float(MEANS @ TARGET)
ROWS, RUNS = 800, 200


def fixed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(rewards, weights) of a policy that stays as it is."""
    behaviour = np.array([0.15, 0.55, 0.15, 0.15])
    actions = rng.choice(4, ROWS, p=behaviour)
    return (rng.random(ROWS) < MEANS[actions]).astype(float), TARGET[actions] / behaviour[actions]


def learning(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same of one that takes what earned most so far, and anything with .2."""
    rewards, weights = np.empty(ROWS), np.empty(ROWS)
    visits, totals = np.ones(4), np.full(4, 0.5)
    for row in range(ROWS):
        behaviour = np.full(4, 0.05)
        behaviour[np.argmax(totals / visits)] += 0.8
        action = np.searchsorted(behaviour.cumsum(), rng.random())
        rewards[row], weights[row] = float(rng.random() < MEANS[action]), TARGET[action] / behaviour[action]
        visits[action] += 1
        totals[action] += rewards[row]
    return rewards, weights


def covered(interval, log, seed: int) -> float:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    held = [found.low <= TRUTH <= found.high for found in (interval(*log(rng)) for _ in range(RUNS))]
    return sum(held) / RUNS


def test_normal_intervals_hold_about_as_often_as_they_say(seed: int) -> None:
    assert 0.90 <= covered(lambda r, w: normal(ips(r, w)), fixed, seed) <= 0.99


def test_bootstrap_intervals_hold_about_as_often_as_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert 0.90 <= covered(lambda r, w: bootstrap(w * r, w, rng), fixed, seed) <= 0.99


@pytest.mark.parametrize("log", [fixed, learning])
def test_anytime_intervals_hold_at_least_as_often_as_they_say(log, seed: int) -> None:  # type: ignore[no-untyped-def]
    assert covered(lambda r, w: anytime(r, w, 0.0, 1.0), log, seed) >= 0.95


def test_anytime_bounds_hold_at_every_place_of_the_log_at_once(seed: int) -> None:
    """Somebody who looks twenty times is not deceived more often than somebody who looks once."""
    rng = np.random.default_rng(seed)
    deceived = 0
    for _ in range(100):
        terms = (rng.random(1000) < 0.3) / 1.0
        deceived += any(lower_bound(terms[:seen], 0.05) > 0.3 for seen in range(50, 1001, 50))
    assert deceived / 100 <= 0.05


def test_anytime_bounds_hold_for_a_mean_that_changes(seed: int) -> None:
    """As the value of a policy does that learns between two blocks; what is bounded is the mean over the log."""
    rng = np.random.default_rng(seed)
    means = np.repeat([0.1, 0.9, 0.2, 0.7], 200)
    deceived = sum(lower_bound((rng.random(800) < means) / 1.0, 0.05) > means.mean() for _ in range(200))
    assert deceived / 200 <= 0.05


def test_more_decisions_make_every_interval_narrower(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rewards, weights = (np.concatenate(parts) for parts in zip(*(fixed(rng) for _ in range(20)), strict=True))
    for interval in (
        lambda r, w: normal(ips(r, w)),
        lambda r, w: bootstrap(w * r, w, np.random.default_rng(seed)),
        lambda r, w: anytime(r, w, 0.0, 1.0),
    ):
        few, many = interval(rewards[:ROWS], weights[:ROWS]), interval(rewards, weights)
        assert many.high - many.low < 0.5 * (few.high - few.low)


def test_a_log_without_decisions_that_count_says_that_anything_is_possible() -> None:
    assert anytime(np.zeros(100), np.zeros(100), -2.0, 3.0) == Interval(-2.0, 3.0, approximate=False)


def test_a_large_log_has_the_interval_that_its_decisions_one_by_one_would_have(seed: int) -> None:
    """Grouped or not, it is as wide as the normal one."""
    rng = np.random.default_rng(seed)
    terms = rng.random(50_000) * 3
    grouped, plain = bootstrap(terms, np.ones(50_000), rng), normal(terms)
    assert grouped.high - grouped.low == pytest.approx(plain.high - plain.low, rel=0.15)
    assert grouped.low < terms.mean() < grouped.high
