"""A policy on somebody else's log: it learns from the first rows and is asked about later ones, block by block.

What it is asked about it has not learnt from. A block is answered with what was learnt before it, then learnt from.
"""

from collections.abc import Iterator, Sequence

import msgspec

from ..snapshot import PolicySnapshot
from ..types import MOST_HELD
from .log import LoggedDecision
from .student import Probabilities, Student
from .target import Target
from .together import learnt_together

BLOCKS = 10
PREFIX = 0.2  # of the log, which is only learnt from


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy would have done in one block of the log.

    first, last: places in the log, the last one excluded.
    updates: decisions that it had learnt from by then.
    probabilities: of the eligible actions of each decision of the block.
    ahead: the same of later decisions, by place, of tasks that begin in the block.
    """

    first: int
    last: int
    updates: int
    probabilities: list[Probabilities]
    ahead: dict[int, Probabilities]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that got so far: its blocks, and what was learnt before the next one."""

    blocks: list[Block]
    learnt: PolicySnapshot


class Replay:
    """Goes through a log with a policy; each block is there once it is finished."""

    def __init__(self, log: Sequence[LoggedDecision], target: Target, kept: Kept | None = None) -> None:
        self._log, self._frozen = log, target.settings.mode == "frozen"
        self._blocks = list(kept.blocks) if kept else []
        self._student = Student(target, kept.learnt if kept else None)
        self._edges = edges(len(log))
        self._tasks = [task for task in tasks(log) if len(task) > 1]
        self._together = learnt_together(log, MOST_HELD if target.settings.update == "tree_backup" else 0)

    def blocks(self) -> Iterator[Kept]:
        """The replay after each further block."""
        if not self._blocks:
            self._learn(0, self._edges[0])
        for first, last in zip(self._edges[len(self._blocks) : -1], self._edges[len(self._blocks) + 1 :], strict=True):
            self._blocks.append(self._asked(first, last))
            self._learn(first, last)
            yield self.kept()

    def kept(self) -> Kept:
        return Kept(blocks=list(self._blocks), learnt=self._student.snapshot())

    def _asked(self, first: int, last: int) -> Block:
        ahead = {
            place: self._probabilities(place)
            for task in self._tasks
            if first <= min(task) < last
            for place in task
            if place >= last
        }
        probabilities = [self._probabilities(place) for place in range(first, last)]
        return Block(first=first, last=last, updates=self._student.updates, probabilities=probabilities, ahead=ahead)

    def _probabilities(self, place: int) -> Probabilities:
        return self._student.probabilities(self._log[place].sight)

    def _learn(self, first: int, last: int) -> None:
        """Fold what was logged; a frozen policy learns nothing."""
        if self._frozen:
            return
        for passed in range(first, last):
            together = [self._log[place] for place in self._together.get(passed, ())]
            self._student.learn(together, self._log[passed].row)


def edges(count: int) -> list[int]:
    """Where the blocks of a log of `count` decisions begin, and where the last one ends.

    >>> edges(100)
    [20, 28, 36, 44, 52, 60, 68, 76, 84, 92, 100]
    """
    prefix = round(count * PREFIX)
    return [prefix + (count - prefix) * block // BLOCKS for block in range(BLOCKS + 1)]


def tasks(log: Sequence[LoggedDecision]) -> list[list[int]]:
    """Places of the decisions of each task, in the order they were made in; without a task each is its own."""
    found: dict[str, list[int]] = {}
    alone = []
    for place, decision in enumerate(log):
        if decision.task is None:
            alone.append([place])
        else:
            found.setdefault(decision.task, []).append(place)
    return [*alone, *(sorted(places, key=lambda place: log[place].row) for places in found.values())]
