"""The ranker's weights are fitted to outcomes, judged on sessions that were held out, and never below 0."""

import random

import pytest

from auditor.sessions import Joined
from controlplane.memory.refitting import TooFew, fit

EVEN = {"similarity": 0.5, "worth": 0.5}


def drawn(seed: int, n: int, by: str | None) -> list[Joined]:
    """Sessions with one memory each, whose outcome goes by one term, or by none."""
    rng, rows = random.Random(seed), []
    for number in range(n):
        scores = {term: rng.random() for term in EVEN}
        chance = 0.5 if by is None else scores[by] ** 2
        rows.append(Joined(f"s{number}", scores, 1.0, rng.random() < chance))
    return rows


def test_a_term_that_goes_with_success_gets_the_weight_and_ranks_held_out_sessions_better(seed: int) -> None:
    weights, judged = fit(drawn(seed, 600, "worth"), EVEN)
    assert weights["worth"] > 0.8
    assert sum(weights.values()) == pytest.approx(1.0)
    assert judged.auc_after > judged.auc_before
    assert judged.low > 0.0
    assert judged.sessions == 600
    assert 150 < judged.held_out < 250


def test_a_term_that_speaks_against_success_gets_no_negative_weight(seed: int) -> None:
    rows = [
        Joined(of.session_id, {**of.scores, "similarity": 1.0 - of.scores["worth"]}, 1.0, of.success)
        for of in drawn(seed, 600, "worth")
    ]
    weights, _ = fit(rows, EVEN)
    assert weights["similarity"] == 0.0


def test_where_nothing_goes_with_success_the_bound_does_not_let_new_weights_in() -> None:
    """Of many streams of noise few may pass: one in twenty by the bound, and as many again for what it leaves out."""
    passed = 0
    for seed in range(40):
        try:
            passed += fit(drawn(seed, 120, None), EVEN)[1].low > 0.0
        except TooFew:
            continue
    assert passed <= 4


def test_too_few_sessions_of_a_kind_are_named(seed: int) -> None:
    rows = [Joined(of.session_id, of.scores, 1.0, True) for of in drawn(seed, 100, None)]
    with pytest.raises(TooFew, match="0 failed"):
        fit(rows, EVEN)
