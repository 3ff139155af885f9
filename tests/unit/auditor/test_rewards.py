"""Rewards: named, bounded, weighted, explained; the Aurora example gives 0.88."""

import math

import pytest

from auditor import Outcome
from auditor.rewards import DEFAULT_WEIGHTS, JoinRule, Report, Scene, default_report, join, score, spent_value

AURORA = Outcome(success=True, latency_ms=42, cost=0.12, failures=0, slo_hit=True)


def route(outcome: Outcome, weights: dict[str, float] | None = None) -> Report:
    return score("route", Scene("akash/A8", outcome), weights or DEFAULT_WEIGHTS["route"])


def gate(action: str, validation: bool | None = None, **outcome: object) -> Report:
    return score("gate", Scene(action, Outcome(**outcome), validation), DEFAULT_WEIGHTS["gate"])  # type: ignore[arg-type]


def values(report: Report) -> dict[str, float]:
    return {term.name: term.value for term in report.terms}


def test_aurora_example_is_worth_88_cents() -> None:
    """0.4 * (200 - 42) / 200 + 0.3 * (1 - 0.12) + 0.2 * 1 + 0.1 * 1 = 0.316 + 0.264 + 0.2 + 0.1."""
    report = route(AURORA)
    assert report.total == pytest.approx(0.88, rel=1e-12)
    assert [(t.name, round(t.value, 4), t.weight) for t in report.terms] == [
        ("latency", 0.79, 0.4),
        ("cost", 0.88, 0.3),
        ("slo", 1.0, 0.2),
        ("failures", 1.0, 0.1),
        ("success", 1.0, 0.0),
    ]
    assert report.missing == ()


@pytest.mark.parametrize(
    ("reported", "name", "expected"),
    [
        ({"latency_ms": 0}, "latency", 1.0),
        ({"latency_ms": 200}, "latency", 0.0),
        ({"latency_ms": 400}, "latency", -1.0),
        ({"latency_ms": 60_000}, "latency", -1.0),
        ({"cost": 0}, "cost", 1.0),
        ({"cost": 1}, "cost", 0.0),
        ({"cost": 2}, "cost", -1.0),
        ({"cost": 900}, "cost", -1.0),
        ({"slo_hit": True}, "slo", 1.0),
        ({"slo_hit": False}, "slo", -0.5),
        ({"failures": 0}, "failures", 1.0),
        ({"failures": 1}, "failures", -1 / 3),
        ({"failures": 3}, "failures", -1.0),
        ({"failures": 50}, "failures", -1.0),
        ({"success": True}, "success", 1.0),
        ({"success": False}, "success", -1.0),
        ({"custom": {"taste": 0.4}}, "custom.taste", 0.4),
        ({"custom": {"taste": 7.0}}, "custom.taste", 1.0),
        ({"custom": {"taste": -7.0}}, "custom.taste", -1.0),
    ],
)
def test_routing_term_has_its_value_and_its_bounds(reported: dict[str, object], name: str, expected: float) -> None:
    assert values(route(Outcome(**reported)))[name] == pytest.approx(expected, rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("point", ["route", "gate"])
@pytest.mark.parametrize("action", ["PROCEED", "HINT", "REWRITE", "BLOCK"])
@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(success=True, latency_ms=1e15, cost=1e15, failures=2**53, slo_hit=False, custom={"x": 1e300}),
        Outcome(success=False, latency_ms=0.0, cost=0.0, failures=0, slo_hit=True, custom={"x": -math.inf}),
        Outcome(success=True, overridden=True),
        AURORA,
    ],
)
def test_every_term_stays_in_its_bounds_and_has_a_sentence(point: str, action: str, outcome: Outcome) -> None:
    for term in score(point, Scene(action, outcome), DEFAULT_WEIGHTS[point]).terms:
        assert -1.0 <= term.value <= 1.0
        assert len(term.sentence) > 5


def test_missing_terms_count_nothing_are_listed_and_their_weight_goes_to_nobody() -> None:
    """Only the latency is known: 0.4 * 0.79, not 0.79."""
    report = route(Outcome(latency_ms=42))
    assert report.total == pytest.approx(0.316, rel=1e-12)
    assert report.missing == ("cost", "slo", "failures", "success")


def test_unreported_failures_earn_no_bonus() -> None:
    assert route(Outcome(latency_ms=42, failures=0)).total > route(Outcome(latency_ms=42)).total


def test_success_and_custom_terms_weigh_nothing_unless_set() -> None:
    outcome = Outcome(success=True, custom={"taste": 0.5})
    assert route(outcome).total == 0.0
    weighed = route(outcome, {**DEFAULT_WEIGHTS["route"], "success": 0.2, "custom.taste": 0.4})
    assert weighed.total == pytest.approx(0.4, rel=1e-12)  # 0.2 * 1 + 0.4 * 0.5


