"""Tabular action values: a flat table, and a reader that backs off from fine keys to coarse ones.

`QTable` keeps (value, visits) per key and action. `BackoffTable` reads a state's chains through it,
shrinking each level towards its parent, and moves every visited cell towards a common target
(an averager: Gordon 1995). One tiling with one level is classical Q-learning (Watkins & Dayan 1992).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from .schedules import StepSize
from .types import State

NO_PRIOR: Mapping[str, float] = {}


@lru_cache(16)
def _tabulated(step: StepSize, kappa: float) -> tuple[list[float], list[float]]:
    """Steps and weights by visits, up to those after which neither changes; all tables of one rule share them."""
    size = step.horizon()
    effective = [step.effective_visits(visits) for visits in range(size)]
    return [step.at(visits) for visits in range(size)], [n / (n + kappa) if n else 0.0 for n in effective]


class Cell(msgspec.Struct, gc=False):
    """One action value; `weight` is n / (n + kappa) over effective visits n."""

    value: float
    visits: int = 0
    weight: float = 0.0


class QTable:
    """Values and visits by (key, action); a cell moves towards a target by its own step."""

    def __init__(self, step: StepSize, kappa: float) -> None:
        self.rows: dict[str, dict[str, Cell]] = {}
        self.configure(step, kappa)

    def configure(self, step: StepSize, kappa: float) -> None:
        """Take a step rule and a shrinkage constant (in pseudo-visits); weights of old cells follow."""
        self.steps, self.weights = _tabulated(step, kappa)
        self.last = len(self.steps) - 1
        for row in self.rows.values():
            for cell in row.values():
                cell.weight = self.weights[min(cell.visits, self.last)]

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

    The coarsest level reads its own value; where it was never visited it reads the prior.
    """

    def read(self, state: State, actions: Sequence[str], prior: Mapping[str, float] = NO_PRIOR) -> list[float]:
        """Blended value of each action [A]."""
        tilings = [[self.rows.get(key) for key in chain] for chain in state.chains]
        return [self._blended(tilings, action, prior.get(action, 0.0)) for action in actions]

    def _blended(self, tilings: list[list[dict[str, Cell] | None]], action: str, prior: float) -> float:
        total = 0.0
        for rows in tilings:
            q, coarsest = prior, True
            for row in rows:
                if row is None:
                    break  # a finer key was never visited where a coarser one was not
                cell = row.get(action)
                if cell is not None:
                    q = cell.value if coarsest else q + cell.weight * (cell.value - q)
                coarsest = False
            total += q
        return total / len(tilings)

    def move(self, state: State, action: str, target: float, prior: float = 0.0, prior_visits: int = 0) -> None:
        """Move every cell of the state's chains towards the target; the prior starts the coarsest ones."""
        rows, steps, weights, last = self.rows, self.steps, self.weights, self.last
        for chain in state.chains:
            start, head_start = prior, prior_visits
            for key in chain:
                row = rows.get(key)
                if row is None:
                    row = rows[key] = {}
                cell = row.get(action)
                if cell is None:
                    cell = row[action] = Cell(start)
                at = cell.visits + head_start
                cell.value += steps[at if at < last else last] * (target - cell.value)
                cell.visits = visits = cell.visits + 1
                cell.weight = weights[visits if visits < last else last]
                start, head_start = 0.0, 0

    def known(self, state: State, action: str) -> tuple[str, int]:
        """(key, visits) of the finest cell in which the action is known; ("", 0) where it is not."""
        finest, best = -1, ("", 0)
        for chain in state.chains:
            for level in range(len(chain) - 1, -1, -1):
                row = self.rows.get(chain[level])
                if row is not None and action in row:
                    if (level, row[action].visits) > (finest, best[1]):
                        finest, best = level, (chain[level], row[action].visits)
                    break
        return best
