"""A journal together with where its fold begins, for whoever reads it beside the server."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from .clock import SystemClock
from .data_folder import JOURNAL_FILE, open_journal
from .errors import BadSetting
from .journal import Journal, SqliteJournal
from .origin import Origin, find


async def origin_of(journal: Journal, folder: Path) -> Origin:
    """Where the fold of a journal begins."""
    if isinstance(journal, SqliteJournal):
        return find(folder, journal.archives)
    from . import replication

    return await replication.origin_of(journal, folder)


@contextlib.asynccontextmanager
async def opened(folder: Path, database_url: str | None) -> AsyncIterator[tuple[Journal, Origin]]:
    """The journal, closed with the block.

    Raises:
      BadSetting: there is none.
      JournalDamaged, JournalUnavailable: it cannot be read.
    """
    journal: Journal
    if database_url is not None:
        from .journal.postgres import PostgresJournal

        journal = await PostgresJournal.open(database_url, SystemClock(), "reader")
    elif (folder / JOURNAL_FILE).exists():
        journal = await open_journal(folder)
    else:
        raise BadSetting(f"there is no journal in {folder}; set POINTSMAN_DATA_DIR or POINTSMAN_DATABASE_URL")
    try:
        yield journal, await origin_of(journal, folder)
    finally:
        await journal.close()
