"""Answers to keyed requests are part of what is folded, until the journal has them."""

from auditor import State as LearntState
from auditor.events import Answered, Received
from auditor.receipts import REPEATABLE_S

from .story import Story


def receive(story: Story, key: str, answer: object = None) -> int:
    """The number its effect will have."""
    story.tell(
        Received(tenant="default", at=story.now, route="/r", key=key, fingerprint=b"f", by="someone", answer=answer)
    )
    return story.state.seq + 1


def test_what_a_keyed_report_was_answered_survives_a_dump(story: Story) -> None:
    story.decide("t1")
    seq = receive(story, "k")
    told = story.report("t1", success=True)
    assert story.state.receipts.of(seq) == told
    assert LearntState.load(story.state.dump()).receipts.of(seq) == told


def test_a_dump_between_receipt_and_effect_loses_nothing(story: Story) -> None:
    """Pages of the journal may part the two."""
    story.decide("t1")
    seq = receive(story, "k")
    story.state = LearntState.load(story.state.dump())
    told = story.report("t1", success=True)
    assert story.state.receipts.of(seq) == told


def test_a_keyed_validation_is_kept_too(story: Story) -> None:
    seq = receive(story, "k")
    told = story.validate(7)
    assert LearntState.load(story.state.dump()).receipts.of(seq) == told


def test_an_answer_that_is_journalled_is_kept_no_longer(story: Story) -> None:
    story.decide("t1")
    seq = receive(story, "k")
    story.report("t1", success=True)
    story.tell(Answered(tenant="default", at=story.now, route="/r", key="k", receipt=seq - 1, answer={}))
    assert story.state.receipts.of(seq) is None
    assert story.state.receipts.dump() == []


def test_nothing_is_owed_for_an_answer_that_was_known_or_that_the_fold_does_not_give(story: Story) -> None:
    receive(story, "known", {"trace_id": "t1"})
    story.decide("t1")
    receive(story, "no answer")
    story.retire(1)
    assert story.state.receipts.dump() == []


def test_what_nobody_asked_about_for_a_day_is_forgotten(story: Story) -> None:
    story.decide("t1")
    seq = receive(story, "k")
    story.report("t1", success=True)
    story.now += REPEATABLE_S - 10.0
    receive(story, "within the day", {})
    assert story.state.receipts.of(seq) is not None
    story.now += 10.0
    receive(story, "after it", {})
    assert story.state.receipts.of(seq) is None


def test_a_receipt_changes_nothing_that_is_learnt(story: Story, tell: object) -> None:
    story.decide("t1")
    before = story.state.dump_tenant("default")
    receive(story, "k", {})
    assert story.state.dump_tenant("default") == before
