"""A rule that folds trajectories: a scored decision waits until what followed it is over, then all fold, last first.

Probabilities are even over what was eligible, step sizes average, gamma is 0.9.
"""

from collections.abc import Callable
from typing import Any

import pytest

from auditor import State as LearntState
from auditor.events import Decided, Reported
from auditor.feedback import Outcome
from auditor.override import Override, Tuning
from auditor.policy_events import ChallengerSet, PolicySet
from auditor.rival import Rival, Spec
from strategist import PolicySettings
from strategist.types import MOST_HELD

from .story import GAMMA, Story, rules_of, trace_of

TREE = PolicySettings(gamma=GAMMA, update="tree_backup")
SURE = ("PROCEED",)  # eligible alone: what comes of it is passed on whole


@pytest.fixture
def story(tell: Callable[..., Story]) -> Story:
    return tell(policy=TREE)


def episode(story: Story, name: str, steps: int = 5, task: str | None = None, **fields: Any) -> list[str]:
    """A task of so many steps, of which the last is rewarded and ends it; ids of the decisions."""
    ids = [f"{name}{n}" for n in range(steps)]
    for n, trace_id in enumerate(ids):
        story.decide(trace_id, task=task or name, key=f"step{n}", eligible=SURE, **fields)
        last = n == steps - 1
        story.report(trace_id, success=True if last else None, terminal=last)
    return ids


def targets(story: Story) -> dict[str, float]:
    return {learned.trace_id: learned.update.target for learned in story.learned if learned.update is not None}


def test_a_reward_at_the_end_reaches_the_first_of_five_decisions_in_one_task(tell: Callable[..., Story]) -> None:
    """One-step Q-learning needs five tasks for it."""
    story, single = tell(policy=TREE), tell()
    episode(story, "job")
    assert story.value("step0", "PROCEED") == pytest.approx(GAMMA**4, rel=1e-12)
    reached = []
    for n in range(5):
        episode(single, f"job{n}")
        reached.append(single.value("step0", "PROCEED") > 0.0)
    assert reached == [False, False, False, False, True]


def test_decisions_are_learnt_last_first_by_the_event_that_ended_the_task(story: Story) -> None:
    ids = episode(story, "job", 3)
    assert [learned.trace_id for learned in story.learned] == ids[::-1]
    assert {learned.seq for learned in story.learned} == {story.state.seq}
    assert [learned.update.discount for learned in story.learned] == [0.0, GAMMA, GAMMA]
    assert story.fold.credit.open == story.fold.credit.trajectories == {}


def test_what_was_not_taken_is_expected_by_what_is_known_of_it(story: Story) -> None:
    """t2 earned 1 and was one of four: 0.9 * (0.25 * 0.8 + 0.25 * 1) = 0.405 with HINT known at 0.8 there."""
    story.policy().table.put("t2", "HINT", 0.8, visits=1)
    story.decide("t1", task="job")
    story.report("t1")
    story.decide("t2", task="job")
    story.report("t2", success=True, terminal=True)
    assert targets(story) == pytest.approx({"t2": 1.0, "t1": 0.405}, rel=1e-12)


def test_a_report_says_what_it_waits_for(story: Story) -> None:
    story.decide("t1", task="job")
    result = story.report("t1", success=True)
    assert (result.updated, result.pending, result.report.total) == (False, "next_decision", 1.0)
    assert story.decide("t2", task="job") == ()
    again = story.report("t1", success=True)
    assert (again.updated, again.duplicate, again.pending) == (False, True, "task_end")
    assert story.report("t1", success=False).pending == "task_end"  # logged: the reward stands
    assert story.report("t2", success=True, terminal=True).updated
    assert targets(story)["t1"] == pytest.approx(1.0 + 0.9 * 0.25, rel=1e-12)


