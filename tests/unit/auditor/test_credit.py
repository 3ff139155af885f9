"""Who gets the credit: successors, ends, siblings, and when a decision is learnt.

Every decision stands in a state of its own and step sizes average, so the first target *is* the value.
gamma is 0.9.
"""

from collections.abc import Callable

import pytest

from .story import Story


def test_first_outcome_teaches_proceed_and_ends_a_gate_decision_without_a_task(story: Story) -> None:
    story.decide("t1")
    result = story.report("t1", success=True)
    assert (result.updated, result.pending, result.report.total) == (True, None, 1.0)
    assert story.value("t1", "PROCEED") == 1.0
    assert story.last().update.discount == 0.0
    assert not story.last().update.truncated


def test_route_is_terminal_unless_the_report_says_otherwise(story: Story) -> None:
    story.decide("r1", "akash/A8", point="route", task="job")
    assert story.report("r1", latency_ms=100).updated
    assert story.value("r1", "akash/A8", "route") == pytest.approx(0.2, rel=1e-12)  # 0.4 * 0.5
    story.decide("r2", "akash/A8", point="route", task="job")
    result = story.report("r2", latency_ms=100, terminal=False)
    assert (result.updated, result.pending) == (False, "next_decision")


def test_gate_decision_of_a_task_waits_for_the_next_one(story: Story) -> None:
    story.decide("t1", task="job")
    result = story.report("t1", success=True)
    assert (result.updated, result.pending) == (False, "next_decision")
    assert result.report.total == 1.0  # the reward is known, the update is not
    assert story.value("t1", "PROCEED") == 0.0


def test_successor_is_the_first_decision_of_the_task_issued_after_the_feedback(story: Story) -> None:
    """1 + 0.9 * 0.5 = 1.45: t2's state knows HINT at 0.5; what comes after t2 plays no part."""
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.policy().table.put("t3", "HINT", 9.0, visits=1)
    story.decide("t1", task="job")
    story.report("t1", success=True)
    assert story.decide("other", task="another job") == ()
    assert story.decide("t2", task="job") == ("t1",)
    assert story.decide("t3", task="job") == ()
    assert story.value("t1", "PROCEED") == pytest.approx(1.45, rel=1e-12)
    assert story.last().seq == 4  # the event that completed it: t2's decision


def test_maximum_runs_over_the_successors_logged_eligible_set(story: Story) -> None:
    """BLOCK is worth 5 there but was masked: 1 + 0.9 * 0.1 = 1.09."""
    story.policy().table.put("t2", "BLOCK", 5.0, visits=1)
    story.policy().table.put("t2", "PROCEED", 0.1, visits=1)
    story.decide("t1", task="job")
    story.report("t1", success=True)
    story.decide("t2", task="job", eligible=("PROCEED", "HINT"))
    assert story.value("t1", "PROCEED") == pytest.approx(1.09, rel=1e-12)


def test_siblings_in_flight_are_never_each_others_successor(story: Story) -> None:
    """t1 and t2 are both out when their reports come; t3, issued after both reports, follows both."""
    story.policy().table.put("t3", "HINT", 0.5, visits=1)
    story.decide("t1", task="job")
    assert story.decide("t2", task="job") == ()
    story.report("t1", success=True)
    story.report("t2", success=False)
    assert story.decide("t3", task="job") == ("t1", "t2")
    assert story.value("t1", "PROCEED") == pytest.approx(1.45, rel=1e-12)
    assert story.value("t2", "PROCEED") == pytest.approx(-0.55, rel=1e-12)  # -1 + 0.45


def test_decision_can_name_the_one_it_follows_though_its_feedback_is_not_in(story: Story) -> None:
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.decide("t1", task="job")
    assert story.decide("t2", task="job", previous_trace_id="t1") == ()  # no reward yet
    assert story.report("t1", success=True).updated
    assert story.value("t1", "PROCEED") == pytest.approx(1.45, rel=1e-12)


def test_named_predecessor_may_belong_to_another_task_or_to_none(story: Story) -> None:
    story.decide("t1", terminal=False)
    story.report("t1", success=True, terminal=False)
    story.decide("a1", task="a")
    story.report("a1", success=True)
    assert story.decide("b1", task="b", previous_trace_id="t1") == ("t1",)
    assert story.decide("b2", task="b", previous_trace_id="a1") == ("a1",)
    assert [learned.update.discount for learned in story.learned] == [0.9, 0.9]


