"""The words of a text, hashed: what linear values know it by."""

import re

from ..linear import hashed_word, hashed_words

WORD = re.compile(r"\w+")
LONG = 40


def words_of(text: str, most: int) -> tuple[int, ...]:
    """Hashes of the first so many different words, in lower case.

    >>> words_of("Disk full: DISK is full", 2) == words_of("full disk", 2)
    True
    """
    found = dict.fromkeys(WORD.findall(text.lower()))
    return hashed_words(list(found)[:most])


def sequence_of(text: str, most: int) -> tuple[int, ...]:
    """Hashes of the first so many words, as they follow each other.

    >>> sequence_of("rm -rf /tmp/x", 3) == (*sequence_of("rm RF", 2), *sequence_of("tmp", 1))
    True
    """
    return tuple([hashed_word(word) for word in spelled(text, most)])


def spelled(text: str, most: int) -> list[str]:
    """The first so many words of a text, in lower case; beyond so many times forty characters it is not read."""
    return WORD.findall(text[: most * LONG].lower())[:most]
