"""What actions are worth: by tables, by linear weights, or by both and cases, each trusted as it proved to be."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from .linear import LinearValues
from .neighbours import NeighbourValues
from .relatives import starts
from .stacking import Stacking
from .tables import EVERYWHERE, BackoffTable, differing
from .types import Situation, State

Estimates = Literal["table", "linear", "stacked"]
LINEAR, CASES = "linear", "cases"  # their names among the estimates


class Prior(NamedTuple):
    """Where values start: the rule's action as if `visits` visits had given `value`; or, where `relatives` is above 0,
    every action as its relatives are, for so many visits.
    """

    value: float
    visits: int
    relatives: int


class ActionValues:
    """Reads a situation's actions, and moves what was read towards a target."""

    def __init__(self, estimates: Estimates, table: BackoffTable, prior: Prior) -> None:
        self.estimates, self.table, self.prior = estimates, table, prior
        self.linear, self.neighbours, self.stacking = LinearValues(), NeighbourValues(), Stacking()

    def read(self, situation: Situation) -> list[float]:
        """Value of each action [A], with what is known of it."""
        learnt = self._learnt(situation.state, situation.actions, situation.rule)
        if not situation.known:
            return learnt
        return [value + known for value, known in zip(learnt, situation.known, strict=True)]

    def _learnt(self, state: State, actions: Sequence[str], rule: str | None) -> list[float]:
        begins = self._starts(actions, rule)
        if self.estimates == "table":
            return self.table.read(state, actions, begins)
        added = self.linear.read(state, actions)
        if self.estimates == "linear":
            return [start + more for start, more in zip(begins, added, strict=True)]
        tilings = self.table.tilings(state)
        names, shares = self._shares(state)
        weights = [share * self.stacking.weight(name) for name, share in zip(names, shares, strict=True)]
        cases = self.neighbours.read(state.sketch, actions, begins)
        values = []
        for action, start, more, past in zip(actions, begins, added, cases, strict=True):
            value = start + weights[-2] * more + weights[-1] * past
            for rows, weight in zip(tilings, weights, strict=False):
                value += weight * differing(rows, action, start)
            values.append(value)
        return values

    def _shares(self, state: State) -> tuple[list[str], list[float]]:
        """The estimates' names and what they count at first: the tilings half, linear weights and cases half each."""
        tilings = len(state.chains)
        return [*[chain[0] for chain in state.chains], LINEAR, CASES], [0.5 / tilings] * tilings + [0.5, 0.5]

    def _starts(self, actions: Sequence[str], rule: str | None) -> list[float]:
        if self.prior.relatives:
            return starts(self.table.means, actions, self.prior.relatives)
        return [self.prior.value if action == rule else 0.0 for action in actions]

    def _start(self, action: str, situation: Situation) -> float:
        if self.prior.relatives:
            return self._starts(situation.actions, situation.rule)[situation.actions.index(action)]
        return self.prior.value if action == situation.rule else 0.0

    def move(self, situation: Situation, action: str, target: float, *, again: bool = False) -> float:
        """Move the action's value towards a target; what it was before. `again`: as a repetition, which counts none."""
        state, target = situation.state, target - situation.known_of(action)
        before, more = self._trust(situation, action, target, again=again)
        if self.prior.relatives:
            self.table.move(EVERYWHERE, action, target, again=again)
            self.table.move(state, action, target, again=again)
        else:
            ahead = self.prior.visits if action == situation.rule else 0
            self.table.move(state, action, target, self._start(action, situation), ahead, again=again)
        if self.estimates != "table":
            self.linear.move(state, action, target - self._start(action, situation) - more)
        if self.estimates == "stacked" and not again:
            self.neighbours.add(state.sketch, action, target)
        return before + situation.known_of(action)

    def _trust(self, situation: Situation, action: str, target: float, *, again: bool) -> tuple[float, float]:
        """The learnt value and what the linear weights say of it; what it is made of counts more or less from here on,
        for how far it is from the target, unless that was heard before.
        """
        state, start = situation.state, self._start(action, situation)
        if self.estimates == "table":
            return self.table.read(state, (action,), (start,))[0], 0.0
        (more,) = self.linear.read(state, (action,))
        if self.estimates == "linear":
            return start + more, more
        names, shares = self._shares(state)
        differs = [differing(rows, action, start) for rows in self.table.tilings(state)]
        cases = self.neighbours.read(state.sketch, (action,), (start,))
        adds = [share * by for share, by in zip(shares, [*differs, more, *cases], strict=True)]
        before = start + sum([self.stacking.weight(name) * add for name, add in zip(names, adds, strict=True)])
        if not again:
            self.stacking.move(names, adds, target - before)
        return before, more

    def __repr__(self) -> str:
        return f"<ActionValues {self.estimates}, {self.table!r}>"
