"""`pointsman archive`: an old stretch of the journal becomes a sealed base and a file of its own.

The order makes a crash harmless: the base and the archive's file are on disk before one transaction moves the events,
and what a run before it left is cleared first. Until the transaction nothing has changed, after it everything has.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from auditor.events import rests_on
from auditor.receipts import REPEATABLE_S

from . import origin
from .backups import sync_one, told
from .checkpoints import CHECKPOINT_FOLDER, CheckpointFiles
from .clock import Clock
from .data_folder import JOURNAL_FILE, lock_folder, open_journal
from .errors import PointsmanError
from .failpoints import failpoint
from .journal.port import ALL
from .journal.queries import ARCHIVING, REWRITE, migrations
from .journal.rows import Archived
from .journal.soundness import look_through, look_through_archive, reading
from .lineage import present
from .origin import Base, Origin
from .refold import Log, refold

PART = 1000  # events copied between two steps of the progress bar
Progress = Callable[[int, int], None]  # done, of so many


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive took: everything up to `seq` but what stays; no file when there was nothing to take."""

    seq: int
    events: int
    file: str | None


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """A fold up to the place where the log is to begin, and the decisions that are open there."""

    base: Base
    open: list[tuple[str, str]]  # tenant, trace


async def archive(folder: Path, keep: int, clock: Clock, progress: Progress) -> Moved:
    """Move events out of a stopped server's journal, all but the newest `keep` and those of the last 24 hours.

    Raises:
      PointsmanError: there is no journal or it is damaged, a server holds the folder, the disk refuses.
    """
    if not (folder / JOURNAL_FILE).exists():
        raise PointsmanError(f"there is no journal in {folder}; set POINTSMAN_DATA_DIR")
    with contextlib.closing(os.fdopen(lock_folder(folder))), told(f"nothing was archived in {folder}"):
        (folder / origin.ARCHIVE_FOLDER).mkdir(mode=0o700, exist_ok=True)
        sync_one(folder)
        journal = await open_journal(folder)
        try:
            origin.clear(folder, journal.archives)
            before = journal.archives[-1].seq if journal.archives else 0
            seq = _place(folder / JOURNAL_FILE, journal.last_seq, keep, clock)
            if seq <= before:
                return Moved(seq=before, events=0, file=None)
            begun = origin.find(folder, journal.archives)
            ground = await fold_ground(
                folder, journal, seq, journal.last_seq, begun, lambda done: progress(done, 2 * seq)
            )
        finally:
            await journal.close()
        return _move(folder, seq, ground, lambda done: progress(seq + done, 2 * seq))


def _place(journal: Path, last_seq: int, keep: int, clock: Clock) -> int:
    """The last event to go; everything is looked through first. Idempotency keys rest on those of the last day."""
    with contextlib.closing(reading(journal)) as database:
        look_through(database)
        [since] = database.execute(ARCHIVING["first_since"], (clock.now() - REPEATABLE_S,)).fetchone()
    return min(last_seq - keep, last_seq if since is None else since - 1)


async def fold_ground(
    folder: Path, log: Log, seq: int, last_seq: int, begun: Origin, progress: Callable[[int], None]
) -> Ground:
    """Fold up to `seq`; each place of before that an event goes back to, or may yet, gets its file."""
    acts = [recorded.event for recorded in await log.acts(ALL, last_seq + 1, last_seq)]
    wanted = {(event.tenant, event.seq) for event in present(acts).values()}
    wanted |= {(event.tenant, place) for event in acts if (place := rests_on(event)) is not None}
    places = {place for place in wanted if place[1] <= seq}
    refolded = await refold(log, seq, progress, begun, places)
    files = CheckpointFiles(folder / CHECKPOINT_FOLDER)
    filed = [(*place, files.write(refolded.prefixes[place])) for place in sorted(places)]
    tenants = refolded.state.tenants
    still_open = [(tenant, trace_id) for tenant in sorted(tenants) for trace_id in tenants[tenant].credit.open]
    return Ground(base=Base(state=refolded.state.dump(), prefixes=filed), open=still_open)


def _move(folder: Path, seq: int, ground: Ground, progress: Callable[[int], None]) -> Moved:
    """Lay the base, copy what goes, then take it out of the log at once."""
    kept = folder / origin.ARCHIVE_FOLDER
    base = origin.lay(folder, seq, ground.base)
    failpoint("archive.laid")
    file, making = kept / origin.events_name(seq), kept / f"{origin.events_name(seq)}.tmp"
    make(making)
    with contextlib.closing(sqlite3.connect(folder / JOURNAL_FILE, isolation_level=None)) as database:
        for pragma in ("synchronous = FULL", "secure_delete = ON"):
            database.execute(f"PRAGMA {pragma}")
        _copy(database, making, seq, ground, progress)
        with contextlib.closing(reading(making)) as copied:
            events = look_through_archive(copied)
        name(making, file)
        failpoint("archive.filed")
        _take_out(database, file, Archived(seq=seq, kept=0, base=base, archive=origin.digest_of(file)))
        origin.clear(folder, look_through(database))
    return Moved(seq=seq, events=events, file=file.name)


def make(path: Path) -> None:
    """An empty journal of the newest schema."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # the file counts once it is renamed
        for number, sql in migrations():
            database.executescript(f"{sql}\nPRAGMA user_version = {number};")


def _copy(
    database: sqlite3.Connection, target: Path, seq: int, ground: Ground, progress: Callable[[int], None]
) -> None:
    database.execute(ARCHIVING["attach_archive"], (str(target),))
    database.execute("PRAGMA archive.journal_mode = OFF")
    database.execute(ARCHIVING["make_staying"])
    database.executemany(ARCHIVING["let_stay"], ground.open)
    for after in range(0, seq, PART):
        database.execute(ARCHIVING["copy_events"], (after, min(after + PART, seq)))
        progress(min(after + PART, seq))
    database.execute(ARCHIVING["copy_records"], (seq,))
    database.execute("DETACH DATABASE archive")


def name(making: Path, file: Path) -> None:
    """The archive's file counts from here on."""
    sync_one(making)
    making.replace(file)
    sync_one(file.parent)


def _take_out(database: sqlite3.Connection, file: Path, noted: Archived) -> None:
    """One transaction; then give the space back, and empty the log that still holds what left."""
    database.execute(ARCHIVING["attach_archive"], (str(file),))
    database.execute("BEGIN IMMEDIATE")
    database.execute(ARCHIVING["drop_moved_events"])
    database.execute(ARCHIVING["drop_moved_records"], (noted.seq,))
    [kept] = database.execute(ARCHIVING["count_until"], (noted.seq,)).fetchone()
    database.execute(ARCHIVING["note_archive"], msgspec.structs.replace(noted, kept=kept).row)
    failpoint("archive.moving")
    database.execute("COMMIT")
    failpoint("archive.moved")
    database.execute("DETACH DATABASE archive")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute(REWRITE)  # a commit, whose sync makes the emptying last
