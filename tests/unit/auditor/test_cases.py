"""Cases are two-sided, know under which conditions they happened, and learn which conditions matter."""

from math import log
from random import Random
from typing import Any

import msgspec
import pytest

from auditor.cases import (
    ADVISED,
    FIRST_WEIGHT,
    FRESH,
    MAX_CONDITIONS,
    PLAIN,
    RETRY,
    CaseRecord,
    Cases,
    CasesDump,
    as_advised,
    log_odds,
    probability,
)

from .story import Story

RUN, FIX = "pytest | pytest -q", "pytest | pytest -q --no-cov"


def counts(story: Story, signature: str = RUN, namespace: str = "") -> tuple[int, int]:
    count = story.fold.cases.of(namespace, signature)
    return count.successes, count.failures


def record(*outcomes: tuple[bool, tuple[str, ...]]) -> CaseRecord:
    made = CaseRecord()
    for success, conditions in outcomes:
        made.add(conditions, success)
    return made


def failing(cases: Cases, conditions: tuple[str, ...], signature: str = RUN) -> float:
    return probability(cases.speaking(((1.0, cases.of("", signature)),), conditions, cases.base_rate(conditions)))


def test_one_failure_among_many_successes_is_no_wall(story: Story) -> None:
    """499 successes and a failure: odds of (1 + base) to (500 - base), base 2/502."""
    for number in range(500):
        story.decide(f"t{number}", signature=RUN)
        story.report(f"t{number}", success=number != 250)
    assert counts(story) == (499, 1)
    assert failing(story.fold.cases, ()) == pytest.approx((1 + 2 / 502) / 501, rel=1e-12)


@pytest.mark.parametrize(
    ("action", "outcome", "planned", "advised"),
    [
        ("PROCEED", {"success": True}, (1, 0), (0, 0)),
        ("PROCEED", {"success": False}, (0, 1), (0, 0)),
        ("PROCEED", {}, (0, 0), (0, 0)),  # nobody said how it ended
        ("HINT", {"success": True, "applied_suggestion": False}, (1, 0), (0, 0)),
        ("HINT", {"success": True, "applied_suggestion": True}, (0, 0), (1, 0)),  # the advice was run
        ("HINT", {"success": True}, (0, 0), (0, 0)),  # unknown which was run
        ("REWRITE", {"success": False, "applied_suggestion": False}, (0, 1), (0, 0)),
        ("REWRITE", {"success": False, "applied_suggestion": True}, (0, 0), (0, 1)),
        ("BLOCK", {"success": True, "overridden": True}, (1, 0), (0, 0)),
        ("BLOCK", {"success": True}, (0, 0), (0, 0)),
        ("PROCEED", {"success": False, "executed": False}, (0, 0), (0, 0)),
    ],
)
def test_outcome_counts_for_the_command_that_ran(
    story: Story, action: str, outcome: dict[str, Any], planned: tuple[int, int], advised: tuple[int, int]
) -> None:
    story.decide("t1", action, signature=RUN, advised=FIX, conditions=("ci=true", FRESH))
    story.report("t1", **outcome)
    assert (counts(story), counts(story, FIX)) == (planned, advised)


def test_advice_is_counted_under_a_turn_of_its_own(story: Story) -> None:
    """That a fix holds where it was advised says nothing about the plan it replaced."""
    story.decide("t1", "HINT", signature=RUN, advised=FIX, conditions=("ci=true", FRESH))
    story.report("t1", success=True, applied_suggestion=True)
    assert set(story.fold.cases.of("", FIX).conditions) == {"ci=true", ADVISED}
    assert as_advised(("ci=true", RETRY)) == ("ci=true", ADVISED)


def test_advice_nobody_can_name_is_not_counted(story: Story) -> None:
    story.decide("t1", "HINT", signature=RUN, advised=None)
    story.report("t1", success=True, applied_suggestion=True)
    assert story.fold.cases.records == {}


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
    assert (counts(story, namespace="blue"), counts(story)) == ((0, 1), (0, 0))