def test_a_task_that_falls_silent_is_folded_back_from_its_truncated_end(story: Story) -> None:
    for trace_id in ("t1", "t2"):
        story.decide(trace_id, task="job", eligible=SURE)
        story.report(trace_id, success=True)
    story.decide("t3", task="job", eligible=SURE)
    story.end_task("job")
    assert [learned.trace_id for learned in story.learned] == ["t3", "t2", "t1"]
    assert [learned.update.truncated for learned in story.learned] == [True, False, False]
    assert targets(story) == pytest.approx({"t3": 0.0, "t2": 1.0, "t1": 1.9}, rel=1e-12)
    assert story.fold.credit.open == {}


def test_siblings_in_flight_both_take_what_came_of_the_one_that_followed(story: Story) -> None:
    for trace_id in ("t1", "t2"):
        story.decide(trace_id, task="job", eligible=SURE)
    story.report("t1", success=True)
    story.report("t2", success=False)
    story.decide("t3", task="job", eligible=SURE)
    story.report("t3", success=True, terminal=True)
    assert targets(story) == pytest.approx({"t3": 1.0, "t1": 1.9, "t2": -0.1}, rel=1e-12)


def test_a_cancelled_successor_ends_the_walk_there_and_is_worth_what_is_expected(story: Story) -> None:
    """t3 was not acted on: t2 takes the mean over its four, 0.9 * 0.25 * 0.8 = 0.18, and t1 what came of t2."""
    story.policy().table.put("t3", "HINT", 0.8, visits=1)
    for trace_id in ("t1", "t2"):
        story.decide(trace_id, task="job", eligible=SURE)
        story.report(trace_id)
    story.decide("t3", task="job")
    story.report("t3", executed=False)
    assert [learned.trace_id for learned in story.learned] == ["t3", "t2", "t1"]
    assert targets(story) == pytest.approx({"t2": 0.18, "t1": 0.162}, rel=1e-12)


def test_one_that_is_cancelled_while_it_waits_cuts_the_walk_in_two(story: Story) -> None:
    """t2 is unscored; t1 stands on what is known of t2, which is nothing, and t3 goes on by itself."""
    for trace_id in ("t1", "t2", "t3"):
        story.decide(trace_id, task="job", eligible=SURE)
        story.report(trace_id, success=True)
    cancelled = story.report("t2", executed=False)
    assert (cancelled.updated, cancelled.pending) == (False, None)
    assert targets(story) == {"t1": 1.0}
    story.end_task("job")
    assert targets(story) == {"t1": 1.0, "t3": 1.0}
    assert story.fold.credit.open == {}


def test_one_that_is_scored_after_its_successor_was_over_takes_one_step(story: Story) -> None:
    """Named by t2, scored late: 1 + 0.9 * 0.25 * 0.8 with HINT known there; t2's own 1 is learnt of t2 alone."""
    story.policy().table.put("t2", "HINT", 0.8, visits=1)
    story.decide("t1", task="job")
    story.decide("t2", task="job", previous_trace_id="t1")
    story.report("t2", success=True, terminal=True)
    assert list(targets(story)) == ["t2"]
    assert story.report("t1", success=True).updated
    read = 0.25 * (0.8 + 1.0)  # what t2 learnt meanwhile is known of it
    assert targets(story)["t1"] == pytest.approx(1.0 + 0.9 * read, rel=1e-12)


def test_what_waits_for_a_late_one_is_learnt_with_it(story: Story) -> None:
    story.decide("t1", task="job", eligible=SURE)
    story.report("t1")
    story.decide("t2", task="job", eligible=SURE)
    story.decide("t3", task="job", eligible=SURE, previous_trace_id="t2")
    story.report("t3", success=True, terminal=True)
    assert list(targets(story)) == ["t3"]
    story.report("t2", success=False)
    assert targets(story) == pytest.approx({"t3": 1.0, "t2": -0.1, "t1": -0.09}, rel=1e-12)


