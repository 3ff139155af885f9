"""What other origins learnt, read together with one's own experience.

A point keeps one entry per origin: values and effective visits of that origin's *own* experience, so that nothing is
counted twice on its way around. Of an origin the newest entry stands, which is a join: neither the order in which
entries come nor how often makes a difference. What is read is a mean over the origins, in their order, each by its
effective visits. It fills the room that own experience leaves in a cell's memory; when there is none left, own
experience alone is read.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from itertools import accumulate, takewhile
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from .schedules import StepSize
from .tables import NO_ROW, BackoffTable, Cell, QTable, Row
from .types import State

Learnt = tuple[  # key, action, value, effective visits
    Annotated[str, Meta(max_length=512)],
    Annotated[str, Meta(min_length=1, max_length=520)],
    float,
    Annotated[float, Meta(ge=1.0, le=1e6)],
]
Whole = Annotated[int, Meta(ge=1, le=2**53)]
Named = Annotated[str, Meta(max_length=256)]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one origin learnt itself at one point, up to its event `seq`.

    weights: of the terms of the reward that it learnt from.
    sha256: of everything else here; it tells a damaged entry, not who made it.
    """

    origin: Annotated[str, Meta(pattern=r"^or_[0-9a-f]{32}$")]
    seq: Whole
    point: Named
    spec_hash: Named
    weights: Annotated[dict[Named, float], Meta(max_length=64)]
    cells: Annotated[list[Learnt], Meta(max_length=10_000)]  # sorted by key and action
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] = ""

    def sealed(self) -> Self:
        """The same with its cells in order and its digest."""
        ordered = msgspec.structs.replace(self, cells=sorted(self.cells))
        return msgspec.structs.replace(ordered, sha256=ordered.digest)

    @property
    def digest(self) -> str:
        """What `sha256` is, if nothing was changed."""
        return sha256(_encode(msgspec.structs.replace(self, sha256=""))).hexdigest()


Entries = Mapping[str, Entry]  # by origin
Pool = dict[str, dict[str, tuple[float, float]]]  # by key and action: sum of value * visits, sum of visits
_encode = msgspec.json.Encoder(order="sorted").encode


def newest(one: Entry, other: Entry) -> Entry:
    """Which of two entries of an origin stands; of two with one number always the same one, whichever came first."""
    return max(one, other, key=lambda entry: (entry.seq, entry.sha256))


def leaving(cells: Iterable[Learnt], leaves: Callable[[str], bool], room: int) -> tuple[list[Learnt], int]:
    """The cells whose keys may leave, as many as there is room for (in bytes), and how many more there are.

    The most visited go first, of equally visited ones the coarser: a finer cell is not read without those above it.
    """
    found = [cell for cell in cells if leaves(cell[0])]
    found.sort(key=lambda cell: (-cell[3], len(cell[0])))
    sizes = accumulate(len(_encode(cell)) + 1 for cell in found)
    kept = sum(1 for _ in takewhile(lambda size: size <= room, sizes))
    return found[:kept], len(found) - kept


def own(table: QTable) -> list[Learnt]:
    """What a table learnt itself."""
    return [(key, action, value, table.remembered(visits)) for key, action, value, visits in table.cells() if visits]


def pooled(entries: Entries, memory: float) -> Pool:
    """What the origins say together; none of them more than a cell here remembers (in visits)."""
    pool: Pool = {}
    for _, entry in sorted(entries.items()):
        for key, action, value, visits in entry.cells:
            row, counted = pool.setdefault(key, {}), min(visits, memory)
            total, before = row.get(action, (0.0, 0.0))
            row[action] = total + counted * value, before + counted
    return pool


class FederatedTable(BackoffTable):
    """A table whose reads see what others learnt, too. Its rows are its own experience, and nothing else moves."""

    def __init__(self, step: StepSize, kappa: float, rows: dict[str, Row], entries: Entries) -> None:
        self._entries = entries
        super().__init__(step, kappa, rows)

    def configure(self, step: StepSize, kappa: float) -> None:
        super().configure(step, kappa)
        self._pool = pooled(self._entries, self.memories[-1])
        self.view = dict(self.rows)
        for key, others in self._pool.items():
            row = self.rows.get(key, NO_ROW)
            self.view[key] = row | {action: self._together(row.get(action), *said) for action, said in others.items()}

    def move(
        self, state: State, action: str, target: float, start: float = 0.0, head_start: int = 0, *, again: bool = False
    ) -> None:
        super().move(state, action, target, start, head_start, again=again)
        for chain in state.chains:
            for key in chain:
                self._look_at(key, action)

    def _look_at(self, key: str, action: str) -> None:
        """Read the cell as it is now."""
        row = self.rows[key]
        if (others := self._pool.get(key)) is None:
            self.view[key] = row
        else:
            said = others.get(action)
            self.view[key][action] = row[action] if said is None else self._together(row[action], *said)

    def _together(self, cell: Cell | None, total: float, visits: float) -> Cell:
        """One's own cell with what others say of it, as far as it does not fill its memory."""
        value, remembered = (cell.value, self.remembered(cell.visits)) if cell else (0.0, 0.0)
        room = min(visits, self.memories[-1] - remembered)
        if cell and not room:
            return cell
        counted = remembered + room
        worth = min(bisect_left(self.memories, counted), self.last)
        return Cell((remembered * value + room * (total / visits)) / counted, worth, self.weights[worth])
