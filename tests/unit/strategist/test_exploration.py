"""Exploration rules: every one is a probability for every eligible action, and what is unsure is tried more."""

import random
from collections import Counter
from math import erf, exp, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist import BackoffTable, Eligible, EpsilonDecay, Policy, PolicySettings, State, StepSize
from strategist.exploration import (
    EXPLORATION_RULES,
    EpsilonGreedy,
    ExplorationRule,
    InverseGap,
    Softmax,
    Thompson,
    Ucb,
    sample,
)

HERE = State((("s",),))
RULES: list[ExplorationRule] = [rule() for rule in EXPLORATION_RULES.values()]
EPSILON = 0.1
values = st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=8)


def mixed(rule: ExplorationRule, q: list[float], variances: list[float], updates: int = 100) -> tuple[float, ...]:
    return rule.over(q, EPSILON, updates, lambda: variances).probabilities()


def policy(rule: ExplorationRule, known: dict[str, tuple[float, int]]) -> Policy:
    """A policy that has learnt (value, visits) of some actions, and has no uniform share."""
    made = Policy(PolicySettings(exploration=rule, epsilon=EpsilonDecay(start=0.0)))
    for action, (value, visits) in known.items():
        made.table.put("s", action, value, visits)
    return made


@pytest.mark.parametrize("rule", RULES, ids=EXPLORATION_RULES)
@given(q=values, updates=st.integers(0, 10**9), data=st.data())
def test_every_rule_gives_every_action_its_floor_and_all_together_1(
    rule: ExplorationRule, q: list[float], updates: int, data: st.DataObject
) -> None:
    variances = data.draw(st.lists(st.floats(0.001, 1.0), min_size=len(q), max_size=len(q)))
    probabilities = mixed(rule, q, variances, updates)
    assert len(probabilities) == len(q)
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-9)
    assert min(probabilities) >= EPSILON / len(q) * (1 - 1e-9)


@pytest.mark.parametrize("rule", RULES, ids=EXPLORATION_RULES)
def test_actions_are_drawn_as_often_as_the_probabilities_say(rule: ExplorationRule) -> None:
    rng, mixture = random.Random(5), rule.over([0.3, 0.5, 0.45], EPSILON, 100, lambda: [0.1, 0.02, 0.2])
    drawn = Counter(sample(mixture, rng.random())[0] for _ in range(20_000))
    for action, probability in enumerate(mixture.probabilities()):
        spread = sqrt(20_000 * probability * (1 - probability))
        assert abs(drawn[action] - 20_000 * probability) < 5 * spread


@pytest.mark.parametrize("rule", RULES, ids=EXPLORATION_RULES)
def test_the_larger_of_two_values_that_are_as_sure_is_likelier(rule: ExplorationRule) -> None:
    worse, better = mixed(rule, [0.2, 0.4], [0.1, 0.1])
    assert better > worse


def test_softmax_gives_odds_of_e_for_each_temperature() -> None:
    a, b = Softmax(0.2).over([0.1, 0.5], 0.0, 0, list).probabilities()
    assert b / a == pytest.approx(exp(2.0), rel=1e-12)


def test_inverse_gap_is_as_in_the_paper_and_sharper_the_more_was_learnt() -> None:
    """gamma = 5 * sqrt(1 + 15) = 20: 1 / (2 + 20 * 0.1) for the one behind."""
    assert InverseGap(5.0).over([0.5, 0.4], 0.0, 15, list).probabilities() == pytest.approx((0.75, 0.25), rel=1e-12)
    assert InverseGap(5.0).over([0.5, 0.4], 0.0, 10_000, list).probabilities()[1] < 0.02


def test_ucb_takes_what_may_yet_be_the_best() -> None:
    """0.4 + bonus * sqrt(log(101) * 0.25) passes 0.5 + bonus * sqrt(log(101) * 0.01) from a bonus of 0.117 on."""
    turning = 0.1 / (sqrt(log(101)) * (0.5 - 0.1))
    for bonus, expected in ((turning * 0.99, (1.0, 0.0)), (turning * 1.01, (0.0, 1.0))):
        assert Ucb(bonus).over([0.5, 0.4], 0.0, 100, lambda: [0.01, 0.25]).probabilities() == expected


def test_thompson_is_how_likely_each_is_the_best() -> None:
    """Of two normal values that is Phi of their distance in standard deviations of their difference."""
    first, second = Thompson(0.3).over([0.5, 0.4], 0.0, 0, lambda: [0.04, 0.09]).probabilities()
    expected = 0.5 * (1 + erf(0.1 / (0.3 * sqrt(0.04 + 0.09)) / sqrt(2)))
    assert (first, second) == pytest.approx((expected, 1 - expected), abs=1e-3)


@pytest.mark.parametrize("rule", [Ucb(), Thompson()], ids=["ucb", "thompson"])
def test_what_was_tried_little_is_tried_more(rule: ExplorationRule) -> None:
    chosen = policy(rule, {"known": (0.5, 50), "new": (0.5, 1)}).choose(
        "arm", HERE, Eligible(actions=("known", "new")), random.Random(1)
    )
    assert chosen.probabilities[1] >= chosen.probabilities[0]


def test_a_choice_below_the_best_value_counts_as_exploration() -> None:
    made, rng = policy(Softmax(1.0), {"a": (0.0, 9), "b": (0.5, 9)}), random.Random(2)
    chosen = [made.choose("arm", HERE, Eligible(actions=("a", "b")), rng) for _ in range(200)]
    assert {(c.action, c.exploration) for c in chosen} == {("a", "explore"), ("b", "exploit")}


def test_who_does_not_explore_takes_the_best_under_every_rule() -> None:
    for rule in RULES:
        made = policy(rule, {"a": (0.0, 1), "b": (0.5, 9)}).unexploring()
        assert made.choose("arm", HERE, Eligible(actions=("a", "b")), random.Random(3)).probabilities == (0.0, 1.0)


def test_variance_of_a_blended_value_follows_its_weights() -> None:
    """Coarse 1/4; fine w = 10/20, 1/10: 0.25 * 0.1 + 0.25 * 0.25. A tiling where nothing is known: 1."""
    table = BackoffTable(StepSize(), 10.0)
    table.put("c", "a", 0.2, visits=4)
    table.put("c/f", "a", 0.4, visits=10)
    assert table.variances(State((("c", "c/f"),)), ("a", "b")) == pytest.approx([0.0875, 1.0], rel=1e-12)
    assert table.variances(State((("c", "c/f"), ("x",))), ("a",)) == pytest.approx([(0.0875 + 1.0) / 2], rel=1e-12)


def test_the_default_is_epsilon_greedy() -> None:
    assert PolicySettings().exploration == EpsilonGreedy()
