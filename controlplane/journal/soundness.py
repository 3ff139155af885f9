"""A look through a whole journal: pages and indexes as SQLite sees them, then each row against its checksum."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import JournalDamaged, PointsmanError
from .queries import ARCHIVES, CHECKSUMS, QUERIES
from .rows import Archived, archived_of, records_of, verify

NO_LIMIT, EVERY = -1, 2**62
PRIMARY = 0xFF  # the part of an error's code that says what kind it is
IDENTITY = ("user_version", "application_id", "table_list", "table_info(events)")  # what tells whose a database is
OURS = {"seq", "tenant", "kind", "ref", "at", "payload"}  # columns of the events in every schema
UNSOUND = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # the file is not as we made it


def unsound(error: Exception) -> bool:
    """Damage, and not trouble with the disk: also when SQLite names a damaged table in bytes that are no text."""
    return isinstance(error, UnicodeDecodeError) or getattr(error, "sqlite_errorcode", 0) & PRIMARY in UNSOUND


def refuse_foreign(told: Iterable[Iterable[Any]]) -> None:
    """Raises PointsmanError when the pragmas of `IDENTITY` tell of something that is neither a journal nor empty."""
    [(schema,)], [(application,)], tables, columns = map(list, told)
    made = [name for _, name, *_ in tables if not name.startswith("sqlite_")]
    ours = schema != 0 and {name for _, name, *_ in columns} >= OURS
    if (made or application) and not ours:
        raise PointsmanError(
            "journal.db is another program's database, and nothing was changed in it; "
            "move it away, or set POINTSMAN_DATA_DIR to another folder"
        )


def look_through(database: sqlite3.Connection) -> list[Archived]:
    """Read everything there is; the archives it knows of.

    Raises:
      PointsmanError: it is no journal.
      JournalDamaged, RecordDamaged: something is not what was written.
      sqlite3.Error: it cannot be read at all.
    """
    _look_at_pages(database)
    refuse_foreign([database.execute(f"PRAGMA {name}").fetchall() for name in IDENTITY])
    schema = schema_of(database)
    archives = archived_of(database.execute(QUERIES["archives"])) if schema >= ARCHIVES else []
    if schema >= CHECKSUMS:
        _look_at_events(database, archives)
        _look_at_records(database)
    return archives


def look_through_archive(database: sqlite3.Connection) -> int:
    """Read everything an archive holds; how many events that is. Raises as `look_through` does."""
    _look_at_pages(database)
    count = 0
    for row in database.execute(QUERIES["read_after"], (0, NO_LIMIT)):
        verify(row)
        count += 1
    _look_at_records(database)
    return count


def reading(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def schema_of(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _look_at_pages(database: sqlite3.Connection) -> None:
    try:
        [found] = database.execute("PRAGMA integrity_check(1)").fetchone()
    except UnicodeDecodeError as error:  # it names a damaged table
        raise JournalDamaged(str(error)) from error
    if found != "ok":
        raise JournalDamaged(found.splitlines()[-1])


def _look_at_records(database: sqlite3.Connection) -> None:
    for row in database.execute(QUERIES["all_learned"], (EVERY,)):
        records_of([row])


def _look_at_events(database: sqlite3.Connection, archives: list[Archived]) -> None:
    """Past the last archive numbers have no gap; up to it as many events are left as it says."""
    place, kept = (archives[-1].seq, archives[-1].kept) if archives else (0, 0)
    for row in database.execute(QUERIES["read_after"], (0, NO_LIMIT)):
        verify(row)
        if archives and row[0] <= archives[-1].seq:
            kept -= 1
            continue
        place += 1
        if row[0] != place:
            raise JournalDamaged(f"event {place} is missing")
    if kept:
        raise JournalDamaged(
            f"of the events up to {archives[-1].seq} that were kept, {abs(kept)} are missing or doubled"
        )
