"""The SQLite file itself: settings that make an acknowledgement mean something, and erasure that erases."""

import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite
import pytest

from auditor.events import Captured, Episode, WindowClosed
from controlplane.errors import JournalUnavailable, PointsmanError
from controlplane.journal import SqliteJournal, encode_event
from controlplane.journal.queries import CHECKSUMS, QUERIES, migrations
from controlplane.journal.rows import CHECKSUM, checksum, event_row

Make = Callable[[str], WindowClosed]
Reopen = Callable[[], Awaitable[SqliteJournal]]
BARE = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"  # a row before there were checksums
REBUILDING = ("all_learned", "drop_damaged_records", "archives")  # the last is a row for each archive
SECRET = "the-canary-9f1c"


def _bytes_of(folder: Path) -> bytes:
    """Everything SQLite keeps: the database, its write-ahead log and its index."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("journal.db*")))


async def test_an_acknowledged_event_is_synced_to_a_write_ahead_log(on_disk: Reopen) -> None:
    journal = await on_disk()
    pragmas = {
        name: [row[0] for row in await journal._writer.execute_fetchall(f"PRAGMA {name}")]
        for name in ("journal_mode", "synchronous", "user_version")
    }
    assert pragmas == {"journal_mode": ["wal"], "synchronous": [2], "user_version": [migrations()[-1][0]]}


async def test_a_journal_that_cannot_be_opened_leaves_no_thread(on_disk: Reopen, tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    before = set(threading.enumerate())
    with pytest.raises(JournalUnavailable):
        await on_disk()
    assert set(threading.enumerate()) <= before


async def test_a_journal_that_could_be_opened_for_reading_only_is_refused(on_disk: Reopen, tmp_path: Path) -> None:
    """SQLite falls back to reading when opening for writing fails, if only for a moment, and says nothing."""
    await (await on_disk()).close()

    async def reading_only() -> aiosqlite.Connection:
        return await aiosqlite.connect(f"file:{tmp_path / 'journal.db'}?mode=ro", uri=True, isolation_level=None)

    with pytest.raises(JournalUnavailable, match="readonly"):
        await SqliteJournal.open(reading_only)


async def test_a_reader_cannot_write(on_disk: Reopen) -> None:
    journal = await on_disk()
    with pytest.raises(sqlite3.OperationalError):
        await journal._reader.execute("DELETE FROM events")


async def test_erased_content_is_gone_from_the_files(
    on_disk: Reopen, episode: Episode, closed: Make, tmp_path: Path
) -> None:
    journal = await on_disk()
    marked = Episode(goal=SECRET, error_trace=SECRET * 200, resolution=SECRET, digest="d2", vector=b"\x01" * 1536)
    await journal.append(closed("before"), Captured(tenant="a", at=5.0, episode=marked), closed("after"))
    assert SECRET.encode() in _bytes_of(tmp_path)
    await journal.erase("a", 2)
    assert SECRET.encode() not in _bytes_of(tmp_path), "neither a free page nor the log still holds it"
    assert [r.seq for r in await journal.read(0, 10)] == [1, 2, 3]


@pytest.mark.parametrize("version", [number for number, _ in migrations()])
async def test_an_old_journal_is_migrated_once_and_keeps_its_events(
    on_disk: Reopen, closed: Make, tmp_path: Path, version: int
) -> None:
    database = sqlite3.connect(tmp_path / "journal.db")
    database.create_function(CHECKSUM, -1, checksum)
    for number, sql in migrations()[:version]:
        database.executescript(f"{sql}\nPRAGMA user_version = {number};")
    with database:
        *row, kept = event_row(1, closed("kept"), encode_event(closed("kept")))
        database.execute(*((QUERIES["append_events"], (*row, kept)) if version >= CHECKSUMS else (BARE, row)))
    database.close()
    for _ in range(3):
        journal = await on_disk()
        assert await journal.append(closed("new")) == journal.last_seq
    assert [r.event.ref for r in await journal.read(0, 10)] == ["kept", "new", "new", "new"]


@pytest.mark.parametrize("query", [name for name, sql in QUERIES.items() if not sql.startswith("INSERT")])
async def test_no_question_but_a_rebuilds_reads_a_whole_table(on_disk: Reopen, query: str) -> None:
    journal, sql = await on_disk(), QUERIES[query]
    steps = await journal._writer.execute_fetchall(f"EXPLAIN QUERY PLAN {sql}", [1] * sql.count("?"))
    assert all(step[-1].startswith(("SEARCH ", "LIST SUBQUERY ")) for step in steps) != (query in REBUILDING)


async def test_a_journal_of_a_newer_version_is_refused_and_left_alone(on_disk: Reopen, tmp_path: Path) -> None:
    newer = migrations()[-1][0] + 1
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute(f"PRAGMA user_version = {newer}")
    database.close()
    with pytest.raises(PointsmanError, match=f"schema {newer}"):
        await on_disk()
    database = sqlite3.connect(tmp_path / "journal.db")
    assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    database.close()
