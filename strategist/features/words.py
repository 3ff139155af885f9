"""The words of a text, hashed: what linear values know it by."""

import re

from ..linear import hashed_words

WORD = re.compile(r"\w+")


def words_of(text: str, most: int) -> tuple[int, ...]:
    """Hashes of the first so many different words, in lower case.

    >>> words_of("Disk full: DISK is full", 2) == words_of("full disk", 2)
    True
    """
    found = dict.fromkeys(WORD.findall(text.lower()))
    return hashed_words(list(found)[:most])
