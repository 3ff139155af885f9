"""Texts by id, found by the words they share with a query: SQLite's FTS5, in memory alone.

An index is made again from the journal, and nothing of it is on disk. It knows ids and words, and keeps no text. A word
that many texts have says little and costs much, so that what a search reads is bounded: the rarest words are looked up.
"""

import heapq
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from itertools import islice

from ..journal.queries import named

SQL = named((resources.files(__package__) / "lexical.sql").read_text("utf-8"))
READ_WORDS = 128  # different words of a query that are looked at
MOST_TEXTS = 500  # texts that have a word, beyond which it tells nothing
MOST_ROWS = 1_000  # that one search reads
LENGTH = 0.3  # how much a long text is marked down; BM25's b
BATCH = 16  # changes that are merged at once; a tenant that rests holds the last of them in a form that takes room
PAGES = 64  # of 4 kB that one merge goes through at most
BUFFER_BYTES = 65_536  # of what is not merged yet

_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

Keep = Callable[[int], bool]


def words_of(text: str) -> dict[str, None]:
    """The different words of a text in lower case, in order: identifiers whole, and in their parts.

    >>> list(words_of("SHOW userName t_users2"))
    ['show', 'username', 'user', 'name', 't_users2', 't', 'users', '2']
    """
    found = dict[str, None]()
    for word in _WORD.findall(text):
        found[word.lower()] = None
        if not (word.isalpha() and (word.islower() or word.isupper() or word.istitle())):
            found.update(dict.fromkeys(part.lower() for part in _PART.findall(word)))
    return found


class LexicalIndex:
    """Add, remove and search."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute(SQL["make"])
        self._db.execute(SQL["buffer"], (BUFFER_BYTES,))
        self._db.execute(SQL["levels"])
        self._db.execute("BEGIN")
        self._lengths: dict[int, int] = {}  # different words of each text
        self._words = self._changes = 0
        self._common = set[str]()  # words that were asked for, and that too many texts have

    def add(self, key: int, text: str) -> None:
        """Add a text under an id that was never used before."""
        words = words_of(text)
        self._db.execute(SQL["add"], (key, " ".join(words)))
        self._lengths[key] = len(words)
        self._words += len(words)
        self._changed()

    def remove(self, key: int, text: str) -> None:
        """Remove the text that was added under an id."""
        length = self._lengths.pop(key, None)
        if length is None:
            return
        self._db.execute(SQL["remove"], (key, " ".join(words_of(text))))
        self._words -= length
        self._common.clear()
        self._changed()

    def _changed(self) -> None:
        self._changes += 1
        if self._changes % BATCH == 0:
            self._db.execute(SQL["merge"], (PAGES,))
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def search(self, text: str) -> dict[int, float]:
        """What each text has of the query's rarest words, by id: a share in [0, 1], each counted by how rare it is."""
        having = {word: self._having(word) for word in self._rarest(text)}
        weights = {word: self._weight(len(rows)) for word, rows in having.items()}
        total, shares = sum(weights.values()), dict[int, float]()
        for word, rows in having.items():
            share = weights[word] / total
            for (key,) in rows:
                shares[key] = shares.get(key, 0.0) + share
        return self._by_length(shares)

    def _by_length(self, shares: dict[int, float]) -> dict[int, float]:
        """Long texts have more words of any query: they are marked down."""
        lengths, per_word = self._lengths, LENGTH * len(self._lengths) / max(1, self._words)
        return {key: min(1.0, share / (1.0 - LENGTH + per_word * lengths[key])) for key, share in shares.items()}

    def _weight(self, texts: int) -> float:
        """How much a word says that so many texts have: BM25's idf."""
        return math.log1p((len(self._lengths) - texts + 0.5) / (texts + 0.5))

    def _rarest(self, text: str) -> Iterable[str]:
        """The query's rarest words, as many as may be read."""
        asked = [word for word in islice(words_of(text), READ_WORDS) if word not in self._common]
        counted = sorted((self._count(word), word) for word in asked)
        self._common.update(word for count, word in counted if count > MOST_TEXTS)
        left = MOST_ROWS
        for count, word in counted:
            left -= count
            if left < 0 or count > MOST_TEXTS:
                return
            if count:
                yield word

    def _count(self, word: str) -> int:
        """How many texts have a word, counted no further than it matters."""
        [count] = self._db.execute(SQL["count"], (f'"{word}"', MOST_TEXTS + 1)).fetchone()
        return int(count)

    def _having(self, word: str) -> list[tuple[int]]:
        return self._db.execute(SQL["having"], (f'"{word}"', MOST_TEXTS)).fetchall()

    def __contains__(self, key: int) -> bool:
        return key in self._lengths

    def __len__(self) -> int:
        return len(self._lengths)


def best(shares: Mapping[int, float], k: int, keep: Keep | None = None) -> list[int]:
    """Up to k ids that share most, the newest of equal ones first."""
    ranked = [(share, key) for key, share in shares.items() if keep is None or keep(key)]
    return [key for _, key in heapq.nlargest(k, ranked)]
