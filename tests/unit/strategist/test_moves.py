"""A share of a probability that moves before the draw: the sum stays, and the log has what was done."""

import random

import pytest

from strategist import Eligible, EpsilonDecay, Move, Policy, PolicySettings, State

STATE = State((("s",),))
ACTIONS = ("PROCEED", "HINT", "BLOCK")


def policy(epsilon: float = 0.3, mode: str = "learning") -> Policy:
    """One that prefers BLOCK."""
    made = Policy(PolicySettings(epsilon=EpsilonDecay(start=epsilon, floor=0.0), mode=mode))  # type: ignore[arg-type]
    made.table.put("s", "BLOCK", 0.5, 50)
    return made


def eligible(share: float, actions: tuple[str, ...] = ACTIONS) -> Eligible:
    return Eligible(actions=actions, move=Move("BLOCK", "HINT", share))


def test_a_quarter_of_what_block_is_preferred_by_goes_to_hint_and_is_logged() -> None:
    """Uniform 0.3, so that BLOCK is preferred by 0.7 besides 0.1: 0.175 of it moves."""
    choice = policy().choose("verdict", STATE, eligible(0.25), random.Random(1))
    assert choice.probabilities == pytest.approx((0.1, 0.275, 0.625))
    assert choice.move is not None
    assert choice.move.moved == pytest.approx(0.175)


def test_a_frozen_policy_lets_through_too_and_a_rule() -> None:
    frozen = policy(mode="frozen").choose("verdict", STATE, eligible(0.25), random.Random(1))
    assert frozen.probabilities == (0.0, 0.25, 0.75)
    ruled = policy(mode="apprentice").choose("verdict", STATE, eligible(0.25), random.Random(1), "BLOCK")
    assert ruled.probabilities == pytest.approx((0.025, 0.025 + 0.25 * 0.925, 0.025 + 0.75 * 0.925))


@pytest.mark.parametrize("actions", [("PROCEED", "HINT"), ("PROCEED", "BLOCK"), ("BLOCK",)])
def test_nothing_moves_where_either_is_masked(actions: tuple[str, ...]) -> None:
    assert policy().choose("verdict", STATE, eligible(0.25, actions), random.Random(1)).move is None


def test_nothing_moves_where_block_is_not_preferred() -> None:
    other = policy()
    other.table.put("s", "PROCEED", 0.9, 50)
    choice = other.choose("verdict", STATE, eligible(0.25), random.Random(1))
    assert (choice.move, choice.probabilities) == (None, pytest.approx((0.8, 0.1, 0.1)))


def test_draws_come_as_often_as_logged_and_those_that_were_let_through_say_so(seed: int) -> None:
    rng, one = random.Random(seed), policy()
    drawn = [one.choose("verdict", STATE, eligible(0.25), rng) for _ in range(4000)]
    share = sum(choice.action == "HINT" for choice in drawn) / len(drawn)
    assert share == pytest.approx(0.275, abs=0.03)
    audited = [choice for choice in drawn if choice.exploration == "audit"]
    assert {choice.action for choice in audited} == {"HINT"}
    assert len(audited) / len(drawn) == pytest.approx(0.175, abs=0.03)
    assert {c.exploration for c in drawn if c.action == "PROCEED"} == {"explore"}
