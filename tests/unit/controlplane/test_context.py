"""A context holds the best memories under a budget: never more, nothing twice, what is long told in short."""

import random

import numpy as np
import pytest

from controlplane.memory.context import CUT, SAME, Candidate, as_json, pack, shortened


def count(text: str) -> int:
    """Tokens: as many as words and signs, nearly."""
    return sum(1 + len(word) // 4 for word in text.replace('"', ' " ').split())


def unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=16).astype(np.float32)
    return vector / np.linalg.norm(vector)


def candidates(seed: int, n: int = 40) -> list[Candidate]:
    rng, words = np.random.default_rng(seed), random.Random(seed)
    texts = [
        ". ".join(
            " ".join(words.choices(["git", "push", "name", "mail", "host", "key", "lock"], k=9))
            for _ in range(words.randint(1, 60))
        )
        for _ in range(n)
    ]
    return [Candidate(words.random(), {"id": i, "text": text}, unit(rng)) for i, text in enumerate(texts)]


@pytest.mark.parametrize("budget", [64, 200, 1000, 5000, 100_000])
def test_a_context_never_has_more_tokens_than_its_budget(budget: int, seed: int) -> None:
    packed = pack(candidates(seed), "push my work", budget, count)
    assert sum(count(as_json(of.entry)) for of in packed.chosen) == packed.tokens <= budget
    assert len(packed.chosen) + packed.left_out + packed.repeated == 40
    assert packed.chosen or budget == 64


def test_what_has_room_is_told_whole_and_nothing_is_left_out(seed: int) -> None:
    given = candidates(seed)
    packed = pack(given, "push my work", 10**6, count)
    assert {of.entry["id"] for of in packed.chosen} == set(range(40))
    assert all("shortened" not in of.entry for of in packed.chosen)


def test_what_was_said_is_not_said_again_though_it_scores_higher_than_something_new(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = unit(rng), unit(rng)
    entries = [
        Candidate(0.9, {"text": "a"}, one),
        Candidate(0.89, {"text": "a again"}, one),
        Candidate(0.3, {"text": "b"}, other),
    ]
    packed = pack(entries, "a", 1000, count)
    assert [of.entry["text"] for of in packed.chosen] == ["a", "b"]
    assert packed.repeated == 1


def test_of_two_alike_the_second_comes_after_something_else() -> None:
    first = np.zeros(16, np.float32)
    first[0] = 1.0
    near, far = first.copy(), np.zeros(16, np.float32)
    near[0], near[1] = 0.9, np.sqrt(1 - 0.81)
    far[2] = 1.0
    assert float(first @ near) < SAME
    packed = pack(
        [
            Candidate(0.9, {"text": "x"}, first),
            Candidate(0.88, {"text": "y"}, near),
            Candidate(0.7, {"text": "z"}, far),
        ],
        "",
        1000,
        count,
    )
    assert [of.entry["text"] for of in packed.chosen] == ["x", "z", "y"]


def test_a_long_text_keeps_its_beginning_and_what_answers_the_query() -> None:
    text = (
        "How to deploy. "
        + " ".join(f"Step {n} is dull." for n in range(50))
        + " The image tag must match the registry. "
        + "The end is dull. " * 20
    )
    told = shortened(text, "image tag of the registry", 40, count)
    assert told.startswith("How to deploy.")
    assert "The image tag must match the registry." in told
    assert CUT in told
    assert count(told) <= 40


def test_a_text_of_one_endless_line_is_cut_where_the_budget_ends() -> None:
    told = shortened("x" * 10_000, "x", 50, count)
    assert told.endswith(CUT)
    assert 20 < count(told) <= 50


def test_an_entry_counts_with_its_names_and_signs_as_it_is_sent() -> None:
    entries = [Candidate(0.5, {"text": "a b"}, None)]
    assert pack(entries, "a", 100, count).tokens > count("a b")
    assert pack(entries, "a", 100, count, lambda entry: f"{entry['text']} and so on").tokens == count("a b and so on")


def test_one_that_is_alone_may_take_the_whole_budget_and_of_many_each_a_third() -> None:
    long = ". ".join(f"step {n} of it" for n in range(60))
    alone = Candidate(0.9, {"text": long}, None)
    assert pack([alone], "step", 100, count).tokens > 50
    others = [Candidate(0.1, {"text": f"{n}"}, None) for n in range(5)]
    assert count(as_json(pack([alone, *others], "step", 100, count).chosen[0].entry)) <= 33


def test_where_no_memory_fits_its_share_of_a_small_budget_one_is_told_all_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = [Candidate(1 - n / 10, {"id": n, "text": "git push " * 20}, unit(rng)) for n in range(6)]
    budget = 60
    assert pack(entries[:1], "", budget, count).chosen
    packed = pack(entries, "", budget, count)
    assert [of.entry["id"] for of in packed.chosen] == [0]
    assert (packed.tokens <= budget, packed.left_out) == (True, 5)
