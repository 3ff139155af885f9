"""`pointsman migrate`: the embedded journal is copied into an empty database, each event under its number."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from .clock import Clock
from .data_folder import JOURNAL_FILE, lock_folder, open_journal
from .errors import PointsmanError
from .journal import SqliteJournal
from .journal.postgres import PostgresJournal
from .journal.postgres.copying import Copying
from .replication import agree_on_pepper, claim_for
from .tenants import read_pepper
from .tenants.pepper import FILE as PEPPER_FILE

PAGE = 500
Progress = Callable[[int, int], None]  # done, of so many


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied now, and how much the database has."""

    events: int
    seq: int


async def migrate(folder: Path, url: str, clock: Clock, progress: Progress) -> Migrated:
    """Copy what the database does not have yet; a copy that was interrupted goes on.

    Raises:
      PointsmanError: there is no journal, a server holds the folder, events were archived, the database has others, or
        the folder was used with another database.
    """
    if not (folder / JOURNAL_FILE).exists():
        raise PointsmanError(f"there is no journal in {folder}; set POINTSMAN_DATA_DIR")
    async with contextlib.AsyncExitStack() as held:
        held.callback(os.close, lock_folder(folder))
        source = await open_journal(folder)
        held.push_async_callback(source.close)
        target = await PostgresJournal.open(url, clock, "migration")
        held.push_async_callback(target.close)
        await held.enter_async_context(target.database.alone("start"))
        await target.catch_up()
        await _refuse_others(source, target)
        await claim_for(target, folder, copied=True)
        if (folder / PEPPER_FILE).exists():
            await agree_on_pepper(target, read_pepper(folder))
        before = target.last_seq
        async with target.shelf.migrating():
            await _copy(source, target, progress)
        return Migrated(events=target.last_seq - before, seq=target.last_seq)


async def _copy(source: SqliteJournal, target: PostgresJournal, progress: Progress) -> None:
    copying = Copying(target.database.connect())
    try:
        while page := await source.read(target.last_seq, PAGE):
            await copying.append(page)
            await target.catch_up(page[-1].seq)
            progress(target.last_seq, source.last_seq)
    finally:
        await copying.close()
    async for tenant, learned in source.all_learned(source.last_seq):
        target.record(tenant, [learned])
    await target.flush()


async def _refuse_others(source: SqliteJournal, target: PostgresJournal) -> None:
    """Raises PointsmanError unless the database holds the beginning of this journal, and nothing else."""
    if source.archives:
        raise PointsmanError("a part of this journal is archived; what is archived cannot be migrated")
    if (last := target.last_seq) == 0:
        return
    ours, theirs = [await journal.read(last - 1, 1) for journal in (source, target)]
    if ours != theirs:
        raise PointsmanError("the database has events of another journal; begin with an empty one")
