"""A log as it was read: its decisions, and what has to be said about what is not in it."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from strategist.errors import BadLog
from strategist.evaluation import LoggedDecision

from ..errors import UnusableLog

SHOWN = 3  # bad rows that are told of one by one
Progress = Callable[[int, int], None]  # done, of so many
Raw = TypeVar("Raw")
Made = TypeVar("Made")


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions in the order they are learnt in.

    reward_range: the lowest and the highest reward there can be, where the source knows it.
    weights: of the reward's terms, where the source has some in force.
    left_out: what has no place in it and why, in sentences.
    notes: what the log cannot answer, in sentences.
    """

    decisions: list[LoggedDecision]
    weights: dict[str, float] | None = None
    reward_range: tuple[float, float] | None = None
    left_out: list[str] = []
    notes: list[str] = []

    def require(self, least: int, what: str) -> None:
        """Raises UnusableLog, with what was left out, where there are fewer decisions than that needs."""
        if (count := len(self.decisions)) < least:
            said = f"the log has {count} decision(s) that can be used; {what} needs {least}"
            raise UnusableLog(". ".join([said, *self.left_out]))


class BadRows:
    """Rows that cannot be used: the first ends the reading, or all are counted where that was asked for."""

    def __init__(self, *, skip: bool) -> None:
        self._skip = skip
        self._found: list[str] = []
        self._count = 0

    def converted(self, rows: Iterable[tuple[int, Raw]], make: Callable[[int, Raw], Made]) -> Iterator[Made]:
        """What is made of each row that can be used.

        Raises:
          UnusableLog: one cannot, and it is not to be skipped.
        """
        for number, row in rows:
            try:
                made = make(number, row)
            except (BadLog, RecursionError, msgspec.MsgspecError) as error:
                self.note(number, str(error), error)
                continue
            yield made

    def note(self, number: int, why: str, error: Exception) -> None:
        """Raises UnusableLog for a row that is not to be skipped."""
        said = f"row {number}: {why}"
        if not self._skip:
            raise UnusableLog(f"{said}. Correct it, or leave such rows out with --skip-bad-rows") from error
        self._count += 1
        if len(self._found) < SHOWN:
            self._found.append(said)

    def left_out(self) -> list[str]:
        """What was skipped, in a sentence."""
        if not self._count:
            return []
        more = f"; and {self._count - SHOWN} more" if self._count > SHOWN else ""
        return [f"{self._count} row(s) were left out: {'; '.join(self._found)}{more}"]
