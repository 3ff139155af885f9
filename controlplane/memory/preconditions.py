"""How well the conditions under which something happened fit the present ones, however either was written down.

A condition has a key and a value. One without a value ("python3 installed") is a bare fact: its value is True.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice, takewhile

UNKNOWN = 0.5  # a condition the caller says nothing about neither fits nor contradicts
COMPARED, READ = 128, 200  # conditions of one failure, and characters of each key and value: more says nothing more
_VERSION = re.compile(r"v?(\d+(?:\.\d+)+)")
_WORD = re.compile(r"[\w.]+")


class Present:
    """The present conditions, which many past ones are compared with."""

    def __init__(self, current: Mapping[str, object]) -> None:
        self._known = {_plain(key): (value, _said(value)) for key, value in current.items()}
        self._bare = frozenset(word for key, (value, _) in self._known.items() if value is True for word in _words(key))
        self._all = frozenset(word for key, (_, said) in self._known.items() for word in (*_words(key), *_words(said)))

    def fit(self, conditions: Mapping[str, object]) -> float:
        """Mean fit of each condition in [0, 1]; UNKNOWN when none was recorded.

        A condition fits fully when its value is equal (case aside), partly when words are shared, or when a version
        begins alike. One that is not mentioned fits better than UNKNOWN as far as its words are among bare facts.
        """
        if not conditions:
            return UNKNOWN
        compared = islice(conditions.items(), COMPARED)
        return sum(self._fit(_plain(key), expected) for key, expected in compared) / min(len(conditions), COMPARED)

    def _fit(self, key: str, expected: object) -> float:
        if key in self._known:
            actual, theirs = self._known[key]
            if expected == actual:
                return 1.0
            mine = _said(expected)
            return _alike(mine, theirs) if mine and theirs else 0.0
        wanted, said = (_words(key), self._all) if expected is True else (_words(_said(expected)), self._bare)
        return UNKNOWN + (1.0 - UNKNOWN) * len(wanted & said) / max(1, len(wanted))


def _said(value: object) -> str:
    """A value in words; of one that holds others none: it is equal to another, or it is not."""
    return "" if isinstance(value, dict | list) else _plain(str(value))


def _plain(text: str) -> str:
    return text[:READ].strip().casefold()


@lru_cache(20_000)
def _alike(mine: str, theirs: str) -> float:
    """How far two values agree: versions by the share of parts they begin with alike, texts by half their words."""
    if mine == theirs:
        return 1.0
    one, other = _VERSION.fullmatch(mine), _VERSION.fullmatch(theirs)
    if one and other:
        ours, others = one[1].split("."), other[1].split(".")
        same = takewhile(lambda pair: pair[0] == pair[1], zip(ours, others, strict=False))
        return len(list(same)) / max(len(ours), len(others))
    return 0.5 * len(_words(mine) & _words(theirs)) / max(1, len(_words(mine) | _words(theirs)))


@lru_cache(20_000)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))
