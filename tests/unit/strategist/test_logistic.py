"""Logistic regression: log odds of hashed features, moved towards what happened; worked by hand."""

from math import log, sqrt
from random import Random

import pytest

from strategist.logistic import CAUTION, RATE, LogisticRegression, scale, sigmoid


def test_nothing_is_said_before_anything_is_learnt() -> None:
    assert LogisticRegression().log_odds([1, 2, 3]) == 0.0
    assert sigmoid(0.0) == 0.5


def test_step_is_adagrads() -> None:
    """Fifteen features, each seen as 16 ** -0.25 = 0.5: an error of 1 gives each a gradient of -0.5, so
    a weight of RATE * 0.5 / sqrt(CAUTION + 0.25); the log odds are fifteen times half of that."""
    model, places = LogisticRegression(), list(range(15))
    assert scale(places) == 0.5
    model.move(places, 1.0)
    weight = RATE * 0.5 / sqrt(CAUTION + 0.25)
    assert model.log_odds(places) == pytest.approx(15 * 0.5 * weight, rel=1e-12)
    model.move(places, -0.2)
    weight -= RATE * 0.1 / sqrt(CAUTION + 0.25 + 0.01)
    assert model.log_odds(places) == pytest.approx(15 * 0.5 * weight, rel=1e-12)


def test_it_comes_to_how_often_things_happen(seed: int) -> None:
    rng, model, chances = Random(seed), LogisticRegression(), {1: 0.1, 2: 0.5, 3: 0.9}
    for _ in range(20_000):
        place = rng.choice([1, 2, 3])
        model.move([0, place], (rng.random() < chances[place]) - sigmoid(model.log_odds([0, place])))
    for place, chance in chances.items():
        assert sigmoid(model.log_odds([0, place])) == pytest.approx(chance, abs=0.08)


def test_rows_give_the_same_weights_again() -> None:
    model = LogisticRegression()
    model.move([5, 3], 0.4)
    again = LogisticRegression(model.rows())
    assert [*again.rows()] == [*model.rows()]
    assert again.log_odds([3]) == model.log_odds([3]) != 0.0


def test_log_odds_beyond_all_doubt_are_cut() -> None:
    assert sigmoid(1e9) == sigmoid(30.0) < 1.0
    assert sigmoid(-1e9) == sigmoid(-30.0) > 0.0
    assert log(sigmoid(2.0) / (1.0 - sigmoid(2.0))) == pytest.approx(2.0)
