"""`pointsman archive` of a journal that replicas share: they may run, for none of them goes back to what is moved.

What goes is written to a file here, as the embedded journal's archives are. One transaction takes it out of the
database and leaves the base there, with which every later fold begins.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from auditor.packing import encode
from auditor.receipts import REPEATABLE_S

from . import origin
from .backups import sync_one, told
from .checkpoints import CHECKPOINT_FOLDER, CheckpointFiles, seal
from .clock import Clock
from .data_folder import lock_folder
from .failpoints import failpoint
from .journal.codec import encode_event
from .journal.port import STAYING_KINDS
from .journal.postgres import PostgresJournal
from .journal.queries import many_rows
from .journal.rows import Row, event_row, record_row
from .journal.soundness import look_through_archive, reading
from .replication import claim_for, origin_of
from .retention import Ground, Moved, Progress, fold_ground, make, name

PAGE = 1000


async def archive(folder: Path, url: str, keep: int, clock: Clock, progress: Progress) -> Moved:
    """Move events out of the database, all but the newest `keep`, those of the last 24 hours and unpublished ones.

    Raises:
      PointsmanError: the database cannot be used, a fold fails, the disk refuses.
    """
    with contextlib.closing(os.fdopen(lock_folder(folder))), told(f"nothing was archived in {folder}"):
        (folder / origin.ARCHIVE_FOLDER).mkdir(mode=0o700, exist_ok=True)
        journal = await PostgresJournal.open(url, clock, "archive")
        try:
            await claim_for(journal, folder)
            async with journal.in_turn("start"):
                return await _archived(folder, journal, keep, clock, progress)
        finally:
            await journal.close()


async def _archived(folder: Path, journal: PostgresJournal, keep: int, clock: Clock, progress: Progress) -> Moved:
    begun, seq = await origin_of(journal, folder), await _place(journal, keep, clock)
    _clear(folder / origin.ARCHIVE_FOLDER, begun.seq)
    if seq <= begun.seq:
        return Moved(seq=begun.seq, events=0, file=None)
    ground = await fold_ground(folder, journal, seq, journal.last_seq, begun, lambda done: progress(done, 2 * seq))
    files = CheckpointFiles(folder / CHECKPOINT_FOLDER)
    for _, _, kept in ground.base.prefixes:
        await journal.shelf.put_file(kept, seal(files.read(kept)))
    file = folder / origin.ARCHIVE_FOLDER / origin.events_name(seq)
    making = file.with_name(f"{file.name}.tmp")
    try:
        make(making)
        await _copy(journal, making, begun.seq, seq, ground, lambda done: progress(seq + done, 2 * seq))
        with contextlib.closing(reading(making)) as copied:
            events = look_through_archive(copied)
        name(making, file)
    finally:
        making.unlink(missing_ok=True)  # it has its name by now, or was not finished
    failpoint("shared.filed")
    await journal.shelf.archive(seq, seal(encode(ground.base)), STAYING_KINDS, ground.open)
    failpoint("shared.archived")
    sync_one(file.parent)
    return Moved(seq=seq, events=events, file=file.name)


def _clear(kept: Path, archived_seq: int) -> None:
    """Delete what an interrupted run left: its events are in the database."""
    for path in kept.glob("events-*"):
        if path.name > origin.events_name(archived_seq):
            path.unlink()


async def _place(journal: PostgresJournal, keep: int, clock: Clock) -> int:
    """The last event to go: a new replica begins with what was published, keyed requests rest on the last day."""
    since = await journal.shelf.first_since(clock.now() - REPEATABLE_S)
    published = await journal.shelf.published_seq() or 0
    return min(journal.last_seq - keep, published, journal.last_seq if since is None else since - 1)


async def _copy(
    journal: PostgresJournal, target: Path, after: int, until: int, ground: Ground, done: Callable[[int], None]
) -> None:
    still_open = set(ground.open)
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as database:
        while after < until and (page := await journal.read(after, PAGE)):
            going = [
                event_row(recorded.seq, recorded.event, encode_event(recorded.event))
                for recorded in page
                if recorded.seq <= until
                and recorded.event.kind not in STAYING_KINDS
                and (recorded.event.tenant, recorded.event.ref) not in still_open
            ]
            if going:
                database.execute(many_rows("append_events", len(going)), [value for row in going for value in row])
            after = page[-1].seq
            done(min(after, until))
        await _copy_records(journal, database, until)


async def _copy_records(journal: PostgresJournal, target: sqlite3.Connection, until: int) -> None:
    rows: list[Row] = []
    async for tenant, record in journal.all_learned(until):
        rows.append(record_row(tenant, record))
        if len(rows) == PAGE:
            _write_records(target, rows)
            rows = []
    if rows:
        _write_records(target, rows)


def _write_records(target: sqlite3.Connection, rows: list[Row]) -> None:
    target.execute(many_rows("record_learned", len(rows)), [value for row in rows for value in row])