def test_custom_term_with_a_weight_is_missed_when_nobody_reports_it() -> None:
    report = route(AURORA, {**DEFAULT_WEIGHTS["route"], "custom.taste": 0.4})
    assert report.total == pytest.approx(0.88, rel=1e-12)
    assert report.missing == ("custom.taste",)


def test_terms_keep_their_values_whatever_the_weights() -> None:
    """The vector stands beside the scalar, so that other weights can be replayed."""
    other = route(AURORA, {"latency": 1.0})
    assert values(other) == values(route(AURORA))
    assert other.total == pytest.approx(0.79, rel=1e-12)


@pytest.mark.parametrize(
    ("action", "reported", "expected"),
    [
        ("PROCEED", {"success": True}, 1.0),
        ("PROCEED", {"success": False}, -1.0),
        ("HINT", {"success": True}, 0.98),  # 1 - 0.02
        ("HINT", {"success": False}, -1.02),
        ("REWRITE", {"success": True}, 0.95),  # 1 - 0.05: the answer of validate_fix in docs/api.md
        ("REWRITE", {"success": False}, -1.05),
        ("BLOCK", {}, -0.15),  # obeyed: its friction, nothing else
        ("BLOCK", {"success": True}, -0.15),  # what the agent did instead is no outcome of the block
        ("BLOCK", {"overridden": True, "success": True}, -0.65),  # -0.15 - 0.5: a false block
        ("BLOCK", {"overridden": True, "success": False}, -0.15),  # the block was right
        ("PROCEED", {"success": True, "cost": 0.25}, 0.75),  # minus one per dollar
        ("PROCEED", {"success": True, "cost": 40.0}, 0.0),  # bounded: at most -1
        ("HINT", {}, -0.02),
    ],
)
def test_gate_reward_by_hand(action: str, reported: dict[str, object], expected: float) -> None:
    assert gate(action, **reported).total == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("validation", "exit_code", "expected"), [(True, False, 1.0), (False, True, -1.0)])
def test_validation_outranks_the_exit_code(validation: bool, exit_code: bool, expected: float) -> None:
    report = gate("PROCEED", validation, success=exit_code)
    assert report.total == expected
    assert "validated" in report.terms[0].sentence


def test_validation_alone_is_a_reward() -> None:
    assert gate("REWRITE", True).total == pytest.approx(0.95, rel=1e-12)


def test_explanation_names_the_strongest_reasons_first_and_leaves_out_what_counts_nothing() -> None:
    sentence = route(AURORA).explanation
    assert sentence.startswith("Reward 0.88: 42 ms against a yardstick of 200 ms (+0.316); $0.12;")
    assert "success" not in sentence
    assert route(Outcome()).explanation == "Reward 0: nothing was reported that counts."


@pytest.mark.parametrize("point", ["route", "gate"])
def test_default_reward_is_0_with_everything_missing(point: str) -> None:
    report = default_report(point)
    assert (report.total, report.terms) == (0.0, ())
    assert set(report.missing) == set(DEFAULT_WEIGHTS[point])


@pytest.mark.parametrize(
    ("rule", "total"), [("last", 0.25), ("first", 0.5), ("mean", 0.25), ("min", 0.0), ("max", 0.5)]
)
def test_join_rules(rule: JoinRule, total: float) -> None:
    """Three reports with rewards 0.5, 0 and 0.25."""
    reports = [Report(0.5, (), ("a",)), Report(0.0, (), ("b",)), Report(0.25, (), ("c",))]
    joined = join(reports, rule)
    assert joined.total == total
    assert joined.missing == {"first": ("a",), "max": ("a",), "min": ("b",)}.get(rule, ("c",))


def test_a_completion_is_worth_its_success_less_what_it_cost_and_took() -> None:
    """1 - 0.3 * 0.01 / 0.02 - 0.1 * 10 / 20 = 0.8; nobody said a success: -0.2; no answer came: -1.05."""

    def chat(**outcome: object) -> float:
        return score("chat", Scene("m", Outcome(**outcome)), DEFAULT_WEIGHTS["chat"]).total  # type: ignore[arg-type]

    assert chat(success=True, failures=0, cost=0.01, latency_ms=10_000) == pytest.approx(0.8)
    assert chat(failures=0, cost=0.01, latency_ms=10_000) == pytest.approx(-0.2)
    assert chat(failures=1, latency_ms=10_000) == pytest.approx(-1.05)


@pytest.mark.parametrize("usd", [0.0, 0.001, 0.1, 10.0, 1e6])
def test_a_dearer_call_is_always_worth_less(usd: float) -> None:
    assert -1.0 <= spent_value(2 * usd + 1e-6) < spent_value(usd) <= 0.0