def test_an_obeyed_block_waits_with_its_friction_for_what_its_task_does_next(story: Story) -> None:
    story.decide("t1", "BLOCK", task="job")
    assert story.decide("t2", task="job", eligible=SURE) == ()
    story.report("t2", success=True, terminal=True)
    assert targets(story)["t1"] == pytest.approx(-0.15 + 0.9, rel=1e-12)


def test_a_validation_may_score_anew_what_waits(story: Story) -> None:
    """It outranks the exit code while the decision is open: -1.02 becomes 0.98."""
    story.decide("t1", "HINT", task="job", cited=(1,))
    story.report("t1", success=False, applied_suggestion=True)
    story.decide("t2", task="job", eligible=SURE)
    validated = story.validate(1, success=True)
    assert (validated.updated, validated.trace_id, validated.reason) == (False, "t1", "waiting for the task's end")
    story.report("t2", success=True, terminal=True)
    assert targets(story)["t1"] == pytest.approx(0.98 + 0.9, rel=1e-12)


def test_one_that_is_told_to_end_its_task_is_learnt_though_something_followed(story: Story) -> None:
    story.decide("t1", task="job", eligible=SURE)
    story.report("t1", success=True)
    story.decide("t2", task="job", eligible=SURE)
    assert story.report("t1", success=True, terminal=True).updated
    assert targets(story) == {"t1": 1.0}
    story.report("t2", success=True, terminal=True)
    assert targets(story) == {"t1": 1.0, "t2": 1.0}


def test_one_about_which_all_was_held_back_is_unlearnt_and_the_walk_ends_at_it(story: Story) -> None:
    """Its key had used up its share: t2 closes unscored, t1 takes what is known there, nothing."""
    story.decide("t1", task="job", eligible=SURE)
    story.report("t1", success=True)
    story.decide("t2", task="job", eligible=SURE)
    held_back = Outcome(success=True)
    story.tell(Reported(tenant="default", at=story.now, trace_id="t2", outcome=held_back, by="liar", counts=False))
    story.end_task("job")
    assert targets(story) == {"t1": 1.0}
    assert story.learned[0].report is None
    assert "share" in (story.learned[0].reason or "")


def test_what_is_held_back_of_one_that_waits_takes_nothing_from_it(story: Story) -> None:
    """It has its reward already, an obeyed block its friction, without any report."""
    story.decide("t1", "BLOCK", task="job")
    story.decide("t2", task="job", eligible=SURE)
    held_back = Outcome(success=True, overridden=True)
    story.tell(Reported(tenant="default", at=story.now, trace_id="t1", outcome=held_back, by="liar", counts=False))
    story.report("t2", success=True, terminal=True)
    assert targets(story)["t1"] == pytest.approx(-0.15 + 0.9, rel=1e-12)


def test_without_a_task_it_waits_for_the_one_that_named_it(story: Story) -> None:
    """Its window does not close it meanwhile; the named one's does, and both are learnt."""
    story.decide("t1", terminal=False, eligible=SURE)
    story.report("t1", success=True, terminal=False)
    story.decide("t2", terminal=False, eligible=SURE, previous_trace_id="t1")
    assert story.close_expired(story.now + 1799.0) == ["window_closed"]
    assert [learned.trace_id for learned in story.learned] == ["t2", "t1"]
    assert story.fold.credit.open == {}


def test_at_most_so_many_wait_and_the_oldest_take_one_step(story: Story) -> None:
    """Each earns 1. The two that were let go know nothing of what followed; the others have it all."""
    for n in range(MOST_HELD + 3):
        story.decide(f"t{n}", task="job", eligible=SURE)
        story.report(f"t{n}", success=True)
        assert len(story.fold.credit.open) <= MOST_HELD + 1
    assert targets(story) == {"t0": 1.0, "t1": 1.0}
    story.end_task("job")
    whole = sum(GAMMA**n for n in range(MOST_HELD + 1))
    assert targets(story)["t2"] == pytest.approx(whole, rel=1e-12)
    assert story.policy().updates == MOST_HELD + 3