def test_base_rate_is_over_all_actions_at_such_a_turn() -> None:
    """2 failures of 4 and one imagined of each: 3/6; of retries none of 2: 1/4; of advice nothing is known."""
    cases = Cases()
    for signature, turn, success in (("a", FRESH, False), ("b", FRESH, False), ("a", RETRY, True), ("c", RETRY, True)):
        cases.observe("", signature, (turn,), success)
    assert [cases.base_rate(at) for at in ((), (FRESH,), (RETRY,), (ADVISED,))] == [0.5, 0.75, 0.25, 0.5]


def test_log_odds_by_hand() -> None:
    """Three failures, two under v=1; a success under v=2; the prior 1/2 is one imagined outcome.

    The action: (3 + .5) / (1 + .5). v=1: seen 2 of 4, so (2 + .5) / 5 of an outcome of each kind is imagined.
    """
    seen = record((False, ("v=1",)), (False, ("v=1",)), (False, ("v=2",)), (True, ("v=2",)))
    said = log_odds(((1.0, seen),), ("v=1", "w=9"), 0.5)
    assert said[PLAIN] == pytest.approx(log(3.5 / 1.5), rel=1e-12)
    assert said["v=1"] == pytest.approx(log((2 + 0.5) / 4 / ((0 + 0.5) / 2)), rel=1e-12)
    assert "w=9" not in said, "a condition that was never seen says nothing"


def test_outcomes_of_a_similar_action_count_by_their_weight() -> None:
    half = log_odds(((0.5, record((False, ()), (False, ()))),), (), 0.5)
    assert half == log_odds(((1.0, record((False, ()))),), (), 0.5)


def test_condition_as_frequent_among_both_adds_nothing() -> None:
    seen = record((False, ("host=a",)), (True, ("host=a",)), (False, ("host=b",)), (True, ("host=b",)))
    assert log_odds(((1.0, seen),), ("host=a",), 0.5)["host=a"] == pytest.approx(0.0, abs=1e-12)


def taught(seed: int) -> Cases:
    """Twenty actions; `upstream` decides nineteen times in twenty, `host` never."""
    rng, cases = Random(seed), Cases()
    for _ in range(400):
        upstream, host = rng.choice(("set", "")), rng.choice("abcd")
        success = (upstream == "set") == (rng.random() < 0.95)
        action = f"git | push {rng.randrange(20)}"
        cases.observe("", action, (f"host={host}", f"upstream={upstream}", FRESH), success)
    return cases


def test_what_matters_is_told_from_what_does_not() -> None:
    """Seed 4."""
    weights = taught(4).weights
    assert weights["upstream"] > FIRST_WEIGHT > 2 * weights["host"]


def test_what_matters_is_known_of_an_action_that_is_new() -> None:
    """Two outcomes of a new action: what was learnt of the others says which difference between them counts."""
    cases = taught(4)
    cases.observe("", "new", ("host=a", "upstream=", FRESH), False)
    cases.observe("", "new", ("host=b", "upstream=set", FRESH), True)
    assert (
        failing(cases, ("host=b", "upstream=", FRESH), "new")
        > 0.5
        > failing(cases, ("host=a", "upstream=set", FRESH), "new")
    )


def test_weights_stay_in_their_bounds() -> None:
    """However one-sided the outcomes: never below 0, never above 2; seed 5."""
    rng, cases = Random(5), Cases()
    for _ in range(2000):
        cases.observe("", "a", (f"k={rng.randrange(2)}", "always=1"), rng.random() < 0.5)
        cases.observe("", "b", (f"j={(up := rng.random() < 0.5)}",), up)
    assert all(0.0 <= weight <= 2.0 for weight in cases.weights.values())


def test_record_keeps_a_bounded_number_of_conditions() -> None:
    """What comes later is counted for the action, and no longer told apart."""
    many = record(*((False, (f"build={n}",)) for n in range(MAX_CONDITIONS + 10)))
    assert (many.failures, len(many.conditions)) == (MAX_CONDITIONS + 10, MAX_CONDITIONS)


def test_cases_survive_rest_bit_by_bit() -> None:
    encoder = msgspec.msgpack.Encoder(order="deterministic")
    cases = taught(6)
    payload = encoder.encode(cases.dump())
    again = Cases.load(msgspec.msgpack.decode(payload, type=CasesDump))
    assert encoder.encode(again.dump()) == payload
    for each in (cases, again):
        each.observe("", "git | push 3", ("host=a", "upstream=", RETRY), True)
    assert encoder.encode(again.dump()) == encoder.encode(cases.dump())
