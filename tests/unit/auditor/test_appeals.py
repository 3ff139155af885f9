"""Appeals in the fold: a contested BLOCK waits for its ruling, and an upheld one costs what a false block does."""

import pytest

from auditor import State as LearntState
from auditor.appeals import MOST
from auditor.policy_events import Appealed, AppealRuled

from .story import Story, rules_of


@pytest.fixture
def story() -> Story:
    return Story(rules_of())


def appeal(story: Story, trace_id: str) -> None:
    story.tell(Appealed(tenant=story.tenant, at=story.now, trace_id=trace_id, reason="it works"))


def rule(story: Story, trace_id: str, *, upheld: bool) -> list[str]:
    """The decisions that it ended."""
    event = AppealRuled(tenant=story.tenant, at=story.now, trace_id=trace_id, upheld=upheld, why="so")
    return [learned.trace_id for learned in story.tell(event).learned]


@pytest.mark.parametrize(("upheld", "reward"), [(True, -0.65), (False, -0.15)])
def test_a_contested_block_of_no_task_is_learnt_with_its_ruling(story: Story, upheld: bool, reward: float) -> None:
    story.decide("t1", "BLOCK")
    appeal(story, "t1")
    assert rule(story, "t1", upheld=upheld) == ["t1"]
    report = story.last().report
    assert report is not None
    assert report.total == pytest.approx(reward)
    assert [term.value for term in report.terms if term.name == "false_block"] == [-0.5 * upheld]


def test_a_contested_block_is_not_learnt_before_its_ruling_though_its_task_goes_on(story: Story) -> None:
    """Else the task's next decision, a moment later, would end it."""
    story.decide("t1", "BLOCK", task="job")
    appeal(story, "t1")
    assert story.decide("t2", task="job") == ()
    assert rule(story, "t1", upheld=True) == ["t1"]
    assert story.last().report.total == pytest.approx(-0.65)  # type: ignore[union-attr]
    story.decide("t3", "BLOCK", task="another")
    assert story.decide("t4", task="another") == ("t3",)


def test_a_ruling_before_the_next_decision_is_learnt_with_it(story: Story) -> None:
    story.decide("t1", "BLOCK", task="job")
    appeal(story, "t1")
    assert rule(story, "t1", upheld=True) == []
    assert story.decide("t2", task="job") == ("t1",)
    assert story.last().report.total == pytest.approx(-0.65)  # type: ignore[union-attr]


def test_an_appeal_nobody_rules_on_holds_a_decision_no_longer_than_its_window(story: Story) -> None:
    story.decide("t1", "BLOCK", task="job")
    appeal(story, "t1")
    story.decide("t2", task="job")
    assert [learned.trace_id for learned in story.end_window("t1").learned] == ["t1"]
    assert story.last().report.total == pytest.approx(-0.15)  # type: ignore[union-attr]
    assert rule(story, "t1", upheld=True) == [], "it is over"


def test_an_appeal_alone_moves_nothing_and_of_what_is_no_block_nothing_at_all(story: Story) -> None:
    story.decide("t1", "BLOCK", key="s")
    appeal(story, "t1")
    assert story.value("s", "BLOCK") == 0.0
    story.decide("t2", "HINT")
    appeal(story, "t2")
    assert rule(story, "t2", upheld=True) == []
    story.report("t2", success=True, applied_suggestion=True)
    assert story.last().report.total == pytest.approx(0.98)  # type: ignore[union-attr]


def test_a_block_that_was_overridden_and_worked_costs_it_once_upheld_or_not(story: Story) -> None:
    story.decide("t1", "BLOCK")
    appeal(story, "t1")
    story.report("t1", success=True, overridden=True)
    assert story.last().report.total == pytest.approx(-0.65)  # type: ignore[union-attr]
    assert rule(story, "t1", upheld=True) == []


def test_who_waits_is_in_the_dump_the_oldest_first_and_bounded(story: Story) -> None:
    for n in range(MOST + 3):
        appeal(story, f"t{n}")
    rule(story, "t5", upheld=False)
    waiting = [one.trace_id for one in story.state.appeals.of("default")]
    assert (len(waiting), waiting[:3]) == (MOST - 1, ["t3", "t4", "t6"])
    again = LearntState.load(story.state.dump())
    assert again.appeals.of("default") == story.state.appeals.of("default")
    assert again.dump() == story.state.dump()
