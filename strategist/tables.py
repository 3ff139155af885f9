"""Tabular action values: a flat table, and a reader that backs off from fine keys to coarse ones.

`QTable` keeps (value, visits) per key and action. `BackoffTable` reads a state's chains through it,
shrinking each level towards its parent, and moves every visited cell towards a common target
(an averager: Gordon 1995). One tiling with one level is classical Q-learning (Watkins & Dayan 1992).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from .schedules import StepSize
from .types import State

EVERYWHERE = State((("",),))  # where each action's mean over all states is kept


@lru_cache(16)
def _tabulated(step: StepSize, kappa: float) -> tuple[list[float], list[float], list[float]]:
    """Steps, weights, effective visits by visits, until none changes any more; all tables of one rule share them."""
    size = step.horizon()
    effective = [step.effective_visits(visits) for visits in range(size)]
    return [step.at(visits) for visits in range(size)], [n / (n + kappa) if n else 0.0 for n in effective], effective


class Cell(msgspec.Struct, gc=False):
    """One action value; `weight` is n / (n + kappa) over effective visits n."""

    value: float
    visits: int = 0
    weight: float = 0.0


Row = dict[str, Cell]
NO_ROW: Row = {}


class QTable:
    """Values and visits by (key, action); a cell moves towards a target by its own step."""

    def __init__(self, step: StepSize, kappa: float, rows: dict[str, Row] | None = None) -> None:
        self.rows: dict[str, Row] = {} if rows is None else rows
        self.view = self.rows  # what is read: these rows, or what others learnt with them
        self.configure(step, kappa)

    def configure(self, step: StepSize, kappa: float) -> None:
        """Take a step rule and a shrinkage constant (in pseudo-visits); weights of old cells follow."""
        self.steps, self.weights, self.memories = _tabulated(step, kappa)
        self.last = len(self.steps) - 1
        for row in self.rows.values():
            for cell in row.values():
                cell.weight = self.weights[min(cell.visits, self.last)]

    @property
    def means(self) -> Row:
        """Each action's cell over all states, where they are kept."""
        return self.view.get(EVERYWHERE.chains[0][0], NO_ROW)

    def remembered(self, visits: int) -> float:
        """Effective visits of a cell that was visited so often."""
        return self.memories[min(visits, self.last)]

    def put(self, key: str, action: str, value: float, visits: int) -> None:
        """Set a cell as it was learnt elsewhere (a snapshot)."""
        self.rows.setdefault(key, {})[action] = Cell(value, visits, self.weights[min(visits, self.last)])

    def cells(self) -> Iterator[tuple[str, str, float, int]]:
        """(key, action, value, visits), sorted, so that equal tables give equal bytes."""
        for key in sorted(self.rows):
            row = self.rows[key]
            for action in sorted(row):
                cell = row[action]
                yield key, action, cell.value, cell.visits

    @property
    def pairs(self) -> int:
        return sum(len(row) for row in self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<QTable {len(self)} keys, {self.pairs} cells>"


class BackoffTable(QTable):
    """A table read along chains: q(level) = w * value + (1 - w) * q(level - 1), averaged over the tilings.

    The coarsest level reads its own value; where it was never visited it reads where the action starts.
    """

    def read(self, state: State, actions: Sequence[str], starts: Sequence[float] = ()) -> list[float]:
        """Blended value of each action [A], which start at 0 or at `starts` [A]."""
        begins, get, tilings = starts or [0.0] * len(actions), self.view.get, len(state.chains)
        totals = [0.0] * len(actions)
        for chain in state.chains:
            known = []
            for key in chain:
                if (row := get(key)) is None:
                    break  # a finer key was never visited where a coarser one was not
                known.append(row)
            for place, action in enumerate(actions):
                totals[place] += blended(known, action, begins[place])
        return [total / tilings for total in totals]

    def tilings(self, state: State) -> list[list[Row | None]]:
        """The rows of every chain, from the coarsest."""
        return [[self.view.get(key) for key in chain] for chain in state.chains]

    def variances(self, state: State, actions: Sequence[str]) -> list[float]:
        """Variance of each action's blended value [A], in units of a reward's.

        A cell's is 1 / n over its effective visits, and 1 where nothing is known; a chain's follows from its weights,
        level by level, and tilings that see the same rewards are no more certain together than one by one.
        """
        tilings = self.tilings(state)
        return [sum([self._variance(rows, action) for rows in tilings]) / len(tilings) for action in actions]

    def _variance(self, rows: list[Row | None], action: str) -> float:
        variance, coarsest = 1.0, True
        for row in rows:
            if row is None:
                break
            cell = row.get(action)
            if cell is not None and cell.visits:
                own, weight = 1.0 / self.memories[min(cell.visits, self.last)], cell.weight
                variance = own if coarsest else weight * weight * own + (1.0 - weight) * (1.0 - weight) * variance
            coarsest = False
        return variance

    def move(
        self,
        state: State,
        action: str,
        target: float,
        start: float = 0.0,
        head_start: int = 0,
        *,
        again: bool = False,
    ) -> None:
        """Move every cell of the state's chains towards the target; the coarsest ones begin with a head start.

        `again` moves them by the step of their next visit and counts none.
        """
        rows, steps, weights, last = self.rows, self.steps, self.weights, self.last
        counted = 0 if again else 1
        for chain in state.chains:
            begins, ahead = start, head_start
            for key in chain:
                row = rows.get(key)
                if row is None:
                    row = rows[key] = {}
                cell = row.get(action)
                if cell is None:
                    cell = row[action] = Cell(begins)
                at = cell.visits + ahead
                cell.value += steps[at if at < last else last] * (target - cell.value)
                cell.visits = visits = cell.visits + counted
                cell.weight = weights[visits if visits < last else last]
                begins, ahead = 0.0, 0

    def known(self, state: State, action: str) -> tuple[str, int]:
        """(key, visits) of the finest cell in which the action is known; ("", 0) where it is not."""
        finest, best = -1, ("", 0)
        for chain in state.chains:
            for level in range(len(chain) - 1, -1, -1):
                row = self.view.get(chain[level])
                if row is not None and action in row:
                    if (level, row[action].visits) > (finest, best[1]):
                        finest, best = level, (chain[level], row[action].visits)
                    break
        return best


def blended(rows: Sequence[Row], action: str, start: float) -> float:
    """One tiling's value of an action; the coarsest level reads its own."""
    q, coarsest = start, True
    for row in rows:
        cell = row.get(action)
        if cell is not None:
            q = cell.value if coarsest else q + cell.weight * (cell.value - q)
        coarsest = False
    return q


def differing(rows: Sequence[Row | None], action: str, mean: float) -> float:
    """By how much one tiling's value of an action differs from its mean, towards which the coarsest is shrunk too."""
    q = mean
    for row in rows:
        if row is None:
            break
        cell = row.get(action)
        if cell is not None:
            q += cell.weight * (cell.value - q)
    return q - mean
