"""Linear values: a weight for every key and word, moved down the squared error; worked by hand."""

import random
from math import sqrt

import pytest

from strategist import State
from strategist.linear import CAUTION, MASK, RATE, LinearValues, features, hashed_words

HERE = State((("root", "root/x"),), hashed_words(["disk", "full"]))
EMPTY = State((("root",),))


def test_state_is_known_by_its_finer_keys_and_its_words() -> None:
    assert len(features(HERE)) == 3
    assert features(EMPTY) == []
    assert features(HERE) == sorted(features(HERE))
    assert all(0 <= place <= MASK for place in features(HERE))


def test_nothing_is_added_before_anything_is_learnt() -> None:
    assert LinearValues().read(HERE, ("a", "b")) == [0.0, 0.0]


def test_step_is_adagrads() -> None:
    """Three features, each seen as 1 / sqrt(4): an error of 1 gives each a gradient of -0.5, so
    a weight of RATE * 0.5 / sqrt(CAUTION + 0.25); the value is the sum of three times half of that."""
    linear = LinearValues()
    linear.move(HERE, "a", 1.0)
    weight = RATE * 0.5 / sqrt(CAUTION + 0.25)
    assert linear.read(HERE, ("a", "b")) == pytest.approx([3 * 0.5 * weight, 0.0], rel=1e-12)
    linear.move(HERE, "a", -0.2)
    weight -= RATE * 0.1 / sqrt(CAUTION + 0.25 + 0.01)
    assert linear.read(HERE, ("a",)) == pytest.approx([3 * 0.5 * weight], rel=1e-12)


def test_what_was_learnt_of_a_word_speaks_wherever_it_stands() -> None:
    linear = LinearValues()
    for _ in range(50):
        linear.move(State((("root",),), hashed_words(["disk", "full"])), "a", 1.0)
    (elsewhere,) = linear.read(State((("other",),), hashed_words(["disk", "empty"])), ("a",))
    (unknown,) = linear.read(State((("other",),), hashed_words(["cpu", "idle"])), ("a",))
    assert elsewhere > unknown == 0.0


def test_weights_come_back_as_they_were() -> None:
    rng, linear, again = random.Random(1), LinearValues(), LinearValues()
    for _ in range(100):
        words = hashed_words([f"w{rng.randrange(30)}" for _ in range(5)])
        linear.move(State((("r",),), words), rng.choice("ab"), rng.gauss(0.0, 1.0))
    for row in linear.rows():
        again.put(*row)
    assert list(again.rows()) == list(linear.rows())
    assert len(linear) == len(list(linear.rows())) > 30
