"""validate_fix: joins a decision when it can, counts for its episode, and earns or loses a skill."""

import pytest

from auditor import PromotionRules, Rules
from auditor.trace import Offered

from .story import Story

EPISODE = 7


def test_validation_with_a_trace_completes_the_decision(story: Story) -> None:
    """0.95 = 1 - 0.05, as in docs/api.md."""
    story.decide("t1", "REWRITE", cited=(EPISODE,))
    result = story.validate(EPISODE, trace_id="t1")
    assert (result.updated, result.trace_id, result.validations) == (True, "t1", 1)
    assert result.report.total == pytest.approx(0.95, rel=1e-12)
    assert story.value("t1", "REWRITE") == pytest.approx(0.95, rel=1e-12)


def test_validation_without_a_trace_joins_the_newest_open_gate_decision_that_cited_the_episode(story: Story) -> None:
    story.decide("old", "REWRITE", cited=(EPISODE,))
    story.decide("new", "HINT", cited=(3, EPISODE))
    story.decide("other", "HINT", cited=(3,))
    story.decide("route", "akash/A8", point="route", cited=(EPISODE,))
    result = story.validate(EPISODE)
    assert (result.updated, result.trace_id) == (True, "new")
    assert story.validate(EPISODE).trace_id == "old"


def test_validation_that_joins_nothing_counts_for_the_episode_and_says_so(story: Story) -> None:
    result = story.validate(EPISODE)
    assert (result.updated, result.trace_id, result.validations, result.success_rate) == (False, None, 1, 1.0)
    assert "counts for the episode" in result.reason
    assert story.policy().updates == 0


def test_validation_waits_for_the_tasks_next_decision(story: Story) -> None:
    story.decide("t1", "HINT", task="job", cited=(EPISODE,))
    result = story.validate(EPISODE)
    assert (result.updated, result.reason) == (False, "waiting for the task's next decision")
    assert story.decide("t2", task="job") == ("t1",)


@pytest.mark.parametrize(("exit_code", "validated", "expected"), [(True, False, -1.02), (False, True, 0.98)])
def test_validation_outranks_the_exit_code_while_the_decision_is_open(
    story: Story, exit_code: bool, validated: bool, expected: float
) -> None:
    story.decide("t1", "HINT", task="job", cited=(EPISODE,))
    story.report("t1", success=exit_code, applied_suggestion=True)
    assert story.validate(EPISODE, validated, trace_id="t1").report.total == pytest.approx(expected, rel=1e-12)
    story.decide("t2", task="job")
    assert story.value("t1", "HINT") == pytest.approx(expected, rel=1e-12)


def test_validation_does_not_make_a_logged_report_count(story: Story) -> None:
    """The cost came after the reward; the validation weighs the first outcome anew, not the later one."""
    story.decide("t1", task="job", cited=(EPISODE,))
    story.report("t1", success=False)
    story.report("t1", success=True, cost=0.5)
    assert story.validate(EPISODE, trace_id="t1").report.total == 1.0


def test_validation_of_a_closed_decision_changes_no_value(story: Story) -> None:
    story.decide("t1", "HINT", cited=(EPISODE,))
    story.report("t1", success=True, applied_suggestion=True)
    result = story.validate(EPISODE, success=False, trace_id="t1")
    assert (result.updated, result.validations, result.success_rate) == (False, 1, 0.0)
    assert story.value("t1", "HINT") == pytest.approx(0.98, rel=1e-12)


def test_validation_counts_once_per_trace(story: Story) -> None:
    story.decide("t1", "HINT", cited=(EPISODE,))
    story.validate(EPISODE, trace_id="t1")
    again = story.validate(EPISODE, trace_id="t1")
    assert (again.updated, again.validations) == (False, 1)
    assert "counted before" in again.reason
    assert story.validate(EPISODE, trace_id="t2").validations == 2


def test_validation_that_joined_a_decision_is_that_traces_one(story: Story) -> None:
    story.decide("t1", "HINT", task="job", cited=(EPISODE,))
    assert story.validate(EPISODE).trace_id == "t1"
    assert story.validate(EPISODE, trace_id="t1").validations == 1


