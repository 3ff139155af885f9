"""Estimators for whole tasks, by hand and against a world whose truth is known."""

import numpy as np
import pytest

from strategist.evaluation import doubly_robust, per_decision, weighted_per_decision
from strategist.evaluation.trajectories import weighted_influence


def test_two_steps_by_hand() -> None:
    """One task of two steps, discount .5: ratios 2 and .5, rewards 1 and 4."""
    rewards, ratios = np.array([[1.0, 4.0]]), np.array([[2.0, 0.5]])
    assert per_decision(rewards, ratios, 0.5).tolist() == [2.0 * 1.0 + 0.5 * (2.0 * 0.5) * 4.0]
    assert weighted_per_decision(rewards, ratios, 0.5).tolist() == [1.0 + 0.5 * 4.0]
    # last: 3 + .5 (4 - 2) = 4; first: 2 + 2 (1 + .5 * 4 - 1.5) = 5
    model, baseline = np.array([[1.5, 2.0]]), np.array([[2.0, 3.0]])
    assert doubly_robust(rewards, ratios, model, baseline, 0.5).tolist() == [5.0]


def test_a_task_that_is_shorter_counts_up_to_its_end() -> None:
    rewards, ratios = np.array([[1.0, 4.0], [3.0, 0.0]]), np.array([[2.0, 0.5], [0.5, 1.0]])
    assert per_decision(rewards, ratios, 1.0).tolist() == [6.0, 1.5]


def test_without_a_model_the_doubly_robust_one_weights_per_decision(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rewards, ratios, nothing = rng.random((50, 6)), rng.random((50, 6)) * 2, np.zeros((50, 6))
    expected = per_decision(rewards, ratios, 0.9)
    assert doubly_robust(rewards, ratios, nothing, nothing, 0.9) == pytest.approx(expected)


def test_every_estimator_is_its_formula(seed: int) -> None:
    """On drawn tasks, task by task and step by step, as the papers write it."""
    rng = np.random.default_rng(seed)
    tasks, steps, gamma = 40, 5, 0.9
    rewards, ratios = rng.random((tasks, steps)), rng.random((tasks, steps)) * 2
    model, baseline = rng.random((tasks, steps)), rng.random((tasks, steps))
    weight = [[np.prod(ratios[i, : t + 1]) for t in range(steps)] for i in range(tasks)]
    mean = [sum(weight[i][t] for i in range(tasks)) / tasks for t in range(steps)]
    plain = sum(gamma**t * weight[i][t] * rewards[i, t] for i in range(tasks) for t in range(steps)) / tasks
    normalised = sum(
        gamma**t * weight[i][t] / mean[t] * rewards[i, t] for i in range(tasks) for t in range(steps)
    ) / tasks  # fmt: skip

    def value(i: int, t: int) -> float:
        if t == steps:
            return 0.0
        return float(baseline[i, t] + ratios[i, t] * (rewards[i, t] + gamma * value(i, t + 1) - model[i, t]))

    robust = sum(value(i, 0) for i in range(tasks)) / tasks
    assert per_decision(rewards, ratios, gamma).mean() == pytest.approx(plain, abs=1e-12)
    assert weighted_per_decision(rewards, ratios, gamma).mean() == pytest.approx(normalised, abs=1e-12)
    assert weighted_influence(rewards, ratios, gamma).mean() == pytest.approx(normalised, abs=1e-12)
    assert doubly_robust(rewards, ratios, model, baseline, gamma).mean() == pytest.approx(robust, abs=1e-12)


@pytest.mark.parametrize("estimate", [per_decision, weighted_per_decision])
def test_tasks_of_a_coin_tell_what_a_bolder_policy_earns(estimate, seed: int) -> None:  # type: ignore[no-untyped-def]
    """Three steps; action 1 earns 1, action 0 nothing. A coin logged; the target takes action 1 with .8."""
    rng = np.random.default_rng(seed)
    actions = rng.integers(0, 2, (20_000, 3))
    ratios = np.where(actions == 1, 0.8, 0.2) / 0.5
    terms = estimate(actions.astype(float), ratios, 0.5)
    assert terms.mean() == pytest.approx(0.8 * (1 + 0.5 + 0.25), abs=5 * terms.std() / np.sqrt(len(terms)))
