"""What the commands share: the kinds of options, how they fail, and how answers are printed for people and machines."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

REFUSED, UNREACHABLE = 1, 3
Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines.")]


class Failed(Exception):
    """The command cannot go on; the message says why and what to do."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


def show(answer: Any, as_json: bool, human: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    else:
        human()


def lines(*texts: str) -> None:
    """Plain text: remembered commands hold brackets that are no markup."""
    out = Console(highlight=False, soft_wrap=True, markup=False)
    for text in texts:
        out.print(text)


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    drawn = Table(*columns)
    for row in rows:
        drawn.add_row(*(escape(str(row[column])) for column in columns))
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
