"""Choosing: a probability for every eligible action, one draw, and everything needed to do it again."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist import (
    Eligible,
    EpsilonDecay,
    HeadChoice,
    Mode,
    NoEligibleAction,
    Policy,
    PolicySettings,
    Situation,
    State,
)

HERE = State((("s",),))
VALUES = {"a": 0.1, "b": 0.9, "c": 0.9, "d": -1.0}
EXACT = EpsilonDecay(start=0.2)


class Logged:
    """The draws of a trace, drawn again."""

    def __init__(self, *draws: float) -> None:
        self._draws = list(draws)

    def random(self) -> float:
        return self._draws.pop(0)


def policy(mode: Mode = "learning", values: dict[str, float] | None = None, epsilon: EpsilonDecay = EXACT) -> Policy:
    made = Policy(PolicySettings(mode=mode, epsilon=epsilon))
    for action, value in (VALUES if values is None else values).items():
        made.table.put("s", action, value, visits=7)
    return made


def choose(made: Policy, actions: tuple[str, ...], draw: float = 0.5, rule: str | None = None) -> HeadChoice:
    return made.choose("verdict", HERE, Eligible(actions=actions), Logged(draw), rule)


def test_probabilities_are_the_floor_and_the_rest_for_the_best() -> None:
    """epsilon 0.2 over three actions: 0.0667 each, and 0.8 more for b."""
    chosen = choose(policy(), ("a", "b", "d"))
    assert chosen.probabilities == pytest.approx((0.2 / 3, 0.8 + 0.2 / 3, 0.2 / 3), rel=1e-12)
    assert chosen.q_values == (0.1, 0.9, -1.0)


def test_ties_share_the_rest_evenly() -> None:
    """0.05 each, and 0.4 more for b and for c."""
    assert choose(policy(), ("a", "b", "c", "d")).probabilities == pytest.approx((0.05, 0.45, 0.45, 0.05), rel=1e-12)


def test_unknown_state_is_a_tie_of_all() -> None:
    assert choose(policy(values={}), ("a", "b", "c", "d")).probabilities == pytest.approx((0.25,) * 4, rel=1e-12)


def test_only_eligible_actions_have_a_probability_and_the_masks_keep_their_reasons() -> None:
    masked = Eligible(actions=("a", "b", "d")).without("b", "the purse is empty").without("z", "was never in it")
    chosen = policy().choose("verdict", HERE, masked, Logged(0.99))
    assert chosen.actions == ("a", "d")
    assert len(chosen.probabilities) == 2
    assert chosen.masked == {"b": "the purse is empty"}
    assert chosen.action == "a"


def test_nothing_eligible_is_refused() -> None:
    with pytest.raises(NoEligibleAction, match="masked"):
        policy().choose("verdict", HERE, Eligible(actions=(), masked={"a": "no"}), Logged(0.5))


@pytest.mark.parametrize("mode", ["learning", "apprentice", "frozen"])
def test_single_eligible_action_has_propensity_1(mode: Mode) -> None:
    for draw in (0.0, 0.999999):
        chosen = choose(policy(mode), ("d",), draw, rule="a")
        assert (chosen.action, chosen.propensity, chosen.probabilities) == ("d", 1.0, (1.0,))
        assert chosen.exploration == "only"


def test_frozen_is_greedy_with_propensity_1() -> None:
    made = policy("frozen")
    for draw in (0.0, 0.01, 0.5, 0.999999):
        chosen = choose(made, ("a", "b", "d"), draw)
        assert (chosen.action, chosen.propensity, chosen.probabilities) == ("b", 1.0, (0.0, 1.0, 0.0))
    assert made.epsilon == 0.0


def test_frozen_tie_goes_to_one_action_always() -> None:
    assert {choose(policy("frozen"), ("c", "b"), draw).action for draw in (0.0, 0.3, 0.9)} == {"c"}


def test_apprentice_follows_the_rule_and_spreads_its_share_evenly_over_the_others() -> None:
    """0.95 for the rule, 0.05 / 3 for each other action, whatever the table says."""
    chosen = choose(policy("apprentice"), ("a", "b", "c", "d"), rule="d")
    assert chosen.probabilities == pytest.approx((0.05 / 3, 0.05 / 3, 0.05 / 3, 0.95), rel=1e-12)
    assert (chosen.action, chosen.exploration) == ("d", "rule")


def test_apprentice_whose_rule_is_masked_falls_back_on_the_table() -> None:
    chosen = choose(policy("apprentice"), ("a", "b"), rule="d")
    assert chosen.probabilities == pytest.approx((0.1, 0.9), rel=1e-12)


def test_rules_action_has_a_head_start_where_nothing_is_known() -> None:
    """The fixed rule is the prior: 0.8 for its action, 0 for the rest."""
    chosen = choose(policy(values={}), ("PROCEED", "HINT"), rule="HINT")
    assert chosen.q_values == (0.0, 0.8)
    assert chosen.action == "HINT"


def test_evidence_overrules_the_rule() -> None:
    chosen = choose(policy(values={"PROCEED": 0.2, "HINT": -0.4}), ("PROCEED", "HINT"), rule="HINT")
    assert (chosen.q_values, chosen.action) == ((0.2, -0.4), "PROCEED")


@pytest.mark.parametrize(("mode", "expected"), [("learning", "b"), ("frozen", "b"), ("apprentice", "d")])
def test_preferred_is_what_would_be_done_without_exploring(mode: Mode, expected: str) -> None:
    assert policy(mode).preferred(Situation(HERE, ("a", "b", "d"), "d")) == expected


def test_epsilon_of_a_policy_follows_its_updates() -> None:
    made = policy(epsilon=EpsilonDecay())
    made.updates = 1500
    assert made.epsilon == pytest.approx(0.05, rel=1e-12)


@pytest.mark.parametrize(
    ("draw", "action", "exploration"),
    [
        (0.0, "a", "explore"),  # the first tenth: uniform
        (0.099, "a", "explore"),
        (0.101, "b", "explore"),  # the second tenth: uniform, and by chance the best
        (0.2, "b", "exploit"),
        (0.999999, "b", "exploit"),
    ],
)
def test_draw_decides_action_and_whether_it_explored(draw: float, action: str, exploration: str) -> None:
    chosen = choose(policy(), ("a", "b"), draw)
    assert (chosen.action, chosen.exploration, chosen.draw) == (action, exploration, draw)
    assert chosen.propensity == pytest.approx({"a": 0.1, "b": 0.9}[action], rel=1e-12)


def test_logged_draw_recomputes_the_choice() -> None:
    made, rng = policy(), random.Random(3)
    for _ in range(50):
        chosen = made.choose("verdict", HERE, Eligible(actions=("a", "b", "c", "d")), rng)
        assert choose(made, chosen.actions, chosen.draw) == chosen


def test_same_seed_gives_the_same_choices() -> None:
    def played(seed: int) -> list[HeadChoice]:
        made, rng = policy(), random.Random(seed)
        return [made.choose("verdict", HERE, Eligible(actions=tuple("abcd")), rng) for _ in range(40)]

    assert played(11) == played(11)
    assert played(11) != played(12)


@pytest.mark.parametrize(
    ("mode", "rule"), [("learning", None), ("learning", "a"), ("apprentice", "a"), ("apprentice", None)]
)
def test_shares_of_evenly_spaced_draws_are_the_propensities(mode: Mode, rule: str | None) -> None:
    """Exactly, not statistically: 12,000 draws in the middle of equal slices of [0, 1)."""
    made, actions, slices = policy(mode), tuple("abcd"), 12_000
    counts = Counter(choose(made, actions, (i + 0.5) / slices, rule).action for i in range(slices))
    expected = dict(zip(actions, choose(made, actions, 0.5, rule).probabilities, strict=True))
    assert {a: counts[a] / slices for a in actions} == pytest.approx(expected, abs=2 / slices)


def test_empirical_frequencies_match_the_propensities() -> None:
    """Within four standard deviations of 10,000 draws, at a fixed seed."""
    made, rng, n = policy(), random.Random(2026), 10_000
    counts = Counter(made.choose("verdict", HERE, Eligible(actions=tuple("abcd")), rng).action for _ in range(n))
    for action, p in zip("abcd", choose(made, tuple("abcd")).probabilities, strict=True):
        assert abs(counts[action] / n - p) < 4 * (p * (1 - p) / n) ** 0.5


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(
    q=st.lists(st.floats(-2, 2), min_size=1, max_size=8),
    start=st.floats(0.02, 1),
    mode=st.sampled_from(["learning", "apprentice", "frozen"]),
    rule=st.one_of(st.none(), st.integers(0, 7)),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_every_choice_is_a_distribution_with_a_floor(
    q: list[float], start: float, mode: Mode, rule: int | None, draw: float
) -> None:
    actions = tuple(f"a{i}" for i in range(len(q)))
    epsilon = EpsilonDecay(start=start)
    made = policy(mode, dict(zip(actions, q, strict=True)), epsilon)
    named = f"a{rule}" if rule is not None else None
    chosen = choose(made, actions, draw, named)
    assert sum(chosen.probabilities) == pytest.approx(1.0, abs=1e-12)
    assert chosen.action in actions
    assert chosen.propensity == chosen.probabilities[actions.index(chosen.action)] > 0.0
    if len(actions) > 1 and mode != "frozen":
        share = 0.05 / (len(actions) - 1) if mode == "apprentice" and named in actions else start / len(actions)
        assert min(chosen.probabilities) >= share - 1e-12
