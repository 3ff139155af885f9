"""Estimators by hand, against transcriptions of their formulas on drawn logs, and against a truth that is known."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.evaluation import dm, dr, dr_os, importance_weights, ips, model_values, snips, switch_dr

N, A, TAU, LAM = 500, 4, 3.0, 7.0


class Log:
    """Drawn decisions of a policy that prefers one action, and another policy to judge."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.truth = rng.random((N, A))
        behaviour = rng.dirichlet(np.ones(A), N)
        self.target = rng.dirichlet(np.ones(A), N)
        self.actions = np.array([rng.choice(A, p=row) for row in behaviour])
        self.propensities = behaviour[np.arange(N), self.actions]
        self.rewards = (rng.random(N) < self.truth[np.arange(N), self.actions]).astype(float)
        self.q = np.clip(self.truth + rng.normal(0, 0.1, (N, A)), 0, 1)
        self.weights = importance_weights(self.target, self.actions, self.propensities)
        self.model, self.baseline = self.q[np.arange(N), self.actions], model_values(self.target, self.q)
        self.taken = (self.rewards, self.weights, self.model, self.baseline)


def transcribed(log: Log, correction: Callable[[float], float], start: bool = True) -> float:
    """Decision by decision, action by action, as the papers write it."""
    total = 0.0
    for i in range(N):
        a = log.actions[i]
        weight = log.target[i][a] / log.propensities[i]
        value = sum(log.target[i][b] * log.q[i][b] for b in range(A)) if start else 0.0
        total += value + correction(weight) * (log.rewards[i] - (log.q[i][a] if start else 0.0))
    return total / N


def test_every_estimator_is_its_formula(seed: int) -> None:
    log = Log(seed)
    taken = log.taken
    mean_weight = sum(log.target[i][log.actions[i]] / log.propensities[i] for i in range(N)) / N
    expected = {
        "ips": (ips(*taken[:2]), transcribed(log, lambda w: w, start=False)),
        "snips": (snips(*taken[:2]), transcribed(log, lambda w: w / mean_weight, start=False)),
        "dm": (dm(log.baseline), transcribed(log, lambda w: 0.0)),
        "dr": (dr(*taken), transcribed(log, lambda w: w)),
        "switch_dr": (switch_dr(*taken, tau=TAU), transcribed(log, lambda w: w if w <= TAU else 0.0)),
        "dr_os": (dr_os(*taken, lam=LAM), transcribed(log, lambda w: LAM * w / (w * w + LAM))),
    }
    for name, (terms, value) in expected.items():
        assert terms.mean() == pytest.approx(value, abs=1e-12), name


def test_two_decisions_by_hand() -> None:
    """A coin chose between two actions; the target takes the first with .9. Weights are 1.8 and 0.2."""
    target = np.array([[0.9, 0.1], [0.9, 0.1]])
    rewards, q = np.array([1.0, 0.0]), np.array([[0.5, 0.2], [0.5, 0.2]])
    weights = importance_weights(target, np.array([0, 1]), np.array([0.5, 0.5]))
    assert weights.tolist() == [1.8, 0.2]
    assert ips(rewards, weights).mean() == pytest.approx(0.9)
    assert snips(rewards, weights).mean() == pytest.approx(1.8 / 2.0)
    baseline = model_values(target, q)
    assert baseline.tolist() == pytest.approx([0.47, 0.47])
    # 0.47 + (1.8 * (1 - 0.5) + 0.2 * (0 - 0.2)) / 2
    assert dr(rewards, weights, np.array([0.5, 0.2]), baseline).mean() == pytest.approx(0.9)
    assert switch_dr(rewards, weights, np.array([0.5, 0.2]), baseline, tau=1.0).mean() == pytest.approx(0.45)


def test_estimates_agree_with_the_truth_on_average(seed: int) -> None:
    """Unbiased ones over 200 logs: within four standard errors of what the target is worth."""
    logs = [Log(seed + n) for n in range(200)]
    truths = np.array([(log.target * log.truth).sum(axis=1).mean() for log in logs])
    for name, values in {
        "ips": [ips(*log.taken[:2]).mean() for log in logs],
        "dr": [dr(*log.taken).mean() for log in logs],
    }.items():
        wrong = np.array(values) - truths
        assert abs(wrong.mean()) < 4 * wrong.std() / np.sqrt(len(logs)), name


def test_a_right_model_leaves_less_noise(seed: int) -> None:
    logs = [Log(seed + n) for n in range(100)]
    truths = [(log.target * log.truth).sum(axis=1).mean() for log in logs]
    errors = {
        name: np.std([of(log).mean() - truth for log, truth in zip(logs, truths, strict=True)])
        for name, of in {"ips": lambda g: ips(*g.taken[:2]), "dr": lambda g: dr(*g.taken)}.items()
    }
    assert errors["dr"] < 0.8 * errors["ips"]


@given(
    st.lists(st.tuples(st.floats(-3, 5), st.floats(0, 1000), st.floats(0.001, 1)), min_size=1, max_size=50).filter(
        lambda rows: sum(weight for _, weight, _ in rows) > 1e-100
    )
)
def test_the_self_normalised_estimate_stays_within_the_rewards(rows: list[tuple[float, float, float]]) -> None:
    rewards, weights, _ = (np.array(column) for column in zip(*rows, strict=True))
    assert rewards.min() - 1e-9 <= snips(rewards, weights).mean() <= rewards.max() + 1e-9


def test_the_policy_that_logged_is_worth_what_it_earned(seed: int) -> None:
    """All weights are 1, and nothing is estimated."""
    log = Log(seed)
    ones = np.ones(N)
    for terms in (ips(log.rewards, ones), snips(log.rewards, ones)):
        assert terms.mean() == pytest.approx(log.rewards.mean())
