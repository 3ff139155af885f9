"""The journal on SQLite: WAL, synchronous=FULL, one writer task that commits in groups.

An append is acknowledged after the commit that holds it, so what was acknowledged is on disk. Requests
never touch the write connection: they hand events to the writer and await a future, and a cancelled
request cancels only its future (a cancelled aiosqlite call would leave the transaction open).
"""

import asyncio
import contextlib
import errno
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec
import structlog

from auditor.answers import Learned
from auditor.events import AnyEvent, Purged, Recorded

from ..errors import JournalUnavailable, Overloaded, PointsmanError, StorageFull
from .codec import decode_event, decode_learned, encode_event, encode_learned
from .queries import QUERIES, migrate
from .tail import Tail

log = structlog.get_logger()
Connect = Callable[[], Awaitable[aiosqlite.Connection]]
GROUP = 256  # most writes in one commit
WAITING = 20_000  # most writes waiting; beyond it requests are refused
MEMORY_PRAGMAS = ("PRAGMA busy_timeout = 5000", "PRAGMA temp_store = MEMORY")


class _Write(msgspec.Struct):
    """One request's part of a group: events to append, or a derived or corrective statement."""

    future: asyncio.Future[int] | None
    events: tuple[AnyEvent, ...] = ()
    query: str = ""
    rows: Sequence[tuple[Any, ...]] = ()


def connect(path: Path) -> Connect:
    """A factory of connections to the database file."""

    async def open_connection() -> aiosqlite.Connection:
        connection = await aiosqlite.connect(path)
        for pragma in MEMORY_PRAGMAS:
            await connection.execute(pragma)
        return connection

    return open_connection


class SqliteJournal:
    """Owns one write connection and one read connection; `open` makes it, `close` ends it."""

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, last_seq: int) -> None:
        self.last_seq = last_seq
        self._writer, self._reader = writer, reader
        self._pending: deque[_Write] = deque()
        self._unwritten: dict[tuple[str, str], Learned] = {}  # records not committed yet, visible all the same
        self._wake = asyncio.Event()
        self._closing = False
        self._tail = Tail()
        self._task = asyncio.create_task(self._write_groups(), name="journal-writer")

    @classmethod
    async def open(cls, connection: Connect) -> Self:
        """Open, migrate and start the writer task."""
        writer = await connection()
        await writer.execute("PRAGMA journal_mode = WAL")
        await writer.execute("PRAGMA synchronous = FULL")
        await migrate(writer)
        reader = await connection()
        await reader.execute("PRAGMA query_only = ON")
        await reader.execute("PRAGMA wal_autocheckpoint = 0")
        [(last_seq,)] = await reader.execute_fetchall(QUERIES["last_seq"])
        return cls(writer, reader, last_seq)

    async def append(self, *events: AnyEvent) -> int:
        return await self._submit(_Write(asyncio.get_running_loop().create_future(), events))

    def record(self, tenant: str, learned: Sequence[Learned]) -> None:
        self._unwritten.update({(tenant, r.trace_id): r for r in learned})
        rows = [(tenant, r.trace_id, r.seq, encode_learned(r)) for r in learned]
        self._enqueue(_Write(None, query="record_learned", rows=rows))

    async def erase(self, tenant: str, seq: int) -> None:
        tombstone = encode_event(Purged(tenant=tenant, at=0.0))
        future = asyncio.get_running_loop().create_future()
        await self._submit(_Write(future, query="erase_payload", rows=[(tombstone, tenant, seq)]))

    async def _submit(self, write: _Write) -> int:
        if len(self._pending) >= WAITING:
            raise Overloaded
        if self._closing or self._task.done():
            raise JournalUnavailable("The journal is closed; the server is shutting down.")
        self._enqueue(write)
        assert write.future is not None
        return await write.future

    def _enqueue(self, write: _Write) -> None:
        self._pending.append(write)
        self._wake.set()

    async def _write_groups(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                group = [self._pending.popleft() for _ in range(min(GROUP, len(self._pending)))]
                await self._commit(group)
            if self._closing:
                return

    async def _commit(self, group: list[_Write]) -> None:
        seq, rows, recorded, firsts = self.last_seq, [], [], []
        for write in group:
            firsts.append(seq + 1)
            for event in write.events:
                seq += 1
                rows.append((seq, event.tenant, event.kind, event.ref, event.at, encode_event(event)))
                recorded.append(Recorded(seq, event))
        try:
            if rows:
                await self._writer.executemany(QUERIES["append_event"], rows)
            for write in group:
                if write.query:
                    await self._writer.executemany(QUERIES[write.query], write.rows)
            await self._writer.commit()
        except sqlite3.Error as error:
            await self._refuse(group, error)
            return
        self.last_seq = seq
        for write in group:
            if write.query == "record_learned":
                for tenant, trace_id, *_ in write.rows:
                    self._unwritten.pop((tenant, trace_id), None)
        for write, first in zip(group, firsts, strict=True):
            if write.future is not None and not write.future.done():
                write.future.set_result(first)
        if recorded:
            self._tail.extend(recorded)

    async def _refuse(self, group: list[_Write], error: sqlite3.Error) -> None:
        """Roll back and tell every request of the group; the next group starts clean."""
        log.error("journal_commit_failed", error=str(error), writes=len(group))
        with contextlib.suppress(sqlite3.Error):
            await self._writer.rollback()
        full = "full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
        refusal: type[PointsmanError] = StorageFull if full else JournalUnavailable
        for write in group:
            if write.future is not None and not write.future.done():
                write.future.set_exception(refusal())

    async def committed(self, after: int) -> Sequence[Recorded]:
        while not (at_hand := self._tail.after(after)):
            if at_hand is None or self.last_seq > after:
                return await self.read(after, 1000)
            await self._tail.wait()
        return at_hand

    async def read(self, after: int, limit: int) -> list[Recorded]:
        return await self._select("read_after", (after, limit))

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        return await self._select("read_memory", (after, limit))

    async def about(self, tenant: str, ref: str, kind: str) -> list[Recorded]:
        return await self._select("about", (tenant, ref, kind))

    async def checkpoints(self, tenant: str) -> list[Recorded]:
        return await self._select("checkpoints", (tenant,))

    async def _select(self, query: str, parameters: tuple[Any, ...]) -> list[Recorded]:
        rows = await self._reader.execute_fetchall(QUERIES[query], parameters)
        return [Recorded(seq, decode_event(payload)) for seq, payload in rows]

    async def learned(self, tenant: str, trace_id: str) -> Learned | None:
        if (unwritten := self._unwritten.get((tenant, trace_id))) is not None:
            return unwritten
        rows = list(await self._reader.execute_fetchall(QUERIES["learned"], (tenant, trace_id)))
        return decode_learned(rows[0][0]) if rows else None

    async def all_learned(self, until: int) -> list[tuple[str, Learned]]:
        rows = await self._reader.execute_fetchall(QUERIES["all_learned"], (until,))
        return [(tenant, decode_learned(record)) for tenant, record in rows]

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await self._task
        await self._writer.close()
        await self._reader.close()
