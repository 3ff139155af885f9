"""Cases are two-sided: each action signature keeps its successes and its failures."""

import pytest

from auditor.cases import CaseCount, Cases

from .story import Story

RUN = "pytest|pytest -q|"


def counts(story: Story, namespace: str = "") -> tuple[int, int]:
    count = story.fold.cases.of(namespace, RUN)
    return count.successes, count.failures


def test_one_failure_among_many_successes_is_no_wall(story: Story) -> None:
    """499 successes and a failure: (1 + 1) / (500 + 2)."""
    for number in range(500):
        story.decide(f"t{number}", signature=RUN)
        story.report(f"t{number}", success=number != 250)
    assert counts(story) == (499, 1)
    assert story.fold.cases.of("", RUN).failure_share == pytest.approx(2 / 502, rel=1e-12)


@pytest.mark.parametrize(
    ("action", "outcome", "expected"),
    [
        ("PROCEED", {"success": True}, (1, 0)),
        ("PROCEED", {"success": False}, (0, 1)),
        ("PROCEED", {}, (0, 0)),  # nobody said how it ended
        ("HINT", {"success": True, "applied_suggestion": False}, (1, 0)),
        ("HINT", {"success": True, "applied_suggestion": True}, (0, 0)),  # something else was run
        ("HINT", {"success": True}, (0, 0)),  # unknown which was run
        ("REWRITE", {"success": False, "applied_suggestion": False}, (0, 1)),
        ("BLOCK", {"success": True, "overridden": True}, (1, 0)),
        ("BLOCK", {"success": True}, (0, 0)),
        ("PROCEED", {"success": False, "executed": False}, (0, 0)),
    ],
)
def test_only_the_action_as_planned_is_counted(
    story: Story, action: str, outcome: dict, expected: tuple[int, int]
) -> None:
    story.decide("t1", action, signature=RUN)
    story.report("t1", **outcome)
    assert counts(story) == expected


def test_decision_is_counted_once(story: Story) -> None:
    story.decide("t1", "HINT", task="job", signature=RUN)
    story.report("t1", success=False, applied_suggestion=False)
    story.report("t1", success=True, applied_suggestion=False)
    assert counts(story) == (0, 1)


def test_outcome_that_is_stated_later_is_counted_then(story: Story) -> None:
    story.decide("t1", "HINT", task="job", signature=RUN)
    story.report("t1", latency_ms=5)
    story.report("t1", success=False, applied_suggestion=False)
    assert counts(story) == (0, 1)


def test_namespaces_do_not_mix(story: Story) -> None:
    story.decide("t1", signature=RUN, namespace="blue")
    story.report("t1", success=False)
    assert (counts(story, "blue"), counts(story)) == ((0, 1), (0, 0))


@pytest.mark.parametrize(
    ("successes", "failures", "share"), [(0, 0, 0.5), (1, 0, 1 / 3), (0, 1, 2 / 3), (8, 0, 0.1), (3, 5, 0.6)]
)
def test_failure_share_imagines_one_outcome_of_each_kind(successes: int, failures: int, share: float) -> None:
    """Laplace: unknown is one half, not safe."""
    assert CaseCount(successes, failures).failure_share == pytest.approx(share, rel=1e-12)


def test_base_rate_is_over_all_actions_of_the_tenant() -> None:
    """2 failures of 4 and one imagined of each: 3/6."""
    cases = Cases()
    for signature, success in (("a", True), ("a", False), ("b", False), ("c", True)):
        cases.observe("", signature, success)
    assert cases.failure_share == 0.5
    assert Cases.load(cases.dump()).failure_share == 0.5
    assert Cases.load(cases.dump()).dump() == cases.dump()
