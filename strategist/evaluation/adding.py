"""From the tallies of a log's blocks to what a replay answers where decisions were added up."""

from collections.abc import Hashable, Sequence
from itertools import chain, pairwise
from math import fsum, sqrt
from typing import NamedTuple

import msgspec
import numpy as np

from .diagnostics import Diagnostics
from .estimators import Floats
from .intervals import Interval, around
from .report import BlockValue
from .reward_model import Indices, Seen, added, cross_fitted
from .tally import COUNT, REWARD, SQUARE, Pairs, Tally

CORRECTED = {"dr": "whole", "switch-dr": "switched", "dr-os": "shrunk"}  # by which kind of k


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with its approximate interval of 95 %."""

    value: float
    normal: Interval


class AddedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay answers where decisions were added up; `values` is empty where `refused` says why.

    Rows of the blocks are numbered from 1, in the order in which decisions were learnt.
    """

    decisions: int
    learnt_first: int
    valued: int
    refused: list[str]
    diagnostics: Diagnostics
    logged: Value
    values: dict[str, Value]
    blocks: list[BlockValue]


class _Modelled(NamedTuple):
    """The reward model at each cell [E]: of the action that was taken, and of the judged policy."""

    model: Floats
    baseline: Floats


def judge_added(blocks: Sequence[Tally], edges: Sequence[int], learnt: Sequence[int]) -> AddedReport:
    """What the tallies of a log's blocks say; the same ones give the same bits.

    Args:
      edges: where the blocks begin, and where the last one ends.
      learnt: decisions that the policy had learnt from before each block.
    """
    count = edges[-1] - edges[0]
    diagnostics = _diagnostics(blocks, count)
    refused = diagnostics.refusals()
    modelled = [] if refused else _modelled(blocks)
    told: Sequence[_Modelled | None] = modelled or [None] * len(blocks)
    rows = zip(pairwise(edges), learnt, blocks, told, strict=True)
    return AddedReport(
        decisions=edges[-1],
        learnt_first=edges[0],
        valued=count,
        refused=refused,
        diagnostics=diagnostics,
        logged=_logged(blocks, count),
        values={} if refused else _values(blocks, modelled, count),
        blocks=[_block_value(*row) for row in rows],
    )


def _sum(parts: Sequence[Floats]) -> float:
    """Of all numbers in them, correctly rounded."""
    return fsum(chain.from_iterable(part.tolist() for part in parts))


def _deviation(total: float, squares: float, count: int) -> float:
    """The standard deviation of one of so many terms."""
    return sqrt(max(squares - total * total / count, 0.0) / (count - 1)) if count > 1 else float("inf")


def _mean(total: float, squares: float, count: int) -> Value:
    return Value(value=total / count, normal=around(total / count, _deviation(total, squares, count), count))


def _logged(blocks: Sequence[Tally], count: int) -> Value:
    return _mean(_sum([b.sums[REWARD] for b in blocks]), _sum([b.sums[SQUARE] for b in blocks]), count)


def _diagnostics(blocks: Sequence[Tally], count: int) -> Diagnostics:
    total, squares = (_sum([block.of("whole", 0, power) for block in blocks]) for power in (1, 2))
    return Diagnostics.summed(
        count=count,
        total=total,
        squares=squares,
        largest=max(block.largest for block in blocks),
        deviation=_deviation(total, squares, count),
        unsupported=fsum(block.lacking for block in blocks) / count,
    )


def _values(blocks: Sequence[Tally], modelled: Sequence[_Modelled], count: int) -> dict[str, Value]:
    both = list(zip(blocks, modelled, strict=True))
    direct = [(block.sums[COUNT] * told, block.sums[COUNT] * told * told) for block, (_, told) in both]
    weighted = [(block.of("whole", 1, 1), block.of("whole", 2, 2)) for block in blocks]
    terms = {"ips": weighted, "dm": direct}
    for name, kind in CORRECTED.items():
        terms[name] = [_corrected(block, model, kind) for block, model in both]
    means = {name: _mean(_sum([t for t, _ in of]), _sum([s for _, s in of]), count) for name, of in terms.items()}
    return {"ips": means.pop("ips"), "snips": _snips(blocks, count), **means}


def _corrected(block: Tally, modelled: _Modelled, kind: str) -> tuple[Floats, Floats]:
    """The sums [E] of `baseline + k (reward - model)`, and of its squares."""
    model, baseline = modelled
    count, moved = block.sums[COUNT], block.of(kind, 1, 1) - model * block.of(kind, 0, 1)
    squares = block.of(kind, 2, 2) - 2.0 * model * block.of(kind, 1, 2) + model * model * block.of(kind, 0, 2)
    return count * baseline + moved, count * baseline * baseline + 2.0 * baseline * moved + squares


def _snips(blocks: Sequence[Tally], count: int) -> Value:
    """The ratio, and the interval of its influence terms, `value + weight / mean weight * (reward - value)`."""
    sums = {rw: _sum([block.of("whole", *rw) for block in blocks]) for rw in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))}
    value, mean = sums[1, 1] / sums[0, 1], sums[0, 1] / count
    spread = max(sums[2, 2] - 2.0 * value * sums[1, 2] + value * value * sums[0, 2], 0.0) / (mean * mean)
    deviation = sqrt(spread / (count - 1)) if count > 1 else float("inf")
    return Value(value=value, normal=around(value, deviation, count))


def _modelled(blocks: Sequence[Tally]) -> list[_Modelled]:
    """The model, cross-fitted over all blocks, at each block's cells."""
    every = [each for block in blocks for each in block.stood.values()]
    pairs, before = Pairs.of(every), np.cumsum([0, *(len(block.stood) for block in blocks)])
    sights = np.concatenate([block.sights + begin for block, begin in zip(blocks, before, strict=False)])
    places, folds = (np.concatenate(part) for part in ([b.places for b in blocks], [b.folds for b in blocks]))
    sums = np.concatenate([block.sums for block in blocks], axis=1)
    states, actions = _numbered([each.chains for each in every]), _numbered([a for each in every for a in each.actions])
    taken = actions[pairs.begins[sights] + places]
    sizes = pairs.sizes[sights]
    begins, rows = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(sizes)), sizes)
    at = np.arange(len(rows)) + np.repeat(pairs.begins[sights] - begins, sizes)
    told = cross_fitted(Seen(states[sights], taken, sums[REWARD], folds, sums[COUNT]), rows, actions[at])
    model, baseline = told[begins + places], added(pairs.target[at] * told, rows, len(sizes))
    cuts = np.cumsum([len(block.sights) for block in blocks])[:-1]
    return [_Modelled(*part) for part in zip(np.split(model, cuts), np.split(baseline, cuts), strict=True)]


def _numbered(things: Sequence[Hashable]) -> Indices:
    """Numbers from 0, equal ones for equal things."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(thing, len(numbers)) for thing in things], np.intp)


def _block_value(span: tuple[int, int], learnt: int, block: Tally, modelled: _Modelled | None) -> BlockValue:
    (first, last), count = span, span[1] - span[0]
    total, squares, earned = (_sum([block.of("whole", *rw)]) for rw in ((0, 1), (0, 2), (1, 1)))
    told = modelled is not None and total > 0.0
    return BlockValue(
        first_row=first + 1,
        last_row=last,
        decisions=count,
        learnt=learnt,
        effective=total * total / squares if squares else 0.0,
        logged=_sum([block.sums[REWARD]]) / count,
        ips=earned / count if told else None,
        snips=earned / total if told else None,
        dr=_sum([_corrected(block, modelled, "whole")[0]]) / count if told and modelled is not None else None,
    )
