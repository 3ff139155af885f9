"""Packs the best memories into a context under a budget of tokens: diverse, not repetitive, what is long shortened.

Which comes next is the one that is most worth telling beside what is told already (maximal marginal relevance;
Carbonell and Goldstein 1998).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from ..embedding import Vector

DIVERSITY = 0.3  # of what decides which memory comes next; the rest is its score
SAME = 0.97  # similarity from which a memory tells nothing that is not told
FAIR_SHARE = 3  # a memory may have this part of the budget, so that one does not fill it; all, where none fits so
FEWEST = 24  # tokens, under which there is no room for another memory
CUT = "[...]"

Count = Callable[[str], int]
Told = Callable[[Mapping[str, object]], str]  # an entry as it is sent
_UNITS = re.compile(r"[^\n]*\n|[^\n]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`\"'])")
_WORD = re.compile(r"\w+")


class Candidate(NamedTuple):
    """A memory that could be told: `entry` is how it is told, `text` the field of it that may be shortened.

    fix: what it tells of how to mend something, which is not repeated by what tells another.
    """

    score: float  # in [0, 1]
    entry: dict[str, object]
    vector: Vector | None
    text: str = "text"
    fix: str = ""


class Packed(NamedTuple):
    """What is told, in the order it was chosen; the tokens of it, as JSON; how many there was no room for."""

    chosen: list[Candidate]
    tokens: int
    left_out: int
    repeated: int  # left out because they say what is said


def as_json(entry: Mapping[str, object]) -> str:
    """An entry, and the comma behind it."""
    return msgspec.json.encode(entry).decode() + ","


def pack(candidates: Sequence[Candidate], query: str, budget: int, count: Count, told: Told = as_json) -> Packed:
    """Take memories one by one while there is room; those that are too long are shortened to what answers the query.

    count: the tokens of a text. The sum over what is told never exceeds the budget.
    """
    share = max(FEWEST, budget // max(1, min(FAIR_SHARE, len(candidates))))
    packed = _packed(candidates, query, budget, share, count, told)
    return packed if packed.chosen else _packed(candidates, query, budget, budget, count, told)


def _packed(candidates: Sequence[Candidate], query: str, budget: int, most: int, count: Count, told: Told) -> Packed:
    waiting, chosen, left_out, repeated = sorted(candidates, key=lambda c: -c.score), list[Candidate](), 0, 0
    near, tokens = [0.0] * len(waiting), 0  # how near each is to what is told
    while waiting:
        worth = [
            (1.0 - DIVERSITY) * c.score - DIVERSITY * told_near for c, told_near in zip(waiting, near, strict=True)
        ]
        place = worth.index(max(worth))
        following, _ = waiting.pop(place), near.pop(place)
        if _nearest(following, [of for of in chosen if following.fix in ("", of.fix)]) >= SAME:
            repeated += 1
            continue
        room = min(most, budget - tokens)
        fitted = _fitted(following, query, room, count, told) if room >= FEWEST else None
        if fitted is None:
            left_out += 1
            continue
        chosen.append(fitted)
        tokens += count(told(fitted.entry))
        last = [_nearest(candidate, [fitted]) for candidate in waiting]
        near = last if len(chosen) == 1 else [*map(max, near, last)]
    return Packed(chosen, tokens, left_out, repeated)


def _nearest(candidate: Candidate, chosen: Sequence[Candidate]) -> float:
    """Cosine similarity to the most similar that is told, 0 where that is not known."""
    mine = candidate.vector
    if mine is None:
        return 0.0
    return max((float(np.dot(mine, c.vector)) for c in chosen if c.vector is not None), default=0.0)


def _fitted(candidate: Candidate, query: str, room: int, count: Count, told: Told) -> Candidate | None:
    """The memory with its text shortened until it fits; None where not even that does."""
    entry, text = candidate.entry, str(candidate.entry.get(candidate.text, ""))
    if count(told(entry)) <= room:
        return candidate
    bare = count(told({**entry, candidate.text: "", "shortened": True}))
    for words in (room - bare, (room - bare) * 2 // 3, (room - bare) // 3):  # JSON's escapes count, too
        if words >= FEWEST // 2:
            shorter = {**entry, candidate.text: shortened(text, query, words, count), "shortened": True}
            if count(told(shorter)) <= room:
                return candidate._replace(entry=shorter)
    return None


def shortened(text: str, query: str, budget: int, count: Count) -> str:
    """What a text says first, and those of its lines and sentences that share most with the query, in their order.

    >>> shortened("Intro. Nothing here. Git wants a name. More.", "git name", 12, lambda t: len(t.split()))
    'Intro. [...] Git wants a name. [...]'
    """
    units = _units(text)
    wanted = {word.lower() for word in _WORD.findall(query)}
    shared = [len(wanted & {word.lower() for word in _WORD.findall(unit)}) for unit in units]
    first = units[:1]
    order = sorted(range(1, len(units)), key=lambda i: (-shared[i], i))
    kept, used = {0} if first else set(), sum(count(unit) + count(CUT) for unit in first)
    for place in order:
        cost = count(units[place]) + count(CUT)
        if shared[place] and used + cost <= budget:
            kept.add(place)
            used += cost
    told = _with_cuts(units, kept)
    return told if count(told) <= budget else _begun(text, budget, count)


def _units(text: str) -> list[str]:
    lines = (line.strip() for line in _UNITS.findall(text))
    return [unit for line in lines if line for unit in _SENTENCE.split(line)]


def _with_cuts(units: Sequence[str], kept: set[int]) -> str:
    told, before = list[str](), -1
    for place in sorted(kept):
        told += [CUT] * (place > before + 1) + [units[place]]
        before = place
    return " ".join([*told, *([CUT] if before + 1 < len(units) else [])])


def _begun(text: str, budget: int, count: Count) -> str:
    """As much of its beginning as fits, found by halving."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count(f"{text[:middle]} {CUT}") <= budget:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()} {CUT}"
