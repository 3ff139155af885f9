"""Which memories of the learned gate earned their place: what is known of their worth, the best and the worst."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich import box
from rich.table import Table

SHOWN = 3  # best ones, and as many worst ones
WORDS = 20  # characters of a command that are shown


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """A memory by its worth: how much more often decisions succeeded that were offered it than those without it."""

    episode_id: int
    failed: str
    mended_by: str
    status: str
    uplift: float
    low: float
    high: float
    offered: int
    withheld: int

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Memory":
        """From the server's own account of an episode."""
        episode, worth = told["episode"], told["worth"]
        return cls(
            episode_id=told["episode_id"],
            failed=episode["planned_action"],
            mended_by=episode["resolution"],
            **{name: worth[name] for name in ("status", "uplift", "low", "high", "offered", "withheld")},
        )

    @property
    def compared(self) -> bool:
        """Whether decisions with it and decisions without it are known."""
        return self.offered > 0 and self.withheld > 0


class Memories(msgspec.Struct, frozen=True, kw_only=True):
    """How many were made, of how many anything is known, how many of each status, and the ends of the list."""

    remembered: int
    compared: int
    statuses: dict[str, int]
    best: list[Memory]
    worst: list[Memory]

    @classmethod
    def of(cls, told: Iterable[dict[str, Any]]) -> "Memories":
        known = [Memory.of(each) for each in told]
        compared = sorted((m for m in known if m.compared), key=lambda m: (-m.uplift, m.episode_id))
        best = compared[:SHOWN]
        return cls(
            remembered=len(known),
            compared=len(compared),
            statuses={s: sum(m.status == s for m in known) for s in ("helps", "unproven", "inert", "harms")},
            best=best,
            worst=compared[len(best) :][-SHOWN:],
        )

    @property
    def sentence(self) -> str:
        """What the counts say."""
        counted = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        return f"Of {self.remembered} memories {self.compared} were both offered and withheld: {counted}."

    def table(self) -> Table:
        """The best, then the worst, by uplift."""
        table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
        for column in ("what failed", "what mended it"):
            table.add_column(column, no_wrap=True)
        for column in ("uplift", "with", "without", "worth"):
            table.add_column(column, justify="right", no_wrap=True)
        for memory in (*self.best, *self.worst):
            table.add_row(*_row(memory))
        return table


def _row(memory: Memory) -> Sequence[str]:
    words = [_short(memory.failed), _short(memory.mended_by)]
    return [*words, f"{memory.uplift:+.2f}", str(memory.offered), str(memory.withheld), memory.status]


def _short(command: str) -> str:
    first = command.partition("\n")[0]
    return first if first == command and len(first) <= WORDS else first[: WORDS - 3] + "..."