def test_first_successor_stays(story: Story) -> None:
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.policy().table.put("t3", "HINT", 0.7, visits=1)
    story.decide("t1", task="job")
    story.decide("t2", task="job", previous_trace_id="t1")
    story.decide("t3", task="job", previous_trace_id="t1")
    story.report("t1", success=True)
    assert story.value("t1", "PROCEED") == pytest.approx(1.45, rel=1e-12)


def test_named_predecessor_of_another_task_is_not_followed_a_second_time_by_its_own(story: Story) -> None:
    """0.98 + 0.9 * 0.5 = 1.43 by b1, which named it; a2 came later."""
    story.policy().table.put("b1", "HINT", 0.5, visits=1)
    story.policy().table.put("a2", "HINT", 0.7, visits=1)
    story.decide("a1", "HINT", task="a")
    story.report("a1", success=True)  # whether it was taken is not known yet
    story.decide("b1", task="b", previous_trace_id="a1")
    story.decide("a2", task="a")
    story.report("a1", success=True, applied_suggestion=True)
    assert story.value("a1", "HINT") == pytest.approx(1.43, rel=1e-12)


def test_decision_of_another_point_or_namespace_follows_nobody_here(story: Story) -> None:
    story.decide("t1", task="job")
    story.report("t1", success=True)
    assert story.decide("r1", "akash/A8", point="route", task="job", previous_trace_id="t1") == ()
    assert story.decide("t2", task="job", namespace="blue", previous_trace_id="t1") == ()


def test_feedback_may_end_the_task(story: Story) -> None:
    story.decide("t1", task="job")
    result = story.report("t1", success=True, terminal=True)
    assert (result.updated, result.pending) == (True, None)
    assert story.last().update.discount == 0.0
    assert story.fold.credit.trajectories == {}


def test_end_of_the_task_may_be_reported_after_the_reward(story: Story) -> None:
    """The first outcome teaches; the second only says that nothing follows."""
    story.decide("t1", task="job")
    story.report("t1", success=True)
    assert story.report("t1", success=False, terminal=True).updated
    assert story.value("t1", "PROCEED") == 1.0


@pytest.mark.parametrize("advice", ["HINT", "REWRITE"])
def test_advice_waits_until_it_is_known_whether_it_was_taken(story: Story, advice: str) -> None:
    story.decide("t1", advice, task="job")
    result = story.report("t1", success=True)
    assert (result.updated, result.pending, result.report) == (False, "window", None)
    assert story.report("t1", success=True, applied_suggestion=True).pending == "next_decision"
    assert story.decide("t2", task="job") == ("t1",)


def test_advice_is_complete_when_the_task_ended(story: Story) -> None:
    story.decide("t1", "HINT", task="job")
    assert story.report("t1", success=True, terminal=True).updated
    story.decide("t2", "HINT")  # without a task the end is the default
    assert story.report("t2", success=True).updated
    assert story.value("t2", "HINT") == pytest.approx(0.98, rel=1e-12)


def test_report_that_the_task_goes_on_does_not_complete_advice(story: Story) -> None:
    story.decide("t1", "HINT", task="job")
    assert story.report("t1", success=True, terminal=False).pending == "window"


def test_advice_with_an_incomplete_report_is_followed_by_the_next_decision_all_the_same(story: Story) -> None:
    """Its successor was issued after its feedback; the reward is complete later. 0.98 + 0.9 * 0.5 = 1.43."""
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.decide("t1", "HINT", task="job")
    story.report("t1", success=True)
    assert story.decide("t2", task="job") == ()
    story.decide("t3", task="job")
    assert story.report("t1", success=True, applied_suggestion=True).updated
    assert story.value("t1", "HINT") == pytest.approx(1.43, rel=1e-12)


@pytest.mark.parametrize(
    ("join", "expected"), [("last", 0.98), ("first", -1.02), ("mean", -0.02), ("min", -1.02), ("max", 0.98)]
)
def test_join_rule_decides_what_several_reports_are_worth(
    tell: Callable[..., Story], join: str, expected: float
) -> None:
    story = tell(join=join)
    story.decide("t1", "HINT", task="job")
    story.report("t1", success=False)
    story.report("t1", success=True, applied_suggestion=True, terminal=True)
    assert story.value("t1", "HINT") == pytest.approx(expected, rel=1e-12)


