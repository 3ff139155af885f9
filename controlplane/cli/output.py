"""What a command prints: JSON for machines, plain lines or a table for people."""

import sys
from collections.abc import Callable
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def show(answer: Any, as_json: bool, human: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    else:
        human()


def lines(*texts: str) -> None:
    """Plain text: remembered commands hold brackets that are no markup."""
    out = Console(highlight=False, soft_wrap=True, markup=False)
    for line in texts:
        out.print(line)


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    drawn = Table(*columns)
    for row in rows:
        drawn.add_row(*(escape(str(row[column])) for column in columns))
    Console().print(drawn)
