"""A policy on somebody else's log: it learns from the first rows and is asked about later ones, block by block.

What it is asked about it has not learnt from. A block is answered with what was learnt before it, then learnt from.
"""

from collections.abc import Iterator, Sequence
from math import fsum

import msgspec

from ..errors import BadLog
from ..features.featurizer import Featurizer
from ..features.spec import FeatureSpec
from ..policy import Policy, PolicySettings
from ..snapshot import PolicySnapshot
from ..types import MOST_HELD, Eligible, Situation, Step, Transition
from .log import LoggedDecision, Sight
from .together import learnt_together, links

BLOCKS = 10
PREFIX = 0.2  # of the log, which is only learnt from
UNSTATED = ((0.0, 1.0), (-1.0, 1.0))  # ranges of rewards that are taken unstated
SLACK = 1e-9  # by which a sum may miss its range
Probabilities = tuple[float, ...]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that is judged.

    spec: features that its states are made with; None keeps the states as they were logged.
    weights: of the reward's terms; None keeps the rewards as they were logged.
    reward_range: the lowest and the highest reward there can be, where weights do not say it.
    """

    settings: PolicySettings = PolicySettings()
    spec: FeatureSpec | None = None
    weights: dict[str, float] | None = None
    reward_range: tuple[float, float] | None = None

    def reward(self, decision: LoggedDecision) -> float:
        """What came of a decision, in this policy's measure."""
        if self.weights is None:
            return decision.reward
        return sum([weight * decision.terms.get(name, 0.0) for name, weight in sorted(self.weights.items())])

    def span(self, log: Sequence[LoggedDecision]) -> tuple[float, float] | None:
        """The range of rewards: as stated, as weights say (terms are in [-1, 1]), or [0, 1] or [-1, 1] if all fit.

        Raises:
          BadLog: a reward lies outside the stated range.
        """
        if self.reward_range is None and self.weights is not None:
            most = fsum(abs(weight) for weight in self.weights.values())
            return (-most, most) if most else None
        stated = () if self.reward_range is None else (self.reward_range,)
        for lowest, highest in stated or UNSTATED:
            outside = [d for d in log if not lowest - SLACK <= self.reward(d) <= highest + SLACK]
            if not outside:
                return lowest, highest
            if stated:
                said = f"reward {self.reward(outside[0])} is outside reward_range [{lowest:g}, {highest:g}]"
                raise BadLog(f"row {outside[0].row}: {said}")
        return None


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


class _Undrawn:
    """Where probabilities are asked for and nothing is drawn."""

    def random(self) -> float:
        return 0.0


class Replay:
    """Goes through a log with a policy; each block is there once it is finished."""

    def __init__(self, log: Sequence[LoggedDecision], target: Target, kept: Kept | None = None) -> None:
        self._log, self._target = log, target
        self._featurizer = None if target.spec is None else Featurizer(target.spec)
        self._spec_hash = "" if target.spec is None else target.spec.hash
        self._blocks = list(kept.blocks) if kept else []
        self._policy = kept.learnt.restore(target.settings, self._spec_hash) if kept else Policy(target.settings)
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
        return Kept(blocks=list(self._blocks), learnt=PolicySnapshot.of(self._policy, self._spec_hash))

    def _asked(self, first: int, last: int) -> Block:
        ahead = {
            place: self._probabilities(place)
            for task in self._tasks
            if first <= min(task) < last
            for place in task
            if place >= last
        }
        probabilities = [self._probabilities(place) for place in range(first, last)]
        return Block(first=first, last=last, updates=self._policy.updates, probabilities=probabilities, ahead=ahead)

    def _probabilities(self, place: int) -> Probabilities:
        situation = self._situation(self._log[place].sight)
        eligible = Eligible(actions=situation.actions)
        known = dict(zip(situation.actions, situation.known, strict=True)) if situation.known else {}
        return self._policy.choose("", situation.state, eligible, _Undrawn(), situation.rule, known).probabilities

    def _situation(self, sight: Sight) -> Situation:
        """As this policy sees it. What was known beforehand was weighed as the log says; other weights learn it."""
        situation = sight.under(self._featurizer)
        return situation if self._target.weights is None else msgspec.structs.replace(situation, known=())

    def _learn(self, first: int, last: int) -> None:
        """Fold what was logged, as a server would; a frozen policy learns nothing."""
        if self._target.settings.mode == "frozen":
            return
        for passed in range(first, last):
            places = self._together.get(passed, ())
            transitions = [self._transition(self._log[place]) for place in places]
            self._policy.fold_back(links(self._log, places, transitions), self._log[passed].row)

    def _transition(self, decision: LoggedDecision) -> Transition:
        steps = (Step(self._situation(decision.sight), decision.action), *decision.later)
        reward = self._target.reward(decision)
        if decision.following is not None:
            following = self._situation(decision.following)
            return Transition.transition(steps, reward, self._target.settings.gamma, following)
        if decision.truncated:
            return Transition.truncation(steps, reward)
        return Transition.termination(steps, reward)


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
