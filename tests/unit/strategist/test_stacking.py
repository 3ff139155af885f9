"""Stacking: an estimate that is right gains weight, one that misleads loses it; worked by hand."""

import random
from math import sqrt

import pytest

from strategist.stacking import CAUTION, MOST, RATE, Stacking


def test_every_estimate_counts_its_share_at_first() -> None:
    assert Stacking().weight("text") == 1.0


def test_step_goes_down_the_squared_error_of_the_whole() -> None:
    """Error 0.4, share 0.5: gradient -0.2."""
    stacking = Stacking()
    stacking.move(["text", "silent"], [0.5, 0.0], 0.4)
    assert stacking.weight("text") == pytest.approx(1.0 + RATE * 0.2 / sqrt(CAUTION + 0.04), rel=1e-12)
    assert stacking.weight("silent") == 1.0
    assert [name for name, *_ in stacking.rows()] == ["text"]


def test_estimate_that_is_right_outweighs_one_that_is_noise() -> None:
    rng, stacking = random.Random(3), Stacking()
    for _ in range(3000):
        truth, noise = rng.gauss(0.0, 1.0), rng.gauss(0.0, 1.0)
        value = 0.5 * stacking.weight("right") * truth + 0.5 * stacking.weight("noise") * noise
        stacking.move(["right", "noise"], [0.5 * truth, 0.5 * noise], truth - value)
    assert stacking.weight("right") == pytest.approx(2.0, abs=0.2)
    assert stacking.weight("noise") < 0.2


def test_weights_stay_between_nothing_and_three_times_the_share() -> None:
    stacking = Stacking()
    for _ in range(500):
        stacking.move(["up", "down"], [1.0, -1.0], 9.0)
    assert (stacking.weight("up"), stacking.weight("down")) == (MOST, 0.0)


def test_weights_come_back_as_they_were() -> None:
    stacking, again = Stacking(), Stacking()
    stacking.move(["a", "b"], [0.1, 0.2], 0.7)
    for row in stacking.rows():
        again.put(*row)
    assert list(again.rows()) == list(stacking.rows())
