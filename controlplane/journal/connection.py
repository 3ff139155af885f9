"""Connections to the journal's file: the one that writes and the one that reads, made ready."""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite

from ..errors import JournalDamaged
from .queries import REWRITE, migrate
from .rows import CHECKSUM, checksum
from .soundness import IDENTITY, refuse_foreign

Connect = Callable[[], Awaitable[aiosqlite.Connection]]
STATEMENTS = 512  # kept compiled: a group has one for each size it can have
PAGE_BYTES = 16_384  # a group of traces spans fewer pages, so a commit makes fewer system calls
WAL_PAGES = 256  # 4 MB of log before it is folded into the database
MEMORY_PRAGMAS = ("PRAGMA busy_timeout = 5000", "PRAGMA temp_store = MEMORY")


def connect(path: Path) -> Connect:
    """A factory of connections to the database file; one that fails leaves no thread behind."""

    async def open_connection() -> aiosqlite.Connection:
        connection = aiosqlite.connect(path, isolation_level=None, cached_statements=STATEMENTS)
        try:
            await connection
            for pragma in MEMORY_PRAGMAS:
                await connection.execute(pragma)
        except BaseException:
            connection.stop()
            connection._thread.join()  # its last word goes to the event loop, which ends with the command
            raise
        return connection

    return open_connection


async def open_pair(connection: Connect) -> tuple[aiosqlite.Connection, aiosqlite.Connection]:
    """The writer of a journal that was looked through and migrated, and the reader; a failure leaves neither.

    Raises:
      JournalDamaged: the file is not a sound database.
      PointsmanError: it is another program's, or a newer version's.
    """
    async with contextlib.AsyncExitStack() as failing:
        writer = await connection()
        failing.push_async_callback(writer.close)
        [(found,)] = await writer.execute_fetchall("PRAGMA quick_check(1)")
        if found != "ok":
            raise JournalDamaged(found.splitlines()[-1])
        refuse_foreign([await writer.execute_fetchall(f"PRAGMA {name}") for name in IDENTITY])
        await writer.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        await writer.execute("PRAGMA journal_mode = WAL")
        await writer.execute("PRAGMA synchronous = FULL")
        await writer.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        await writer.execute("PRAGMA secure_delete = ON")
        await writer.create_function(CHECKSUM, -1, checksum, deterministic=True)
        await migrate(writer)
        for step in ("BEGIN", REWRITE, "ROLLBACK"):  # SQLite may have opened the file for reading only: a write tells
            await writer.execute(step)
        reader = await connection()
        failing.push_async_callback(reader.close)
        await reader.execute("PRAGMA query_only = ON")
        await reader.execute("PRAGMA wal_autocheckpoint = 0")
        failing.pop_all()
    return writer, reader
