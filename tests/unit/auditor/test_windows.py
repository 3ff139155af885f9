"""What nobody reports in time: default rewards, truncation, and which closings are due when."""

import pytest

from auditor.expiry import expired

from .story import Story


def test_window_without_a_report_is_learnt_with_the_default_reward(story: Story) -> None:
    story.policy("route").table.put("r1", "akash/A8", 0.8, visits=1)
    story.decide("r1", "akash/A8", point="route")
    story.end_window("r1")
    assert story.last().report.total == 0.0
    assert story.last().report.missing == ("latency", "cost", "slo", "failures", "success")
    assert story.value("r1", "akash/A8", "route") == 0.4  # half of the way from 0.8 to 0
    assert story.policy("route").updates == 1  # closings count as updates


def test_report_after_the_window_is_logged_not_learnt(story: Story) -> None:
    story.decide("r1", "akash/A8", point="route")
    story.end_window("r1")
    late = story.report("r1", latency_ms=1)
    assert (late.updated, late.closed) == (False, True)
    assert story.policy("route").updates == 1


def test_decision_of_a_task_nobody_reported_on_is_followed_after_its_window(story: Story) -> None:
    """Default reward 0 and the task's next decision: 0 + 0.9 * 0.5 = 0.45."""
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.decide("t1", task="job")
    assert story.end_window("t1").learned == ()
    assert story.decide("t2", task="job") == ("t1",)
    assert story.value("t1", "PROCEED") == pytest.approx(0.45, rel=1e-12)


def test_window_scores_advice_by_what_was_reported(story: Story) -> None:
    """A success whose taking nobody stated: 1 - 0.02, then the task's next decision is awaited."""
    story.decide("t1", "HINT", task="job")
    story.report("t1", success=True)
    assert story.end_window("t1").learned == ()
    assert story.decide("t2", task="job") == ("t1",)
    assert story.value("t1", "HINT") == pytest.approx(0.98, rel=1e-12)


def test_window_learns_advice_whose_successor_is_known(story: Story) -> None:
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.decide("t1", "HINT", task="job")
    story.report("t1", success=True)
    story.decide("t2", task="job")
    assert [learned.trace_id for learned in story.end_window("t1").learned] == ["t1"]
    assert story.value("t1", "HINT") == pytest.approx(1.43, rel=1e-12)  # 0.98 + 0.9 * 0.5


def test_window_of_an_obeyed_block_without_a_task_teaches_its_friction(story: Story) -> None:
    story.decide("t1", "BLOCK")
    story.end_window("t1")
    assert story.value("t1", "BLOCK") == pytest.approx(-0.15, rel=1e-12)
    assert not story.last().update.truncated


def test_window_that_ends_twice_teaches_once(story: Story) -> None:
    story.decide("t1")
    story.end_window("t1")
    assert story.end_window("t1").learned == ()
    assert story.policy().updates == 1


def test_task_without_a_successor_is_truncated_with_discount_0(story: Story) -> None:
    """Bootstrapping on its own state would multiply the reward by 1 / (1 - gamma)."""
    story.policy().table.put("t1", "HINT", 0.5, visits=1)
    story.decide("t1", task="job")
    story.report("t1", success=True)
    story.end_task("job")
    update = story.last().update
    assert (update.target, update.discount, update.truncated) == (1.0, 0.0, True)
    assert story.fold.credit.trajectories == {} == story.fold.credit.open


def test_closed_task_scores_what_was_never_reported_by_default(story: Story) -> None:
    story.decide("t1", task="job")
    story.decide("t2", "BLOCK", task="job")
    story.decide("t3", "HINT", task="job")
    story.report("t3", success=True)
    story.end_task("job")
    assert [round(learned.report.total, 4) for learned in story.learned] == [-0.15, 0.0, 0.98]
    assert [learned.trace_id for learned in story.learned] == ["t2", "t1", "t3"]  # t3 followed the obeyed block
    assert [learned.update.truncated for learned in story.learned] == [False, True, True]


def test_closing_written_while_a_decision_came_in_closes_nothing(story: Story) -> None:
    """The background loop saw an idle task; the decision got into the journal before the closing did."""
    story.decide("t1", task="job")
    story.report("t1", success=True)
    story.now += 1799.0
    due_at = story.now + 1.0
    due = list(expired(story.fold, due_at))
    assert [event.kind for event in due] == ["trajectory_closed"]
    story.decide("t2", task="job")
    story.tell(due[0])
    assert "t2" in story.fold.credit.open
    assert story.report("t2", success=True).pending == "next_decision"


@pytest.mark.parametrize(
    ("point", "task", "window_s"), [("route", None, 600.0), ("gate", None, 1800.0), ("route", "job", 600.0)]
)
def test_window_is_due_when_its_time_is_over(story: Story, point: str, task: str | None, window_s: float) -> None:
    """Routing waits 10 minutes, the gate 30."""
    story.decide("t1", "akash/A8" if point == "route" else "PROCEED", point=point, task=task)
    issued = story.fold.credit.open["t1"].at
    assert story.close_expired(issued + window_s - 0.1) == []
    assert "window_closed" in story.close_expired(issued + window_s)
    assert story.close_expired(issued + window_s) == []


def test_what_was_decided_while_the_clock_was_behind_is_due_when_it_is_right_again(story: Story) -> None:
    """Those that are open are not in the order of their times then, and the first of them is young."""
    story.decide("right", task="job")
    story.now -= 86_400.0
    story.decide("behind", task="other job")
    story.now += 86_400.0
    due = {event.ref for event in expired(story.fold, story.now + 1.0)}
    assert due >= {"behind"}
    assert "right" not in due


def test_decision_that_waits_for_its_task_is_closed_with_the_task(story: Story) -> None:
    """30 minutes after anything was last heard of it, not after it was issued."""
    story.decide("t1", task="job")
    story.now += 1000.0
    story.report("t1", success=True)
    heard = story.fold.credit.trajectories["gate", "", "job"].last_at
    assert story.close_expired(heard + 1799.0) == []
    assert story.close_expired(heard + 1800.0) == ["trajectory_closed"]
    assert story.last().update.truncated


def test_younger_decisions_stay_open_when_older_ones_are_due(story: Story) -> None:
    for number in range(4):
        story.decide(f"r{number}", "akash/A8", point="route")
        story.now += 300.0
    assert story.close_expired(story.fold.credit.open["r1"].at + 600.0) == ["window_closed", "window_closed"]
    assert list(story.fold.credit.open) == ["r2", "r3"]


def test_only_the_task_that_fell_silent_is_closed(story: Story) -> None:
    story.decide("a1", task="a")
    story.decide("b1", task="b")
    story.now += 1000.0
    story.report("a1", success=True)  # a was heard of later than b
    silent = story.fold.credit.trajectories["gate", "", "b"].last_at
    story.close_expired(silent + 1800.0)
    assert list(story.fold.credit.trajectories) == [("gate", "", "a")]
