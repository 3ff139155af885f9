"""Texts by id, found by the words they share with a query: SQLite's FTS5, in memory alone.

An index is made again from the journal, and nothing of it is on disk. It knows ids and words, and keeps no text. A word
that many texts have says little and costs much, so that what a search reads is bounded: the rarest words are looked up.
Plans are told in the same words again and again: what was read of a word is kept until a text with it comes or goes.
"""

import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from itertools import islice
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from ..journal.queries import named

SQL = named((resources.files(__package__) / "lexical.sql").read_text("utf-8"))
READ_WORDS = 128  # different words of a query that are looked at
MOST_TEXTS = 500  # texts that have a word, beyond which it tells nothing
MOST_ROWS = 1_000  # that one search reads
LENGTH = 0.3  # how much a long text is marked down; BM25's b
KEPT_ROWS, KEPT_COUNTS = 50_000, 10_000  # most that are kept of what was read of words
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


class Posting(NamedTuple):
    """The texts that have a word."""

    keys: NDArray[np.int64]
    lengths: NDArray[np.int64]  # different words of each


class Shares:
    """What texts have of a query's words: a share in (0, 1] each."""

    def __init__(self, keys: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """Of different texts, in the order of their ids."""
        self._keys, self._shares = keys, shares

    def of(self, keys: Sequence[int]) -> list[float]:
        """The shares of some texts; 0 where nothing is shared."""
        if not len(self._keys):
            return [0.0] * len(keys)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found: list[float] = np.where(self._keys[places] == keys, self._shares[places], 0.0).tolist()
        return found

    def best(self, k: int, keep: Keep | None = None) -> list[int]:
        """Up to k ids that share most, the newest of equal ones first, of those that are kept."""
        ranked: Iterator[int] = iter(self._keys[np.argsort(self._shares, kind="stable")[::-1]].tolist())
        return list(islice(ranked if keep is None else filter(keep, ranked), k))

    def __len__(self) -> int:
        return len(self._keys)


NOTHING = Shares(np.empty(0, np.int64), np.empty(0))


class LexicalIndex:
    """Add, remove and search."""

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None
        self._lengths: dict[int, int] = {}  # different words of each text
        self._words = self._changes = 0
        self._common = set[str]()  # words that were asked for, and that too many texts have
        self._read: LRUCache[str, Posting] = LRUCache(KEPT_ROWS, getsizeof=lambda of: 1 + len(of.keys))
        self._counts: LRUCache[str, int] = LRUCache(KEPT_COUNTS)

    @property
    def _db(self) -> sqlite3.Connection:
        """Made with the first text: many namespaces never have one."""
        if self._opened is None:
            self._opened = made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            made.execute(SQL["make"])
            made.execute(SQL["buffer"], (BUFFER_BYTES,))
            made.execute(SQL["levels"])
            made.execute("BEGIN")
        return self._opened

    def add(self, key: int, text: str) -> None:
        """Add a text under an id that was never used before."""
        words = words_of(text)
        self._db.execute(SQL["add"], (key, " ".join(words)))
        self._lengths[key] = len(words)
        self._words += len(words)
        self._changed(words)

    def remove(self, key: int, text: str) -> None:
        """Remove the text that was added under an id."""
        length = self._lengths.pop(key, None)
        if length is None:
            return
        words = words_of(text)
        self._db.execute(SQL["remove"], (key, " ".join(words)))
        self._words -= length
        self._common.clear()
        self._changed(words)

    def _changed(self, words: Iterable[str]) -> None:
        for word in words:
            self._read.pop(word, None)
            self._counts.pop(word, None)
        self._changes += 1
        if self._changes % BATCH == 0:
            self._db.execute(SQL["merge"], (PAGES,))
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def search(self, text: str) -> Shares:
        """What each text has of the query's rarest words, each counted by how rare it is."""
        having = list(self._rarest(text)) if self._lengths else []
        if not having:
            return NOTHING
        sizes = [len(posting.keys) for posting in having]
        weights = np.array([self._weight(size) for size in sizes])
        keys, places = np.unique(np.concatenate([posting.keys for posting in having]), return_inverse=True)
        lengths = np.empty(len(keys))
        lengths[places] = np.concatenate([posting.lengths for posting in having])
        shares = np.bincount(places, np.repeat(weights / math.fsum(weights), sizes))
        return Shares(keys, self._by_length(shares, lengths))

    def _by_length(self, shares: NDArray[np.number], lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Long texts have more words of any query: they are marked down."""
        per_word = LENGTH * len(self._lengths) / max(1, self._words)
        marked: NDArray[np.float64] = np.minimum(1.0, shares / (1.0 - LENGTH + per_word * lengths))
        return marked

    def _weight(self, texts: int) -> float:
        """How much a word says that so many texts have: BM25's idf."""
        return math.log1p((len(self._lengths) - texts + 0.5) / (texts + 0.5))

    def _rarest(self, text: str) -> Iterator[Posting]:
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
                yield self._having(word)

    def _count(self, word: str) -> int:
        """How many texts have a word, counted no further than it matters."""
        if (known := self._counts.get(word)) is None:
            [known] = self._db.execute(SQL["count"], (f'"{word}"', MOST_TEXTS + 1)).fetchone()
            self._counts[word] = known
        return int(known)

    def _having(self, word: str) -> Posting:
        """Which texts have a word that not too many have."""
        if (read := self._read.get(word)) is None:
            keys = [key for (key,) in self._db.execute(SQL["having"], (f'"{word}"', MOST_TEXTS))]
            read = Posting(np.array(keys, np.int64), np.array([self._lengths[key] for key in keys], np.int64))
            self._read[word] = read
        return read

    def __contains__(self, key: int) -> bool:
        return key in self._lengths

    def __len__(self) -> int:
        return len(self._lengths)
