"""Log files as numbered rows of columns: CSV, JSON lines, Parquet, and the dsjson of Personalizer."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from strategist.errors import BadLog
from strategist.evaluation import Target

from ..errors import UnusableLog
from . import dsjson, parquet
from .log import BadRows, Log
from .rows import log_of

STRUCTURED = {"actions", "probabilities", "state", "facts", "terms"}  # columns of a CSV file that hold JSON
Numbered = Iterator[tuple[int, dict[str, Any]]]


def read_log(file: Path, target: Target, *, skip_bad_rows: bool) -> Log:
    """The log of a file; all of it, or nothing.

    Raises:
      UnusableLog: it cannot be read, or a row cannot be used and is not to be skipped; the message names the row.
    """
    read = READERS.get(file.suffix.lower())
    if read is None:
        raise UnusableLog(f"{file.name} is of no kind that is read; name it {', '.join(sorted(READERS))}")
    bad = BadRows(skip=skip_bad_rows)
    try:
        return log_of(read(file, bad), target, bad)
    except OSError as error:
        raise UnusableLog(f"{file} cannot be read: {error.strerror or error}") from error


def _csv(file: Path, bad: BadRows) -> Numbered:
    """The first line names the columns; an empty cell is a value that is not known."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        lines = csv.DictReader(opened, strict=True)
        row = _next_of(lines, bad)
        if row is not None:
            _refuse_repeated(lines.fieldnames or ())
        while row is not None:
            yield from bad.converted([(lines.line_num, row)], lambda number, cells: (number, _cells(cells)))
            row = _next_of(lines, bad)


def _refuse_repeated(columns: Sequence[str]) -> None:
    """Raises UnusableLog for a column that is there twice: one of them would be passed over."""
    if repeated := [name for name, times in Counter(columns).items() if times > 1]:
        raise UnusableLog(f"the first line names the column {repeated[0]!r} twice; take one of them out")


def _next_of(lines: "csv.DictReader[str]", bad: BadRows) -> dict[Any, Any] | None:
    """The next row; None at the end, and where the rest cannot be read."""
    try:
        return next(lines, None)
    except (csv.Error, UnicodeDecodeError) as error:
        bad.note(lines.line_num + 1, f"it is no CSV in UTF-8 ({error}); the file may be cut short", error)
        return None


def _cells(cells: dict[Any, Any]) -> dict[str, Any]:
    if None in cells or None in cells.values():
        raise BadLog("it has another number of cells than the first line has columns; the file may be cut short")
    return {name: _cell(name, text) for name, text in cells.items()}


def _cell(name: str, text: str) -> Any:
    if text == "":
        return None
    if name.startswith("fact."):
        return _fact(text)
    return msgspec.json.decode(text) if name in STRUCTURED and not _is_name(name, text) else text


def _fact(text: str) -> Any:
    """A number or a flag where it reads as one, else the text."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, int | float | bool) else text


def _is_name(column: str, text: str) -> bool:
    """A state may be a name instead of chains."""
    return column == "state" and not text.startswith("[")


def _json_lines(file: Path, bad: BadRows) -> Numbered:
    with file.open("rb") as opened:
        rows = ((number, line) for number, line in enumerate(opened, 1) if line.strip())
        yield from bad.converted(rows, lambda number, line: (number, msgspec.json.decode(line, type=dict[str, Any])))


READERS: dict[str, Callable[[Path, BadRows], Numbered]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".dsjson": dsjson.rows,
    ".parquet": parquet.rows,
}
