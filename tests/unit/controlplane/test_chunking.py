"""Texts are cut where they end something, and nothing of them is lost."""

import random
import time
from itertools import pairwise

from controlplane.memory.chunking import BUDGET, OVERLAP, passages, tokens

SENTENCES = [f"Sentence {n} says that part {n} of the machine needs a bolt." for n in range(60)]


def test_a_short_text_is_one_passage() -> None:
    assert passages("One line.\n\nAnother.") == ["One line.\n\nAnother."]


def test_headings_and_paragraphs_are_borders_without_overlap() -> None:
    parts = [f"## Part {n}\n\n" + " ".join(SENTENCES[n % 7 * 8 : n % 7 * 8 + 8]) for n in range(60)]
    assert passages("\n\n".join(parts)) == parts


def test_a_paragraph_that_is_cut_is_cut_at_sentences_and_repeats_the_last_one() -> None:
    cut = passages(" ".join(SENTENCES))
    assert len(cut) > 3
    for before, after in pairwise(cut):
        assert before.endswith("bolt.")
        repeated = before.rsplit(". ", 1)[1]
        assert after.startswith(repeated)
        assert tokens(repeated) <= OVERLAP


def test_code_in_fences_is_not_torn_from_its_paragraph_without_need() -> None:
    code = "```python\n" + "\n".join(f"def f{n}():\n    return {n}" for n in range(12)) + "\n```"
    text = " ".join(SENTENCES[:12]) + "\n\n" + code
    assert any(code in passage for passage in passages(text))


def test_what_is_nested_deeply_takes_no_more_than_its_share_of_work() -> None:
    def work(length: int) -> float:
        """Of this thread [s]."""
        begun = time.thread_time()
        assert len(passages(">" * length)) > length / 300
        return time.thread_time() - begun

    assert work(65_536) < 8 * work(16_384), "four times as long, by itself it would take sixteen times as long"


def test_the_end_of_a_long_trace_is_a_passage_of_its_own() -> None:
    frames = "\n".join(f'  File "/srv/app/module_{n}.py", line {n}, in call_{n}' for n in range(400))
    [*_, last] = passages(f"Traceback (most recent call last):\n{frames}\nValueError: no such quota")
    assert last.endswith("ValueError: no such quota")


def test_whatever_it_holds_no_word_is_lost_and_no_passage_is_too_long() -> None:
    rng = random.Random(11)
    pieces = [
        "word",
        "# head",
        "\n\n",
        "\n",
        "```",
        "。",
        "日本語",
        "a, b. ",
        "x" * 5000,
        "- item\n",
        "| a | b |\n",
        "\t",
        "é",
    ]
    for _ in range(10):
        text = " ".join(rng.choices(pieces, k=rng.randrange(1, 60)))
        cut = passages(text)
        assert all(tokens(passage) <= BUDGET for passage in cut)
        assert set(text.split()) - {"x" * 5000} <= set(" ".join(cut).split())
        assert "".join(cut).count("x") >= text.count("x")