def test_a_frozen_policy_moves_nothing_and_says_so_of_each(story: Story) -> None:
    frozen = Override(mode="frozen")
    story.decide("t1", task="job", eligible=SURE)
    story.report("t1", success=True)
    story.tell(PolicySet(tenant="default", at=story.now, point="gate", override=frozen, why="x"))
    story.decide("t2", task="job", eligible=SURE)
    story.report("t2", success=True, terminal=True)
    assert [(learned.trace_id, learned.update) for learned in story.learned] == [("t2", None), ("t1", None)]
    assert all("frozen" in (learned.reason or "") for learned in story.learned)
    assert story.policy().updates == story.policy().table.pairs == 0


def test_another_rule_set_on_the_way_folds_what_waits_by_one_step(story: Story) -> None:
    """t1 waited for t2; by Q-learning it takes the best known there: 1 + 0.9 * 1 after t2 was moved."""
    story.decide("t1", task="job", eligible=SURE)
    story.report("t1", success=True)
    story.decide("t2", task="job", eligible=SURE)
    story.configure(rules_of())
    story.decide("t3", task="other", eligible=SURE)
    story.report("t2", success=True, terminal=True)
    assert targets(story) == pytest.approx({"t2": 1.0, "t1": 1.9}, rel=1e-12)


def test_a_point_whose_features_changed_forgets_what_waits(story: Story) -> None:
    story.decide("t1", task="job", eligible=SURE)
    story.report("t1", success=True)
    story.decide("t2", task="job", eligible=SURE)
    story.configure(rules_of(policy=TREE, spec_hash="new"))
    assert story.fold.credit.open == {}
    assert story.report("t2", success=True, terminal=True).closed
    assert story.learned == []


def test_a_walk_goes_on_after_a_dump_in_the_middle_of_it(tell: Callable[..., Story]) -> None:
    whole, parted = tell(policy=TREE), tell(policy=TREE)
    for story in (whole, parted):
        for trace_id in ("a", "z"):
            story.decide(trace_id, task="job")
        for trace_id in ("z", "a"):
            story.report(trace_id, success=True)
        story.decide("next", task="job")
        story.report("next", success=False)
        if story is parted:
            story.state = LearntState.load(story.state.dump())
        story.decide("last", task="job")
        story.report("last", success=True, terminal=True)
    assert [learned.trace_id for learned in parted.learned] == ["last", "next", "z", "a"]
    assert parted.learned == whole.learned
    assert parted.state.dump() == whole.state.dump()


def route(story: Story, trace_id: str, **outcome: Any) -> None:
    trace = trace_of(trace_id, "a", point="route", key=trace_id, eligible=("a", "b"), task="job")
    story.tell(Decided(tenant="default", at=story.now, trace=trace))
    story.report(trace_id, **outcome)


def test_a_challenger_folds_the_same_walk_by_its_own_weights_and_discount(story: Story) -> None:
    """Latency 20 is worth 0.9: 0.36 to the champion, 0.9 to it; t1 was told nothing.

    Halves of t2's: 0.9 * 0.5 * 0.36 = 0.162, and with its own discount 0.5 * 0.5 * 0.9 = 0.225.
    """
    spec = Spec(tuning=Tuning(gamma=0.5), weights={"latency": 1.0})
    story.tell(ChallengerSet(tenant="default", at=story.now, point="route", spec=spec, share=0.0, why="x"))
    route(story, "t1", terminal=False)
    route(story, "t2", latency_ms=20.0)
    rival: Rival = story.fold.rivals["route"]
    cells = {key: value for key, action, value, _ in rival.policy.table.cells() if key and action == "a"}
    assert cells == pytest.approx({"t2": 0.9, "t1": 0.225}, rel=1e-12)
    assert targets(story) == pytest.approx({"t2": 0.36, "t1": 0.162}, rel=1e-12)
