"""A look through a whole journal: pages and indexes as SQLite sees them, then each row against its checksum."""

import sqlite3

from ..errors import JournalDamaged
from .queries import CHECKSUMS, QUERIES
from .rows import records_of, verify

NO_LIMIT, EVERY = -1, 2**62


def look_through(database: sqlite3.Connection) -> None:
    """Read everything there is.

    Raises:
      JournalDamaged, RecordDamaged: something is not what was written.
      sqlite3.Error: it cannot be read at all.
    """
    try:
        [found] = database.execute("PRAGMA integrity_check(1)").fetchone()
    except UnicodeDecodeError as error:  # it names a damaged table
        raise JournalDamaged(str(error)) from error
    if found != "ok":
        raise JournalDamaged(found.splitlines()[-1])
    [schema] = database.execute("PRAGMA user_version").fetchone()
    if schema < CHECKSUMS:
        return
    for place, row in enumerate(database.execute(QUERIES["read_after"], (0, NO_LIMIT)), 1):
        if row[0] != place:
            raise JournalDamaged(f"event {place} is missing")
        verify(row)
    records_of(database.execute(QUERIES["all_learned"], (EVERY,)))
