"""The ranker's weights are fitted to outcomes and judged on sessions that were held out; relevance keeps its weight."""

import random
from itertools import product
from zlib import crc32

import msgspec
import pytest

from auditor.sessions import Joined
from controlplane.memory.ranking import SHIPPED, TERMS
from controlplane.memory.refitting import HELD_OUT, KEPT, TooFew, fit

TWICE = 2 / 3  # of all weight: twice as much as all else


def drawn(seed: int, n: int, by: str | None) -> list[Joined]:
    """Sessions with one memory each, whose outcome goes by one term, or by none."""
    rng, rows = random.Random(seed), []
    for number in range(n):
        scores = {term: rng.random() for term in ("similarity", "worth")}
        chance = 0.5 if by is None else scores[by] ** 2
        rows.append(Joined(f"s{number}", scores, 1.0, rng.random() < chance))
    return rows


def opposed(rows: list[Joined]) -> list[Joined]:
    """The same, but relevance speaks against success, all the more the better a term speaks for it."""
    scores = [{**of.scores, "similarity": 1.0 - of.scores["worth"], "lexical": 1.0 - of.scores["worth"]} for of in rows]
    return [Joined(of.session_id, told, 1.0, of.success) for of, told in zip(rows, scores, strict=True)]


def test_a_term_that_goes_with_success_gains_and_ranks_held_out_sessions_better(seed: int) -> None:
    weights, judged = fit(drawn(seed, 600, "worth"), SHIPPED)
    assert weights.worth > 3 * SHIPPED.worth
    assert sum(msgspec.structs.astuple(weights)) == pytest.approx(1.0)
    assert judged.auc_after > judged.auc_before
    assert judged.low > 0.0
    assert judged.sessions == 600
    assert 150 < judged.held_out < 250


def test_whatever_sessions_say_similarity_and_words_weigh_twice_as_much_as_all_else(seed: int) -> None:
    weights = SHIPPED
    for _ in range(3):
        weights, _ = fit(opposed(drawn(seed, 600, "worth")), weights)
        assert weights.similarity + weights.lexical >= TWICE
        assert weights.similarity == pytest.approx(KEPT * SHIPPED.similarity), "it speaks against success"
        assert weights.lexical == pytest.approx(KEPT * SHIPPED.lexical)


def test_what_is_judged_is_what_ranks_also_of_memories_without_some_of_the_terms(seed: int) -> None:
    """Documents have no conditions, and what a patch is mixed with is no term."""
    rng, rows = random.Random(seed), []
    for number in range(300):
        scores = {term: rng.random() for term in TERMS}
        if number % 2:
            del scores["precondition"]
            scores["score"] = rng.random()
        rows.append(Joined(f"s{number}", scores, 1.0, rng.random() < scores["worth"]))
    weights, judged = fit(rows, SHIPPED)
    held = [of for of in rows if crc32(of.session_id.encode()) % HELD_OUT == 0]
    for used, told in (SHIPPED, judged.auc_before), (weights, judged.auc_after):
        ranks = [(used.of({t: of.scores[t] for t in TERMS if t in of.scores}), of.success) for of in held]
        pairs = [(a > b) + (a == b) / 2 for (a, well), (b, bad) in product(ranks, ranks) if well and not bad]
        assert told == pytest.approx(sum(pairs) / len(pairs), abs=1e-4)


def test_where_nothing_goes_with_success_the_bound_does_not_let_new_weights_in() -> None:
    """Of many streams of noise few may pass: one in twenty by the bound, and as many again for what it leaves out."""
    passed = 0
    for seed in range(40):
        try:
            passed += fit(drawn(seed, 120, None), SHIPPED)[1].low > 0.0
        except TooFew:
            continue
    assert passed <= 4


def test_too_few_sessions_of_a_kind_are_named(seed: int) -> None:
    rows = [Joined(of.session_id, of.scores, 1.0, True) for of in drawn(seed, 100, None)]
    with pytest.raises(TooFew, match="0 failed"):
        fit(rows, SHIPPED)
