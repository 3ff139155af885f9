"""Changing a stopped server's journal behind its back: with checksums that give it away, or made to fit again."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from controlplane.journal.rows import CHECKSUM, checksum

SEAL = """UPDATE events
SET checksum = row_checksum(seq, at, payload, CAST(tenant AS BLOB), CAST(kind AS BLOB), CAST(ref AS BLOB))"""
SEAL_RECORDS = """UPDATE learned
SET checksum = row_checksum(seq, 0.0, record, CAST(tenant AS BLOB), CAST(trace_id AS BLOB))"""


def tamper(folder: Path, statement: str, *values: Any) -> None:
    """Run a statement that changes something in the data folder's journal."""
    with closing(sqlite3.connect(folder / "journal.db")) as database, database:
        database.create_function(CHECKSUM, -1, checksum)
        assert database.execute(statement, values).rowcount > 0
