"""How the gate's risk is compared with what happened (`make bench-calibration`): worked by hand."""

import random
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from benchmarks.calibration import (
    Bin,
    Forecast,
    binned,
    brier,
    by_how_much_is_known,
    claims,
    drawing,
    expected_error,
    figures,
    forecasts,
    spread,
)
from controlplane.demo.agent import Step

SOON = [(0.9, True), (0.9, True), (0.9, False), (0.1, False)]


def step(planned: str, ran: str | None, *, worked: bool, withheld_would_work: bool | None = None) -> Step:
    told: dict[str, Any] = {"task": 0, "task_id": "t", "family": "f", "environment": {}, "verdict": "PROCEED"}
    how: dict[str, Any] = {"trace_id": None, "exit_code": None}
    return Step(planned=planned, ran=ran, worked=worked, withheld_would_work=withheld_would_work, **told, **how)


def test_a_brier_score_is_the_mean_squared_distance() -> None:
    assert brier(SOON) == pytest.approx((0.01 + 0.01 + 0.81 + 0.01) / 4)


def test_an_expected_calibration_error_weighs_each_tenth_by_its_plans() -> None:
    bins = binned(SOON)
    assert [(held.plans, held.risk, held.failed) for held in bins] == [
        (1, 0.1, 0.0),
        (3, pytest.approx(0.9), pytest.approx(2 / 3)),
    ]
    assert expected_error(bins) == pytest.approx((1 * 0.1 + 3 * (0.9 - 2 / 3)) / 4)


def test_a_risk_of_one_belongs_to_the_last_tenth() -> None:
    assert binned([(1.0, True), (0.95, True)]) == [Bin(2, 0.975, 1.0)]


def test_a_plan_that_was_withheld_counts_by_what_it_would_have_done_and_one_that_never_ran_does_not_count() -> None:
    said = [{"risk": risk, "evidence": 1, "novelty": 0.0} for risk in (0.2, 0.3, 0.4, 0.5)]
    steps = [
        step("a", "a", worked=False),
        step("b", None, worked=False, withheld_would_work=True),
        step("c", "fix", worked=True, withheld_would_work=False),
        step("d", "fix of a hint", worked=True),
    ]
    assert forecasts(said, steps) == [
        Forecast(0.2, 1 / 2, 1, 0.0, "PROCEED", True),
        Forecast(0.3, 2 / 3, 1, 0.0, "PROCEED", False),
        Forecast(0.4, 2 / 4, 1, 0.0, "PROCEED", True),
    ]


def test_an_answer_that_lets_go_claims_that_it_works_and_another_that_it_fails() -> None:
    made = [Forecast(0.2, 0.5, 1, 0.0, "PROCEED", True), Forecast(0.3, 0.5, 1, 0.0, "PROCEED", False)]
    made.append(Forecast(0.9, 0.5, 1, 0.0, "BLOCK", True))
    assert claims(made) == {"BLOCK": [1, 0.9, 1.0], "PROCEED": [2, 0.75, 0.5]}


def test_plans_are_told_by_how_much_was_known_of_them() -> None:
    made = [Forecast(0.2, 0.5, 0, 1.0, "PROCEED", True), Forecast(0.4, 0.5, 4, 0.0, "HINT", False)]
    made.append(Forecast(0.6, 0.5, 9, 0.0, "HINT", True))
    told = by_how_much_is_known(made)
    assert told["evidence"]["0"] == [1, 0.2, 1.0, 0.64]
    assert told["evidence"]["3-9"] == told["novelty"]["0"] == [2, 0.5, 0.5, 0.16]
    assert told["evidence"]["30 and more"] == []


def test_the_spread_is_that_of_the_streams() -> None:
    one, other = [Forecast(1.0, 0.5, 1, 0.0, "HINT", True)], [Forecast(0.8, 0.5, 1, 0.0, "HINT", True)]
    assert spread([one, other]) == {
        "brier": [0.02, 0.0283],
        "brier_of_base_rate": [0.25, 0.0],
        "difference": [-0.23, 0.0283],
    }


def test_a_risk_that_keeps_its_word_has_hardly_an_error_and_one_that_overstates_has(seed: int) -> None:
    rng = random.Random(seed)
    risks = [rng.random() for _ in range(4000)]
    honest = figures([Forecast(risk, 0.5, 1, 0.0, "HINT", rng.random() < risk) for risk in risks])
    loud = figures([Forecast(risk, 0.5, 1, 0.0, "HINT", rng.random() < risk / 2) for risk in risks])
    assert honest["expected_calibration_error"] < 0.03 < 0.2 < loud["expected_calibration_error"]
    assert honest["brier"] < honest["brier_of_base_rate"]


def test_the_drawing_has_a_dot_for_each_tenth() -> None:
    drawn = ElementTree.fromstring(drawing(binned(SOON)))
    assert len([part for part in drawn if part.tag.endswith("circle")]) == 2
