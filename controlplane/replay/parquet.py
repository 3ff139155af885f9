"""Parquet files, with pyarrow, which is an extra of its own: `pip install 'pointsman[parquet]'`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategist.evaluation.estimators import Floats

from ..errors import UnusableLog
from .log import BadRows

ROWS = 10_000  # held at once as rows
TEXT, NUMBER, WHOLE, FLAG, NUMBERS, TEXTS = "text", "number", "whole", "flag", "numbers", "texts"  # kinds of columns
DICTIONARY_BYTES = 1 << 26  # of one column of texts; past it they are written out one by one


class Coded(NamedTuple):
    """A column of texts: which one each row has [N], -1 for none, and the texts."""

    codes: NDArray[np.int64]
    texts: list[str]


class Ragged(NamedTuple):
    """A column of lists: all their numbers, and where each row's begin [N + 1]."""

    values: Floats
    offsets: NDArray[np.int64]


Column = Coded | Ragged | Floats


def rows(file: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row of a Parquet file.

    Raises:
      UnusableLog: pyarrow is not there, or the file is damaged.
    """
    number = 0
    for batch in _batches(file, ROWS, None):
        for row in batch.to_pylist():
            number += 1
            yield number, {name: _plain(value) for name, value in row.items()}


def lists(file: Path) -> Iterator[dict[str, list[Any]]]:
    """The columns of a file as lists, so many rows at a time.

    Raises:
      UnusableLog: pyarrow is not there, or the file is damaged.
    """
    for batch in _batches(file, ROWS, None):
        yield batch.to_pydict()


def columns(file: Path, names: Sequence[str], size: int) -> Iterator[dict[str, Column]]:
    """Some columns of a file as arrays, `size` rows at a time; a number that is not known is nan.

    Raises:
      UnusableLog: pyarrow is not there, or the file is damaged.
    """
    for batch in _batches(file, size, list(names)):
        try:
            found = {name: _column(batch.column(name)) for name in batch.schema.names}
        except _pyarrow().ArrowException as error:
            raise UnusableLog(f"{file.name} holds a column of another kind than was exported: {error}") from error
        yield found


def names_and_count(file: Path) -> tuple[list[str], int]:
    """The names of a file's columns, and how many rows it has.

    Raises:
      UnusableLog: pyarrow is not there, or the file is damaged.
    """
    arrow = _pyarrow()
    try:
        with arrow.parquet.ParquetFile(file) as opened:
            return list(opened.schema_arrow.names), opened.metadata.num_rows
    except arrow.ArrowException as error:
        raise UnusableLog(f"{file.name} is no Parquet file, or cut short: {error}") from error


def encoded(kinds: Mapping[str, str], told: Mapping[str, Any]) -> bytes:
    """A file of the named columns with their values [N], in anything that pyarrow takes; None is one not known.

    Raises:
      UnusableLog: pyarrow is not there.
    """
    arrow = _pyarrow()
    types = {
        TEXT: arrow.dictionary(arrow.int32(), arrow.string()),
        NUMBER: arrow.float64(),
        WHOLE: arrow.int64(),
        FLAG: arrow.bool_(),
        NUMBERS: arrow.list_(arrow.float64()),
        TEXTS: arrow.list_(arrow.string()),
    }
    columns = {name: arrow.array(told[name], types[kind]) for name, kind in kinds.items()}
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(
        arrow.table(columns), sink, compression="zstd", dictionary_pagesize_limit=DICTIONARY_BYTES
    )
    return bytes(sink.getvalue())


def _batches(file: Path, size: int, names: list[str] | None) -> Iterator[Any]:
    """Record batches, read by the calling thread alone: whoever wants more cores takes more processes."""
    arrow, read = _pyarrow(), 0
    try:
        with arrow.parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=size, columns=names, use_threads=False):
                yield batch
                read += batch.num_rows
    except arrow.ArrowException as error:
        raise UnusableLog(f"{file.name} is no Parquet file, or cut short, after row {read}: {error}") from error


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UnusableLog("Parquet needs pyarrow: pip install 'pointsman[parquet]'") from error
    return pyarrow


def _column(array: Any) -> Column:
    arrow = _pyarrow()
    if arrow.types.is_string(array.type):  # as other tools write it again
        array = array.dictionary_encode()
    if arrow.types.is_dictionary(array.type):
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return Coded(codes.astype(np.int64), array.dictionary.to_pylist())
    if arrow.types.is_list(array.type):
        sizes = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        values = array.flatten().to_numpy(zero_copy_only=False)
        return Ragged(values, np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))))
    found: Floats = array.cast(arrow.float64()).to_numpy(zero_copy_only=False)
    return found


def _plain(value: Any) -> Any:
    """Maps come as lists of pairs; structs name members that a row does not have."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        return dict(value)
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if inner is not None}
    return value
