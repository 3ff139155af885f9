"""When a chat is learnt: what the server saw of the call and what its caller says of it are one report."""

import pytest

from auditor import PointRules, Rules
from auditor.rewards import DEFAULT_WEIGHTS
from strategist import PolicySettings

from .story import SPECS, Story

SEEN = {"latency_ms": 10_000.0, "cost": 0.01, "failures": 0, "terminal": False}  # as the server reports an answer


@pytest.fixture
def story() -> Story:
    policy = PolicySettings(gamma=0.9)
    rules = PointRules(
        policy=policy, spec_hash=SPECS["chat"], weights=DEFAULT_WEIGHTS["chat"], window_s=600.0, join="together"
    )
    return Story(Rules(points={"chat": rules}))


def test_a_chat_that_was_answered_waits_for_what_its_caller_says(story: Story) -> None:
    story.decide("c1", "small", point="chat", task="talk")
    assert (story.report("c1", **SEEN).updated, story.learned) == (False, [])


def test_what_the_caller_says_joins_what_the_server_saw(story: Story) -> None:
    """1 - 0.3 * 0.5 - 0.1 * 0.5 = 0.8."""
    story.decide("c1", "small", point="chat", task="talk")
    story.report("c1", **SEEN)
    assert story.report("c1", success=True).updated
    assert story.value("c1", "small", "chat") == pytest.approx(0.8)
    assert story.last().report.missing == ()


def test_what_the_caller_states_goes_before_what_the_server_saw(story: Story) -> None:
    """Free for the caller: 1 - 0.1 * 0.5 = 0.95."""
    story.decide("c1", "small", point="chat")
    story.report("c1", **SEEN)
    assert story.report("c1", success=True, cost=0.0).report.total == pytest.approx(0.95)


def test_a_chat_nobody_speaks_of_is_learnt_by_what_was_seen_when_its_window_ends(story: Story) -> None:
    """-0.3 * 0.5 - 0.1 * 0.5 = -0.2, and the success is missing, not assumed."""
    story.decide("c1", "small", point="chat", task="talk")
    story.report("c1", **SEEN)
    story.end_window("c1")
    assert story.value("c1", "small", "chat") == pytest.approx(-0.2)
    assert story.last().report.missing == ("success",)
    assert not story.last().update.truncated


def test_a_call_that_failed_is_learnt_at_once(story: Story) -> None:
    """-1 - 0.1 * 0.5."""
    story.decide("c1", "small", point="chat", task="talk")
    assert story.report("c1", latency_ms=10_000.0, failures=1).updated
    assert story.value("c1", "small", "chat") == pytest.approx(-1.05)


def test_a_chat_is_worth_itself_whatever_its_conversation_does_next(story: Story) -> None:
    for trace_id in ("c1", "c2"):
        story.decide(trace_id, "small", point="chat", task="talk")
        story.report(trace_id, **SEEN)
    assert story.report("c1", success=True).updated
    assert story.last().update.discount == 0.0


def test_an_answer_that_was_kept_teaches_nothing(story: Story) -> None:
    story.decide("c1", "small", point="chat")
    assert not story.report("c1", executed=False).updated
    assert not story.report("c1", success=True).updated
    assert [learned.update for learned in story.learned] == [None]