def test_validation_of_a_fix_that_was_not_applied_says_nothing_about_it(story: Story) -> None:
    for _ in range(3):
        answer = story.validate(7, applied=False)
    assert (answer.updated, answer.validations, answer.promoted_to_skill) == (False, 0, False)
    assert answer.reason is not None
    assert "not applied" in answer.reason


def test_without_a_trace_every_call_counts(story) -> None:
    """As in the Vritti seed: three calls of an old client promote, though one decision is open all the while."""
    story.decide("t1", "HINT", task="job", cited=(EPISODE,))
    counts = [story.validate(EPISODE) for _ in range(3)]
    assert [result.validations for result in counts] == [1, 2, 3]
    assert [result.promoted_to_skill for result in counts] == [False, False, True]
    story.decide("t2", task="job")
    assert story.policy().updates == 1


def test_third_success_promotes_and_names_the_skill_after_its_event(story: Story) -> None:
    results = [story.validate(EPISODE) for _ in range(4)]
    assert [r.promoted_to_skill for r in results] == [False, False, True, True]
    assert [r.skill_id for r in results] == [None, None, 3, 3]
    assert story.fold.skills.by_episode[EPISODE].status == "trial"


@pytest.mark.parametrize(
    ("outcomes", "promoted"),
    [
        ("++", False),  # too few
        ("++-", False),  # 2/3
        ("+++", True),
        ("-++++++++", False),  # 8/9 = 0.889
        ("-+++++++++", True),  # 9/10 = 0.9: the rule says at least
    ],
)
def test_skill_needs_three_validations_at_ninety_percent(story: Story, outcomes: str, promoted: bool) -> None:
    for outcome in outcomes:
        result = story.validate(EPISODE, outcome == "+")
    assert result.promoted_to_skill is promoted


def test_what_notes_no_fix_earns_no_skill_whatever_is_said_of_it(story: Story) -> None:
    """The decisions that rest on it learn as from any validation."""
    for number in range(4):
        drawn = (Offered(EPISODE, False, 0.05, "unknown", "agents"),)
        story.decide(f"t{number}", "HINT", cited=(EPISODE,), offered=drawn)
        result = story.validate(EPISODE, trace_id=f"t{number}", fix=False)
        assert (result.updated, result.promoted_to_skill, result.skill_id) == (True, False, None)
    assert (result.validations, story.fold.worth.items[EPISODE].contrast.n) == (4, 4)
    assert story.fold.skills.by_episode == {}


def test_skill_is_demoted_when_it_stops_holding_and_comes_back_when_it_holds_again(story: Story) -> None:
    """3/3 on trial, 3/4 retired, 9/10 on trial again, under its first name."""
    for _ in range(3):
        story.validate(EPISODE)
    fell = story.validate(EPISODE, success=False)
    assert (fell.promoted_to_skill, fell.skill_id, fell.success_rate) == (False, None, 0.75)
    assert story.fold.skills.by_episode[EPISODE].status == "retired"
    for _ in range(6):
        result = story.validate(EPISODE)
    assert (result.validations, result.promoted_to_skill, result.skill_id) == (10, True, 3)


def test_skill_an_operator_retired_stays_retired(story: Story) -> None:
    for _ in range(3):
        result = story.validate(EPISODE)
    story.retire(result.skill_id)
    for _ in range(20):
        assert not story.validate(EPISODE).promoted_to_skill
    assert story.fold.skills.by_id(3).status == "retired"


def test_retiring_an_unknown_skill_changes_nothing(story: Story) -> None:
    before = story.fold.skills.dump()
    story.retire(99)
    assert story.fold.skills.dump() == before


def test_purged_episode_takes_its_validations_and_its_skill_with_it(story: Story) -> None:
    for _ in range(3):
        story.validate(EPISODE)
    story.purge(EPISODE)
    assert story.fold.skills.dump() == ([], [])
    assert story.validate(EPISODE).validations == 1


def test_promotion_rule_is_configuration(story: Story) -> None:
    rules = Rules(points=story.state.rules.points, promotion=PromotionRules(validations=1, success_rate=0.5))
    story.configure(rules)
    assert story.validate(EPISODE).promoted_to_skill


def test_episodes_are_counted_apart_and_per_tenant(story: Story) -> None:
    for _ in range(3):
        story.validate(EPISODE)
    assert story.validate(8).validations == 1
    story.tenant = "another"
    assert story.validate(EPISODE).validations == 1
