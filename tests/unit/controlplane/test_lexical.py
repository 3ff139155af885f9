"""Words: what is found by them, whatever is asked, and at what cost."""

import random

import pytest

from controlplane.memory import lexical
from controlplane.memory.lexical import LexicalIndex, best

ODD = ['"', "", "a OR b", "NEAR(a b)", "*", "x:y", "-", "^a", "a\x00b", "日本語 ümläut \U0001f600", "' OR 1=1"]


@pytest.fixture
def index() -> LexicalIndex:
    made = LexicalIndex()
    made.add(1, "list the name of all users: Unknown column 'name'")
    made.add(2, "list the age of all cars: Unknown column 'age'")
    made.add(3, "copy userName to the archive")
    return made


def test_a_text_with_more_of_the_querys_words_comes_first(index: LexicalIndex) -> None:
    shares = index.search("list the name of students")
    assert best(shares, 1) == [1]
    assert shares[1] > max(shares[2], shares[3]) > 0.0
    assert all(0.0 <= share <= 1.0 for share in shares.values())


def test_an_identifier_is_found_by_its_parts_and_whatever_its_case(index: LexicalIndex) -> None:
    for asked in ("username", "USERNAME", "user_name", "userName"):
        assert 3 in index.search(asked), asked


def test_a_rarer_word_counts_more(index: LexicalIndex) -> None:
    words = index.search("list archive")
    assert words[3] > words[1]


@pytest.mark.parametrize("odd", ODD)
def test_no_sign_makes_a_search_fail(index: LexicalIndex, odd: str) -> None:
    index.add(4, odd)
    index.search(odd)
    index.remove(4, odd)
    assert 4 not in index.search(odd)


def test_every_word_of_any_script_is_found_again(index: LexicalIndex) -> None:
    for key, word in enumerate(("ümläut", "日本語", "слово", "İstanbul", "ﬁle", "x²"), start=10):
        index.add(key, word)
        assert best(index.search(word), 1) == [key], word


def test_what_is_removed_is_not_found_and_weighs_nothing() -> None:
    index, like_new = LexicalIndex(), LexicalIndex()
    texts = {key: " ".join(random.Random(key).sample("abcdefghijklmnop", 6)) for key in range(1, 200)}
    for key, text in texts.items():
        index.add(key, text)
        if key % 3:
            like_new.add(key, text)
    for key in range(3, 200, 3):
        index.remove(key, texts[key])
    assert len(index) == len(like_new) == 133
    for asked in ("a b c", "p o", "m"):
        assert index.search(asked) == like_new.search(asked)


def test_removing_what_was_never_added_changes_nothing(index: LexicalIndex) -> None:
    before = index.search("list name")
    index.remove(99, "list name")
    assert index.search("list name") == before


def test_what_a_search_reads_is_bounded_and_its_rarest_words_are_kept() -> None:
    index = LexicalIndex()
    everywhere = " ".join(f"common{i}" for i in range(20))
    for key in range(1, lexical.MOST_TEXTS + 100):
        index.add(key, f"{everywhere} half{key % 3}")
    index.add(9_999, f"{everywhere} needle")
    found = index.search(f"{everywhere} half0 half1 half2 needle")
    assert best(found, 1) == [9_999]
    assert len(found) <= lexical.MOST_ROWS
    assert index.search(everywhere) == {}, "what all texts have tells none of them apart"


def test_a_word_is_found_at_once_though_it_was_asked_for_before_it_came(index: LexicalIndex) -> None:
    assert index.search("zebra") == {}
    index.add(7, "zebra")
    assert best(index.search("zebra"), 1) == [7]


def test_a_search_looks_into_few_parts_however_much_came() -> None:
    index, rng = LexicalIndex(), random.Random(5)
    for key in range(1, 1_001):
        index.add(key, " ".join(f"w{rng.randrange(2_000)}" for _ in range(20)))
    [parts] = index._db.execute("SELECT count(DISTINCT segid) FROM words_idx").fetchone()
    assert parts <= 8