def test_obeyed_block_is_scored_by_its_friction_and_credited_with_what_its_task_does_next(story: Story) -> None:
    """No feedback: -0.15 + 0.9 * 0.5 = 0.3."""
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.decide("t1", "BLOCK", task="job")
    assert story.decide("t2", task="job") == ("t1",)
    assert story.value("t1", "BLOCK") == pytest.approx(0.3, rel=1e-12)
    assert story.last().report.total == pytest.approx(-0.15, rel=1e-12)


def test_report_on_an_obeyed_block_says_it_waits_for_the_next_decision(story: Story) -> None:
    story.decide("t1", "BLOCK", task="job")
    result = story.report("t1", executed=True)
    assert (result.updated, result.pending) == (False, "next_decision")
    assert story.decide("t2", task="job") == ("t1",)


def test_obeyed_block_without_a_task_is_learnt_from_its_report(story: Story) -> None:
    story.decide("t1", "BLOCK")
    assert story.report("t1").updated
    assert story.value("t1", "BLOCK") == pytest.approx(-0.15, rel=1e-12)


@pytest.mark.parametrize(("success", "expected"), [(True, -0.65 + 0.45), (False, -0.15 + 0.45)])
def test_overridden_block_carries_the_outcome_of_running_it_anyway(
    story: Story, success: bool, expected: float
) -> None:
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.decide("t1", "BLOCK", task="job")
    assert story.report("t1", success=success, overridden=True).pending == "next_decision"
    story.decide("t2", task="job")
    assert story.value("t1", "BLOCK") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("action", ["PROCEED", "HINT", "BLOCK"])
def test_answer_that_was_not_acted_on_is_cancelled_unscored(story: Story, action: str) -> None:
    story.decide("t1", action, task="job")
    result = story.report("t1", success=False, executed=False)
    assert (result.updated, result.pending, result.report) == (False, None, None)
    assert "not executed" in result.reason
    assert story.last().report is story.last().update is None
    assert story.decide("t2", task="job") == ()
    assert story.policy().table.pairs == story.policy().updates == 0


def test_identical_repeat_updates_once(story: Story) -> None:
    story.decide("t1", task="job")
    first = story.report("t1", success=True)
    again = story.report("t1", success=True)
    assert (again.duplicate, again.pending, again.report) == (True, first.pending, first.report)
    story.decide("t2", task="job")
    assert story.policy().updates == 1


def test_other_report_after_the_reward_is_logged_not_learnt(story: Story) -> None:
    story.decide("t1", task="job")
    story.report("t1", success=True)
    later = story.report("t1", success=False, cost=0.9)
    assert (later.updated, later.duplicate, later.pending) == (False, False, "next_decision")
    assert "logged" in later.reason
    assert story.report("t1", success=False, cost=0.9).duplicate
    story.decide("t2", task="job")
    assert story.value("t1", "PROCEED") == 1.0


def test_report_on_a_closed_decision_is_logged_not_learnt(story: Story) -> None:
    story.decide("t1")
    story.report("t1", success=True)
    late = story.report("t1", success=False)
    assert (late.updated, late.closed) == (False, True)
    assert "logged, not learnt" in late.reason
    assert story.value("t1", "PROCEED") == 1.0
    assert story.report("never issued", success=True).closed


def test_task_in_progress_remembers_its_attempts_last_verdict_and_last_outcome(story: Story) -> None:
    story.decide("t1", "HINT", task="job")
    story.report("t1", success=False, applied_suggestion=True)
    story.decide("t2", task="job")
    task = story.fold.credit.trajectories["gate", "", "job"]
    assert (task.decisions, task.last_action, task.last_success) == (2, "PROCEED", False)


def test_two_heads_are_learnt_from_one_report_tier_first(story: Story) -> None:
    """Tier cheap takes 0.98; the verdict takes the best eligible tier, premium's 2.0."""
    story.policy().table.put("verdict=HINT>t1", "premium", 2.0, visits=1)
    story.decide("t1", "HINT", tiers=("cheap", "premium"))
    assert story.report("t1", success=True, applied_suggestion=True).updated
    assert story.value("verdict=HINT>t1", "cheap") == pytest.approx(0.98, rel=1e-12)
    assert story.value("t1", "HINT") == 2.0
    assert story.policy().updates == 1
