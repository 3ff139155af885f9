"""What a log cannot answer is said before a figure is made."""

import numpy as np
import pytest

from strategist.evaluation import Diagnostics, Seen, cross_fitted


def test_equal_weights_are_worth_every_decision() -> None:
    found = Diagnostics.of(np.ones(400), 0.0)
    assert (found.effective, found.largest_weight, found.mean_weight) == (400.0, 1.0, 1.0)
    assert found.refusals() == []


def test_one_weight_of_thousands_is_refused() -> None:
    weights = np.ones(10_000)
    weights[77] = 5000.0
    found = Diagnostics.of(weights, 0.0)
    assert found.effective < 10
    assert "one of them, of weight 5000.0, would be 33% of the figure" in found.refusals()


def test_few_effective_decisions_are_refused(seed: int) -> None:
    weights = np.where(np.arange(1000) % 100 == 0, 100.0, 0.0)
    assert Diagnostics.of(weights, 0.0).effective == pytest.approx(10.0)
    assert any("worth 10.0 of the policy's own" in why for why in Diagnostics.of(weights, 0.0).refusals())


def test_actions_that_the_log_could_not_take_are_refused() -> None:
    assert "a probability of 0.250" in Diagnostics.of(np.full(100, 0.75), 0.25).refusals()[0]


def test_propensities_that_are_not_those_of_the_draw_are_noticed(seed: int) -> None:
    """A coin logged that says it took each action with .8."""
    rng = np.random.default_rng(seed)
    target = np.where(rng.integers(0, 2, 5000) == 1, 0.7, 0.3)
    assert Diagnostics.of(target / 0.5, 0.0).refusals() == []
    assert any("not those with which" in why for why in Diagnostics.of(target / 0.8, 0.0).refusals())


def test_a_cross_fitted_model_does_not_know_the_decision_that_it_speaks_of() -> None:
    """Five decisions in one state, each alone in its fold: of one's own reward nothing is in its row."""
    rewards = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    states, actions = np.zeros(5, np.intp), np.zeros(5, np.intp)
    model = cross_fitted(Seen(states, actions, rewards, np.arange(5)), np.arange(5), actions)
    assert model[0] == 0.0
    assert all(model[1:] > 0.0)


def test_a_reward_model_shrinks_what_it_saw_seldom_towards_the_action(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states, actions = rng.integers(0, 3, 6000), rng.integers(0, 2, 6000)
    truth = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    rewards = (rng.random(6000) < truth[states, actions]).astype(float)
    for action in range(2):
        model = cross_fitted(
            Seen(states, actions, rewards, np.arange(6000) % 5), np.arange(6000), np.full(6000, action)
        )
        for state in range(3):
            assert model[states == state].mean() == pytest.approx(truth[state, action], abs=0.06)
