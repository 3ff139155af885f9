"""Words: what is found by them, whatever is asked, and at what cost."""

import gc
import random
import sqlite3

import pytest

from controlplane.memory import lexical
from controlplane.memory.lexical import LexicalIndex

ODD = ['"', "", "a OR b", "NEAR(a b)", "*", "x:y", "-", "^a", "a\x00b", "日本語 ümläut \U0001f600", "' OR 1=1"]


@pytest.fixture
def index() -> LexicalIndex:
    made = LexicalIndex()
    made.add(1, "list the name of all users: Unknown column 'name'")
    made.add(2, "list the age of all cars: Unknown column 'age'")
    made.add(3, "copy userName to the archive")
    return made


def told(index: LexicalIndex, asked: str) -> dict[int, float]:
    """What everything that shares a word with a query has of it."""
    shares = index.search(asked)
    keys = shares.best(len(shares))
    return dict(zip(keys, shares.of(keys), strict=True))


def test_what_never_had_a_text_opens_no_database() -> None:
    def opened() -> int:
        return sum(type(one) is sqlite3.Connection for one in gc.get_objects())

    before = opened()
    empty = [LexicalIndex() for _ in range(50)]
    for one in empty:
        assert len(one.search("list the name")) == 0
        one.remove(1, "list the name")
    assert opened() == before
    empty[0].add(1, "list the name")
    assert opened() == before + 1


def test_a_text_with_more_of_the_querys_words_comes_first(index: LexicalIndex) -> None:
    shares = index.search("list the name of students")
    assert shares.best(1) == [1]
    first, second, third = shares.of([1, 2, 3])
    assert 1.0 >= first > max(second, third) > 0.0
    assert shares.of([0, 4]) == [0.0, 0.0]


def test_the_newest_of_equal_texts_comes_first_and_only_those_that_are_kept(index: LexicalIndex) -> None:
    for key in (4, 5, 6):
        index.add(key, "a zebra")
    assert index.search("zebra").best(2) == [6, 5]
    assert index.search("zebra").best(2, lambda key: key != 6) == [5, 4]


def test_an_identifier_is_found_by_its_parts_and_whatever_its_case(index: LexicalIndex) -> None:
    for asked in ("username", "USERNAME", "user_name", "userName"):
        assert 3 in index.search(asked).best(3), asked


def test_a_rarer_word_counts_more(index: LexicalIndex) -> None:
    listed, archived = index.search("list archive").of([1, 3])
    assert archived > listed


@pytest.mark.parametrize("odd", ODD)
def test_no_sign_makes_a_search_fail(index: LexicalIndex, odd: str) -> None:
    index.add(4, odd)
    index.search(odd)
    index.remove(4, odd)
    assert 4 not in index.search(odd).best(4)


def test_every_word_of_any_script_is_found_again(index: LexicalIndex) -> None:
    for key, word in enumerate(("ümläut", "日本語", "слово", "İstanbul", "ﬁle", "x²"), start=10):
        index.add(key, word)
        assert index.search(word).best(1) == [key], word


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
        assert told(index, asked) == told(like_new, asked)


def test_removing_what_was_never_added_changes_nothing(index: LexicalIndex) -> None:
    before = told(index, "list name")
    index.remove(99, "list name")
    assert told(index, "list name") == before


def test_what_a_search_reads_is_bounded_and_its_rarest_words_are_kept() -> None:
    index = LexicalIndex()
    everywhere = " ".join(f"common{i}" for i in range(20))
    for key in range(1, lexical.MOST_TEXTS + 100):
        index.add(key, f"{everywhere} half{key % 3}")
    index.add(9_999, f"{everywhere} needle")
    found = index.search(f"{everywhere} half0 half1 half2 needle")
    assert found.best(1) == [9_999]
    assert len(found) <= lexical.MOST_ROWS
    assert len(index.search(everywhere)) == 0, "what all texts have tells none of them apart"


def test_a_word_is_found_at_once_though_it_was_asked_for_before_it_came(index: LexicalIndex) -> None:
    assert len(index.search("zebra")) == 0
    index.add(7, "zebra")
    assert index.search("zebra").best(1) == [7]
    index.remove(7, "zebra")
    assert len(index.search("zebra")) == 0


def test_a_search_looks_into_few_parts_however_much_came() -> None:
    index, rng = LexicalIndex(), random.Random(5)
    for key in range(1, 1_001):
        index.add(key, " ".join(f"w{rng.randrange(2_000)}" for _ in range(20)))
    [parts] = index._db.execute("SELECT count(DISTINCT segid) FROM words_idx").fetchone()
    assert parts <= 8
