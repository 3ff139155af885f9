"""The decision that had a reflection made is judged by what its first uses earned, at the end of a long window."""

import pytest

from auditor.logged import DecisionLog
from auditor.trace import Lesson

from .story import WEEK_S, Story

MADE = Lesson("rf_1", 250_000_000)  # for a quarter of a dollar


@pytest.fixture
def captured(story: Story) -> Story:
    """A failure was captured, and a cheap reflection decided on."""
    story.decide("c1", "cheap", point="capture", eligible=("cheap", "premium"), lesson=Lesson("rf_1"))
    return story


def use(story: Story, trace_id: str, *, success: bool, lesson: Lesson = MADE) -> None:
    """A decision shows the reflection, and it is known what came of it: 0.98 or -1.02."""
    story.decide(trace_id, "HINT", lesson=lesson)
    assert story.report(trace_id, success=success, applied_suggestion=True).updated


def learnt(story: Story) -> float:
    """What the choice of the tier is worth once the week is over."""
    assert "c1" in story.fold.credit.open
    story.close_expired(story.now + WEEK_S)
    assert "c1" not in story.fold.credit.open
    return story.value("c1", "cheap", "capture")


def test_the_reward_is_what_the_uses_earned_on_average_less_the_cost(captured: Story) -> None:
    """(0.98 - 1.00) / 2 - 0.25 = -0.26: what a use earns is clipped."""
    use(captured, "t1", success=True)
    use(captured, "t2", success=False)
    assert learnt(captured) == pytest.approx(-0.26, rel=1e-12)
    assert [(term.name, term.weight) for term in captured.last().report.terms] == [("uses", 1.0), ("cost", 1.0)]


def test_only_the_first_three_uses_count(captured: Story) -> None:
    for n in range(3):
        use(captured, f"t{n}", success=True)
    use(captured, "t3", success=False)
    assert learnt(captured) == pytest.approx(0.98 - 0.25, rel=1e-12)


def test_nothing_is_learnt_before_the_week_is_over(captured: Story) -> None:
    use(captured, "t1", success=True)
    assert captured.close_expired(captured.now + WEEK_S - 60.0) == []
    assert captured.policy("capture").updates == 0


def test_a_reflection_that_was_never_used_has_the_default_reward(captured: Story) -> None:
    assert learnt(captured) == 0.0
    assert captured.last().report.missing == ("uses", "cost")


def test_uses_of_another_reflection_say_nothing(captured: Story) -> None:
    use(captured, "t1", success=True, lesson=Lesson("rf_2", 5))
    assert learnt(captured) == 0.0


def test_a_use_that_nobody_reported_on_says_nothing(captured: Story) -> None:
    captured.decide("t1", "HINT", lesson=MADE)
    captured.end_window("t1")
    use(captured, "t2", success=True)
    assert learnt(captured) == pytest.approx(0.98 - 0.25, rel=1e-12)


def test_a_use_of_after_the_week_changes_nothing(captured: Story) -> None:
    assert learnt(captured) == 0.0
    use(captured, "t1", success=True)
    assert captured.value("c1", "cheap", "capture") == 0.0
    assert captured.policy("capture").updates == 1


def test_a_report_on_the_choice_itself_is_logged_not_learnt(captured: Story) -> None:
    for outcome in ({"success": False}, {"executed": False}, {"success": False, "terminal": True}):
        result = captured.report("c1", **outcome)
        assert (result.updated, result.pending) == (False, "window")
        assert "logged, not learnt" in result.reason
    assert not captured.validate(1, trace_id="c1").updated
    use(captured, "t1", success=True)
    assert learnt(captured) == pytest.approx(0.98 - 0.25, rel=1e-12)


def test_what_a_reflection_cost_is_counted_once_however_often_it_is_used(captured: Story) -> None:
    use(captured, "t1", success=True)
    use(captured, "t2", success=True)
    assert learnt(captured) == pytest.approx(0.98 - 0.25, rel=1e-12)


def test_uses_outlive_a_dump(captured: Story) -> None:
    use(captured, "t1", success=True)
    before = captured.state.dump()
    captured.state = type(captured.state).load(before)
    assert captured.state.dump() == before
    use(captured, "t2", success=False)
    assert learnt(captured) == pytest.approx(-0.26, rel=1e-12)


def test_the_choices_of_tiers_are_a_log_that_other_policies_can_be_replayed_on(story: Story) -> None:
    """0.98 - 0.25, and the masked tiers."""
    log = DecisionLog("default", "capture", type(story.state)(story.state.rules))
    story.told = log.apply
    story.decide("c1", "cheap", point="capture", eligible=("cheap", "premium"), lesson=Lesson("rf_1"))
    use(story, "t1", success=True)
    story.close_expired(story.now + WEEK_S)
    [decision] = log.decisions
    assert (decision.action, decision.reward) == ("cheap", pytest.approx(0.73, rel=1e-12))
    assert decision.terms.keys() == {"uses", "cost"}


@pytest.mark.parametrize(("tier", "earned"), [("cheap", 0.98 - 0.25), ("premium", 0.98 - 0.25), ("cached", 0.98)])
def test_what_an_answer_spent_on_its_own_reflection_is_a_cost_of_it(story: Story, tier: str, earned: float) -> None:
    """A stored one was paid for before."""
    story.decide("t1", "HINT", tiers=(tier,), lesson=MADE)
    assert story.report("t1", success=True, applied_suggestion=True).report.total == pytest.approx(earned, rel=1e-12)
    assert story.value("verdict=HINT>t1", tier) == pytest.approx(earned, rel=1e-12)


def test_the_tier_bootstraps_on_the_next_verdict_and_the_verdict_on_the_best_tier_never_across(story: Story) -> None:
    """Tier: 0.98 - 0.25 + 0.9 * 0.5 = 1.18. Verdict: 0 + 1 * max(1.18, 0.6) = 1.18; 7.0 is a tier of the next one."""
    story.policy().table.put("t2", "HINT", 0.5, visits=1)
    story.policy().table.put("verdict=HINT>t2", "premium", 7.0, visits=1)
    story.policy().table.put("verdict=HINT>t1", "premium", 0.6, visits=1)
    story.decide("t1", "HINT", task="job", tiers=("cheap", "premium"), lesson=MADE)
    story.report("t1", success=True, applied_suggestion=True)
    assert story.decide("t2", "HINT", task="job", tiers=("premium",)) == ("t1",)
    assert story.value("verdict=HINT>t1", "cheap") == pytest.approx(1.18, rel=1e-12)
    assert story.value("t1", "HINT") == pytest.approx(1.18, rel=1e-12)


def test_a_verdict_without_a_tier_takes_the_reward_itself(story: Story) -> None:
    story.policy().table.put("verdict=HINT>t1", "premium", 7.0, visits=1)
    story.decide("t1", "HINT", lesson=MADE)
    story.report("t1", success=True, applied_suggestion=True)
    assert story.value("t1", "HINT") == pytest.approx(0.98, rel=1e-12)
