"""What a command prints: JSON for machines; plain lines, a table or a progress bar for people."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table


def show(answer: Any, as_json: bool, human: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    else:
        human()


def plain(text: str) -> str:
    """A text whose marks no terminal obeys: control characters, and those that turn or hide others, are spelt out.

    >>> plain("a tab\\t, a line\\n, \\x1b[31mred and \\u202ebackwards; gr\u00fcn stays")
    'a tab\\t, a line\\n, \\\\x1b[31mred and \\\\u202ebackwards; gr\u00fcn stays'
    """
    kept = (c if c.isprintable() or c in "\t\n" else c.encode("unicode_escape").decode() for c in text)
    return "".join(kept)


def lines(*texts: str) -> None:
    """Plain text: remembered commands hold brackets that are no markup."""
    out = Console(highlight=False, soft_wrap=True, markup=False)
    for line in texts:
        out.print(plain(line))


def told_weights(weights: Mapping[str, float]) -> str:
    """Weights of terms on one line.

    >>> told_weights({"latency": 0.4, "cost": 0.3})
    'cost 0.3, latency 0.4'
    """
    return ", ".join(f"{term} {weight:g}" for term, weight in sorted(weights.items()))


def moment(at: float) -> str:
    """A wall clock time [s since 1970], to the second.

    >>> moment(1795214886.2)
    '2026-11-20T22:48:06+00:00'
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Where it is narrow a value is folded, not cut: an id is worth nothing without its end."""
    drawn = Table(*(Column(column, overflow="fold") for column in columns))
    for row in rows:
        drawn.add_row(*(escape(plain(str(row[column]))) for column in columns))
    Console().print(drawn)


class Bar:
    """A progress bar on standard error, if that is a terminal; call it with how much is done, of how much."""

    def __init__(self, doing: str, *, hidden: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=hidden or not console.is_terminal)
        self._task = self._progress.add_task(doing, total=None)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)
