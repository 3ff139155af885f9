"""Tree backup: decisions that led to each other are folded from the last one back; numbers worked by hand."""

from itertools import pairwise

import pytest

from strategist import Link, Policy, PolicySettings, Situation, State, Step, StepSize, Transition, td

GAMMA = 0.9
ACTIONS = ("left", "right")


@pytest.fixture
def policy() -> Policy:
    """alpha 1/2; B: left 0.4, right 0.2; C: left 0.1, right 0.5."""
    return knowing(PolicySettings(gamma=GAMMA, update="tree_backup", step=StepSize(alpha=0.5)))


def knowing(settings: PolicySettings) -> Policy:
    policy = Policy(settings)
    for key, action, value in (("B", "left", 0.4), ("B", "right", 0.2), ("C", "left", 0.1), ("C", "right", 0.5)):
        policy.table.put(key, action, value, visits=3)
    return policy


def at(name: str, *probabilities: float) -> Situation:
    return Situation(State(((name,),)), ACTIONS, None, (), probabilities)


A, B, C = at("A", 0.5, 0.5), at("B", 0.25, 0.75), at("C", 0.5, 0.5)


def went(here: Situation, reward: float, after: Situation | None) -> Transition:
    """Right, whatever the values say."""
    steps = (Step(here, "right"),)
    if after is None:
        return Transition.termination(steps, reward)
    return Transition.transition(steps, reward, GAMMA, after)


def walk() -> list[Link]:
    """A, B, C and the end, with rewards 0.1, 0.2 and 1, last first."""
    return [Link(went(C, 1.0, None)), Link(went(B, 0.2, C), 0), Link(went(A, 0.1, B), 1)]


def value(policy: Policy, name: str, action: str) -> float:
    return policy.table.read(State(((name,),)), (action,))[0]


def test_what_came_of_the_action_taken_next_stands_in_its_place_and_the_others_are_expected() -> None:
    """0.5 + 0.9 * (0.75 * 0.4 + 0.25 * 2) = 1.22; where it came as expected, it is expected Sarsa's 0.725."""
    assert td.tree_backup(0.5, 0.9, (0.4, -0.2), (0.75, 0.25), 1, 2.0) == pytest.approx(1.22, rel=1e-12)
    assert td.tree_backup(0.5, 0.9, (0.4, -0.2), (0.75, 0.25), 1, -0.2) == pytest.approx(0.725, rel=1e-12)
    assert td.tree_backup(0.5, 0.0, (0.4, -0.2), (0.75, 0.25), 1, 2.0) == 0.5


def test_a_walk_is_folded_from_its_end_as_by_hand(policy: Policy) -> None:
    """
    | step | target                                         | value before | after   |
    | C    | 1                                              | 0.5          | 0.75    |
    | B    | 0.2 + 0.9 * (0.5 * 0.1 + 0.5 * 1)    = 0.695   | 0.2          | 0.4475  |
    | A    | 0.1 + 0.9 * (0.25 * 0.4 + 0.75 * 0.695) = 0.659125 | 0        | 0.3295625 |
    """
    updates = policy.fold_back(walk())
    assert [u.target for u in updates] == pytest.approx([1.0, 0.695, 0.659125], rel=1e-12)
    assert [u.q_before for u in updates] == pytest.approx([0.5, 0.2, 0.0], rel=1e-12)
    assert [value(policy, name, "right") for name in "CBA"] == pytest.approx([0.75, 0.4475, 0.3295625], rel=1e-12)
    assert policy.updates == 3


def test_returns_are_made_of_the_values_before_any_of_them_moved(policy: Policy) -> None:
    """C comes three times: right, right, left and the end with 1.

    The second has 0.9 * (0.5 * 0.5 + 0.5 * 1) = 0.675, the first 0.9 * (0.5 * 0.1 + 0.5 * 0.675) = 0.34875, with left
    worth 0.1 as it was, not the 0.55 it was moved to.
    """
    again = Transition.transition((Step(C, "right"),), 0.0, GAMMA, C)
    updates = policy.fold_back([Link(Transition.termination((Step(C, "left"),), 1.0)), Link(again, 0), Link(again, 1)])
    assert [u.target for u in updates] == pytest.approx([1.0, 0.675, 0.34875], rel=1e-12)


