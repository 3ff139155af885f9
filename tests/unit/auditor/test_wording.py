"""Words speak for failing once plans with them failed, each namespace for itself, and only where the plan ran."""

from typing import Any

import pytest

from auditor.cases import FRESH, Cases
from auditor.wording import CROSSED, FIRST_TRUST, Plan, Wording, odds_of, words_of_plan

from .story import Story

HERE = ("db=world", FRESH)


def plan(text: str, error: str = "", odds: tuple[float, float] = (0.0, 0.0)) -> Plan:
    return Plan(words_of_plan(text), words_of_plan(error), odds)


def taught(*said: tuple[str, bool], conditions: tuple[str, ...] = HERE, times: int = 20) -> Wording:
    wording = Wording()
    for _ in range(times):
        for text, success in said:
            wording.observe(plan(text), conditions, success)
    return wording


def test_before_any_outcome_the_risk_is_what_the_cases_say() -> None:
    assert Wording().trust == FIRST_TRUST
    for risk in (0.02, 0.5, 0.9):
        assert Wording().failing(plan("select x", odds=(odds_of(risk), 3.0)), HERE) == pytest.approx(risk)


def test_a_word_of_plans_that_failed_speaks_against_another_plan_with_it() -> None:
    wording = taught(("select iso from country", False), ("select name from country", True))
    assert wording.failing(plan("select max ( iso ) from country"), HERE) > 0.6
    assert wording.failing(plan("select max ( name ) from country"), HERE) < 0.4


def test_a_word_that_fails_under_one_condition_says_little_under_another() -> None:
    wording = Wording()
    for _ in range(30):
        for db, works in (("world", False), ("cars", True)):
            wording.observe(plan("select id from t"), (f"db={db}", FRESH), works)
    assert wording.failing(plan("select id from t"), ("db=world", FRESH)) > 0.8
    assert wording.failing(plan("select id from t"), ("db=cars", FRESH)) < 0.2


def test_the_last_error_of_the_task_speaks_too() -> None:
    wording = Wording()
    for _ in range(100):
        wording.observe(plan("make", "disk full"), HERE, False)
        wording.observe(plan("make"), HERE, True)
    assert wording.failing(plan("make", "disk full"), HERE) > 0.6 > 0.4 > wording.failing(plan("make"), HERE)


def test_cases_lose_their_say_where_they_prove_wrong() -> None:
    wording = Wording()
    for turn in range(1000):
        odds = 2.0 if turn % 4 < 2 else -2.0
        wording.observe(plan("run", odds=(odds, odds)), HERE, turn % 2 == 0)
    assert wording.trust[0] < 0.3
    assert all(0.0 <= trust <= 2.0 for trust in wording.trust)


def test_the_word_that_fares_worst_is_named_with_its_outcomes() -> None:
    wording = taught(("select iso from country", False), ("select name from country", True), times=3)
    assert wording.fares_worst(plan("select name , iso"), HERE) == (2, 0, 3)
    assert wording.fares_worst(plan("never seen"), HERE) is None


def test_words_are_taken_together_with_a_few_conditions_only() -> None:
    many = tuple(f"key{n}=v" for n in range(CROSSED + 3))
    assert len(plan("a b").here(many)) == CROSSED
    assert plan("a b").here((FRESH,)) == [list(words_of_plan("a b"))]


def test_what_was_learnt_is_the_same_after_it_was_at_rest() -> None:
    wording = taught(("select iso from country", False), ("select name from country", True))
    again = Wording.load(wording.dump())
    assert again.dump() == wording.dump()
    assert again.failing(plan("iso"), HERE) == wording.failing(plan("iso"), HERE)


def test_namespaces_share_no_words() -> None:
    cases = Cases()
    cases.observe("one", "sql | x", HERE, False, plan("x"))
    assert cases.wording("one").outcomes == 1
    assert cases.wording("two").outcomes == 0
    assert Cases.load(cases.dump()).dump() == cases.dump()


@pytest.mark.parametrize(
    ("action", "outcome", "learns"),
    [
        ("PROCEED", {"success": False}, 1),
        ("HINT", {"success": False, "applied_suggestion": False}, 1),
        ("HINT", {"success": True, "applied_suggestion": True}, 0),
        ("BLOCK", {"success": False, "overridden": True}, 1),
        ("PROCEED", {"executed": False}, 0),
    ],
)
def test_words_learn_where_the_plan_itself_was_run(
    story: Story, action: str, outcome: dict[str, Any], learns: int
) -> None:
    story.decide("t1", action, signature="sql | x", advised="sql | y", conditions=HERE, plan=plan("x"))
    story.report("t1", **outcome)
    assert story.fold.cases.wording("").outcomes == learns
