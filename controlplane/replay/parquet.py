"""Parquet logs, with pyarrow, which is an extra of its own: `pip install 'pointsman[parquet]'`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import UnusableLog
from .log import BadRows

ROWS = 10_000  # held at once


def rows(file: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row of a Parquet file.

    Raises:
      UnusableLog: pyarrow is not there, or the file is damaged.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UnusableLog("Parquet needs pyarrow: pip install 'pointsman[parquet]'") from error
    number = 0
    try:
        with ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: _plain(value) for name, value in row.items()}
    except pyarrow.ArrowException as error:
        raise UnusableLog(f"{file.name} is no Parquet file, or cut short, after row {number}: {error}") from error


def _plain(value: Any) -> Any:
    """Maps come as lists of pairs; structs name members that a row does not have."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        return dict(value)
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if inner is not None}
    return value