def corridor(cells: int) -> list[Link]:
    """Through all of it, with a reward at the end alone."""
    places = [at(f"cell{n}", 0.5, 0.5) for n in range(cells)]
    moves = [went(here, 0.0, after) for here, after in pairwise(places)]
    forth = [*moves, went(places[-1], 1.0, None)]
    return [Link(move, place - 1 if place else None) for place, move in enumerate(reversed(forth))]


def test_a_reward_at_the_end_reaches_the_beginning_in_one_walk_and_step_by_step_in_five() -> None:
    multi, single = (Policy(PolicySettings(gamma=GAMMA, update=rule)) for rule in ("tree_backup", "q_learning"))
    multi.fold_back(corridor(5))
    assert value(multi, "cell0", "right") == pytest.approx((GAMMA * 0.5) ** 4, rel=1e-12)
    reached = []
    for _ in range(5):
        for link in reversed(corridor(5)):
            single.fold(link.transition)
        reached.append(value(single, "cell0", "right") > 0.0)
    assert reached == [False, False, False, False, True]


def test_two_that_led_to_the_same_one_both_take_what_came_of_it(policy: Policy) -> None:
    links = [Link(went(C, 1.0, None)), Link(went(B, 0.2, C), 0), Link(went(A, 0.1, C), 0)]
    assert [u.target for u in policy.fold_back(links)] == pytest.approx([1.0, 0.695, 0.595], rel=1e-12)


def test_one_alone_is_expected_sarsas(policy: Policy) -> None:
    """0.2 + 0.9 * (0.5 * 0.1 + 0.5 * 0.5) = 0.47."""
    assert policy.fold(went(B, 0.2, C)).target == pytest.approx(0.47, rel=1e-12)


def test_where_no_probabilities_were_logged_the_best_is_taken_and_nothing_is_passed_on(policy: Policy) -> None:
    """0.2 + 0.9 * 0.5 = 0.65, though the end brought 1."""
    unlogged = Transition.transition((Step(B, "right"),), 0.2, GAMMA, at("C"))
    assert policy.fold_back([Link(went(C, 1.0, None)), Link(unlogged, 0)])[1].target == pytest.approx(0.65, rel=1e-12)


@pytest.mark.parametrize("rule", ["q_learning", "expected_sarsa"])
def test_a_rule_of_one_step_folds_the_same_decisions_one_after_the_other(rule: str) -> None:
    settings = PolicySettings(gamma=GAMMA, update=rule, step=StepSize(alpha=0.5))  # type: ignore[arg-type]
    together, alone = knowing(settings), knowing(settings)
    assert together.fold_back(walk()) == [alone.fold(link.transition) for link in walk()]
    assert list(together.table.cells()) == list(alone.table.cells())


def test_the_heads_of_a_decision_are_two_steps_of_the_walk(policy: Policy) -> None:
    """The tier, drawn with 0.4, earned 1: it is worth 1, the verdict 0.4 * 1 + 0.6 * 0.3 = 0.58.

    What led there goes on with the verdict: 0 + 0.9 * (0.5 * 0 + 0.5 * 0.58) = 0.261.
    """
    policy.table.put("tier", "premium", 0.3, visits=3)
    verdict = Situation(State((("verdict",),)), ACTIONS, None, (), (0.5, 0.5))
    tier = Situation(State((("tier",),)), ("cheap", "premium"), None, (), (0.4, 0.6))
    ended = Transition.termination((Step(verdict, "right"), Step(tier, "cheap")), 1.0)
    updates = policy.fold_back([Link(ended), Link(went(A, 0.0, verdict), 0)])
    assert value(policy, "tier", "cheap") == pytest.approx(0.5, rel=1e-12)
    assert [u.target for u in updates] == pytest.approx([0.58, 0.261], rel=1e-12)


def test_what_is_learnt_of_again_takes_one_step() -> None:
    """B comes again with expected Sarsa's target, and counts no visit."""
    policy = knowing(PolicySettings(gamma=GAMMA, update="tree_backup", step=StepSize(alpha=0.5), replayed=1))
    policy.experience.add(went(B, 0.2, C))
    policy.fold(went(A, 0.0, None))
    assert value(policy, "B", "right") == pytest.approx(0.2 + 0.5 * (0.47 - 0.2), rel=1e-12)
