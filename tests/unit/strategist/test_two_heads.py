"""A gate decision is two steps of one trajectory: the verdict, then the tier of the reflection behind it.

The numbers are worked by hand.
"""

import random

import pytest

from strategist import Eligible, Policy, PolicySettings, Situation, State, Step, StepSize, Transition

VERDICTS = ("PROCEED", "HINT", "REWRITE")
HERE = State((("v",),))
AFTER_REWRITE = HERE.after("verdict", "REWRITE")
NEXT = Situation(State((("n",),)), ("PROCEED", "BLOCK"))


@pytest.fixture
def policy() -> Policy:
    """alpha 1/2, gamma 0.9; next: PROCEED 0.4, BLOCK 0.1; REWRITE 0.1 with tiers cheap 0.2 and premium 0.7."""
    policy = Policy(PolicySettings(gamma=0.9, step=StepSize(alpha=0.5)))
    for key, action, value in (
        ("n", "PROCEED", 0.4),
        ("n", "BLOCK", 0.1),
        ("v", "PROCEED", 3.0),
        ("v", "REWRITE", 0.1),
        ("verdict=REWRITE>v", "cheap", 0.2),
        ("verdict=REWRITE>v", "premium", 0.7),
        ("verdict=HINT>v", "cheap", 9.0),
        ("n", "cheap", 8.0),
    ):
        policy.table.put(key, action, value, visits=3)
    return policy


def steps(*tiers: str) -> tuple[Step, ...]:
    return Step(Situation(HERE, VERDICTS), "REWRITE"), Step(Situation(AFTER_REWRITE, tiers), "cheap")


def cell(policy: Policy, key: str, action: str) -> float:
    return next(value for k, a, value, _ in policy.table.cells() if (k, a) == (key, action))


def test_tier_step_has_the_reward_and_bootstraps_on_the_best_eligible_verdict_of_the_next_decision(
    policy: Policy,
) -> None:
    """Target 0.5 + 0.9 * 0.4 = 0.86; cheap goes half of the way from 0.2: 0.53."""
    policy.fold(Transition.transition(steps("cheap", "premium"), 0.5, 0.9, NEXT))
    assert cell(policy, "verdict=REWRITE>v", "cheap") == pytest.approx(0.53, rel=1e-12)


def test_verdict_step_has_reward_0_discount_1_and_bootstraps_on_the_best_eligible_tier_given_the_verdict(
    policy: Policy,
) -> None:
    """Target 0 + 1 * max(0.53, 0.7) = 0.7; REWRITE goes half of the way from 0.1: 0.4."""
    update = policy.fold(Transition.transition(steps("cheap", "premium"), 0.5, 0.9, NEXT))
    assert (update.target, update.q_before) == (0.7, 0.1)
    assert cell(policy, "v", "REWRITE") == pytest.approx(0.4, rel=1e-12)


def test_where_one_tier_only_could_answer_the_verdict_takes_what_came_of_it(policy: Policy) -> None:
    """Nothing was chosen there: the target is the tier step's own 0.86, so 0.1 + 0.76 / 2 = 0.48."""
    update = policy.fold(Transition.transition(steps("cheap"), 0.5, 0.9, NEXT))
    assert update.target == pytest.approx(0.86, rel=1e-12)
    assert cell(policy, "v", "REWRITE") == pytest.approx(0.48, rel=1e-12)


def test_tier_step_comes_before_the_verdict_step_and_masked_tiers_do_not_count(policy: Policy) -> None:
    """Premium is masked: the verdict bootstraps on the better of cheap's *new* 0.53 and what is unknown, 0."""
    update = policy.fold(Transition.transition(steps("cheap", "cached"), 0.5, 0.9, NEXT))
    assert update.target == pytest.approx(0.53, rel=1e-12)
    assert cell(policy, "v", "REWRITE") == pytest.approx(0.315, rel=1e-12)


def test_no_maximum_runs_across_both_heads(policy: Policy) -> None:
    """Verdicts worth 3.0, another verdict's tier worth 9.0 and a tier's value at the next key stay out of it."""
    policy.fold(Transition.transition(steps("cheap", "premium"), 0.5, 0.9, NEXT))
    assert cell(policy, "v", "PROCEED") == 3.0
    assert cell(policy, "verdict=HINT>v", "cheap") == 9.0
    assert max(cell(policy, "v", "REWRITE"), cell(policy, "verdict=REWRITE>v", "cheap")) < 1.0


def test_two_heads_are_one_folded_decision(policy: Policy) -> None:
    policy.fold(Transition.termination(steps("cheap"), 1.0))
    assert policy.updates == 1


def test_proceed_has_one_step_and_takes_the_reward_target_directly(policy: Policy) -> None:
    """Target 0.5 + 0.9 * 0.4 = 0.86: 3.0 goes half of the way, to 1.93."""
    proceed = (Step(Situation(HERE, VERDICTS), "PROCEED"),)
    policy.fold(Transition.transition(proceed, 0.5, 0.9, NEXT))
    assert cell(policy, "v", "PROCEED") == pytest.approx(1.93, rel=1e-12)


def test_tier_state_is_the_verdicts_state_given_the_verdict() -> None:
    state = State((("a/", "a//x"), ("b/",)))
    assert state.after("verdict", "HINT").chains == (("verdict=HINT>a/", "verdict=HINT>a//x"), ("verdict=HINT>b/",))
    assert state.after("verdict", "HINT") != state.after("verdict", "REWRITE")


def test_each_head_is_chosen_by_its_own_values(policy: Policy) -> None:
    frozen = Policy(PolicySettings(mode="frozen"))
    frozen.action_values = policy.action_values
    rng = random.Random(0)
    verdict = frozen.choose("verdict", HERE, Eligible(actions=("HINT", "REWRITE")), rng)
    tier = frozen.choose("tier", HERE.after("verdict", verdict.action), Eligible(actions=("cheap", "premium")), rng)
    assert (verdict.action, tier.action) == ("REWRITE", "premium")
