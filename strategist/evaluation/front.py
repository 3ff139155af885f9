"""Several weights of the same reward's terms, replayed on one log: what each buys in success, cost and latency.

They are compared on one part of the log and reported on another: the best of many is flattered by the part it was
the best on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from .arrays import Columns
from .beside import beside
from .diagnostics import Diagnostics
from .estimators import Floats, snips
from .log import LoggedDecision
from .replay import BLOCKS, Replay, edges
from .report import Estimate
from .student import Probabilities
from .target import Target

BETTER = {"success": 1.0, "cost_usd": -1.0, "latency_ms": -1.0}  # whether more of it is better, or less
COMPARED = BLOCKS // 2  # blocks that policies are compared on; the rest is reported on
Weights = dict[str, float]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One policy: its weights, what it is compared by, and, where none is better in everything, what it is worth.

    number: by which it is chosen, from 1 on.
    compared, reported: by objective, by snips; empty where `refused` says why.
    """

    number: int
    weights: Weights
    in_force: bool
    refused: list[str] = []
    compared: dict[str, float] = {}
    on_front: bool = False
    reported: dict[str, Estimate] = {}


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """All policies of a grid, and the one in force; `objectives` are those that the log tells of."""

    decisions: int
    compared_on: int
    reported_on: int
    objectives: list[str]
    points: list[Point]


class _Tried(NamedTuple):
    """A policy after its replay: how it compares, and its importance weights on the part that is reported on."""

    point: Point
    later: Floats


def pareto(
    log: Sequence[LoggedDecision],
    target: Target,
    grid: Sequence[Weights],
    in_force: Weights | None,
    seed: int,
    progress: Callable[[int, int], None],
) -> Front:
    """The front of a grid of weights; equal inputs give equal answers."""
    every = [*grid, *([in_force] if in_force is not None and in_force not in grid else [])]
    objectives = [name for name in BETTER if any(getattr(decision, name) is not None for decision in log)]
    first, middle, last = (edges(len(log))[block] for block in (0, COMPARED, BLOCKS))
    tried = []
    for number, weights in enumerate(every, 1):
        point = Point(number=number, weights=weights, in_force=weights == in_force)
        tried.append(_tried(log[first:middle], log[middle:last], _decided(log, target, weights), point, objectives))
        progress(len(tried), len(every))
    compared = [one.point.compared for one in tried]
    return Front(
        decisions=len(log),
        compared_on=middle - first,
        reported_on=last - middle,
        objectives=objectives,
        points=[_reported(log[middle:last], one, seed, on_front=_best(one.point.compared, compared)) for one in tried],
    )


def _decided(log: Sequence[LoggedDecision], target: Target, weights: Weights) -> list[Probabilities]:
    """What the policy with these weights would have done with every decision behind the first part."""
    blocks = list(Replay(log, msgspec.structs.replace(target, weights=weights)).blocks())[-1].blocks
    return [probabilities for block in blocks for probabilities in block.probabilities]


def _tried(
    earlier: Sequence[LoggedDecision],
    later: Sequence[LoggedDecision],
    decided: Sequence[Probabilities],
    point: Point,
    objectives: Sequence[str],
) -> _Tried:
    halves = (
        Columns.of(part, [decision.reward for decision in part], probabilities)
        for part, probabilities in ((earlier, decided[: len(earlier)]), (later, decided[len(earlier) :]))
    )
    weighed = [(columns.weights, float(columns.lacking.mean())) for columns in halves]
    refused = [why for weights, lacking in weighed for why in Diagnostics.of(weights, lacking).refusals()]
    values = {} if refused else {name: _value(earlier, weighed[0][0], name) for name in objectives}
    found = {name: value for name, value in values.items() if value is not None}
    return _Tried(msgspec.structs.replace(point, refused=refused, compared=found), weighed[1][0])


def _value(part: Sequence[LoggedDecision], weights: Floats, objective: str) -> float | None:
    """By snips over the decisions that tell the objective; None where the policy would have made none of those."""
    told = np.array([getattr(decision, objective) for decision in part], np.float64)  # None becomes nan
    known = ~np.isnan(told)
    return float(snips(told[known], weights[known]).mean()) if weights[known].any() else None


def _best(mine: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> bool:
    """Whether nobody is at least as good in everything and better in something."""
    return bool(mine) and not any(_dominates(other, mine) for other in others if other.keys() == mine.keys())


def _dominates(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    no_worse = all(BETTER[name] * one[name] >= BETTER[name] * other[name] for name in one)
    return no_worse and one != other


def _reported(later: Sequence[LoggedDecision], tried: _Tried, seed: int, *, on_front: bool) -> Point:
    """What the policy is worth on the part that it was not compared on, if it is worth a look."""
    point = msgspec.structs.replace(tried.point, on_front=on_front)
    if point.refused or not (on_front or point.in_force):
        return point
    found = beside(later, tried.later, seed, told=True)
    told = {name: of.policy for name, of in found.items() if of.policy is not None}
    return msgspec.structs.replace(point, reported=told)
