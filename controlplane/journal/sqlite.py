"""The journal on SQLite: WAL, synchronous=FULL, one writer task that commits in groups.

An append is acknowledged after the commit that holds it, so what was acknowledged is on disk. Requests
never touch the write connection: they hand events to the writer and await a future, and a cancelled
request cancels only its future (a cancelled aiosqlite call would leave the transaction open).
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

import aiosqlite
import msgspec
import structlog

from auditor.answers import Learned
from auditor.events import AnyEvent, Purged, Recorded

from ..errors import JournalDamaged, JournalUnavailable, Overloaded, PointsmanError, StorageFull
from ..failpoints import failpoint
from .codec import encode_event
from .connection import Connect, open_pair
from .port import ACCESS_KINDS, ACT_KINDS, ALL, CHECKPOINT_KINDS, JOB_KINDS, MEMORY_KINDS, Turn, check_size
from .queries import QUERIES, REWRITE, many_rows
from .rows import (
    Archived,
    Row,
    archived_of,
    event_row,
    in_order,
    record_row,
    recorded_of,
    records_of,
    refuse_gap,
)
from .soundness import unsound
from .tail import Tail

log = structlog.get_logger()
GROUP = 256  # events after which a commit takes no more appends
WAITING = 20_000  # most writes waiting; beyond it requests are refused


class _Append(msgspec.Struct):
    """One request's events and the future it waits on."""

    future: asyncio.Future[int]
    events: tuple[AnyEvent, ...]
    payloads: tuple[bytes, ...]


class SqliteJournal:
    """Owns one write connection and one read connection; `open` makes it, `close` ends it.

    A group of appends is one INSERT of many rows in autocommit mode: one visit to SQLite's thread, one
    transaction, one fsync. Records of learnt decisions are derived, so they follow in larger groups. One process at a
    time holds the data folder, so it leads.
    """

    shared, leads, lag_s = False, True, 0.0

    def __init__(
        self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, last_seq: int, archives: list[Archived]
    ) -> None:
        self.last_seq, self.archives = last_seq, archives
        self.trouble: str | None = None
        self._writer, self._reader = writer, reader
        self._pending: deque[_Append] = deque()
        self._erasures: deque[tuple[asyncio.Future[None], str, int]] = deque()
        self._unerased: list[tuple[asyncio.Future[None], str, int]] = []  # failed, and owed: tried with the next write
        self._unwritten: dict[tuple[str, str], Learned] = {}  # visible before they are written
        self._flushes: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._tail = Tail()
        self._task = asyncio.create_task(self._write(), name="journal-writer")

    @classmethod
    async def open(cls, connection: Connect) -> Self:
        """Open, look through, migrate and start the writer task; a failure leaves no connection (and no thread) behind.

        Raises:
          JournalDamaged: the file is no database, or not a sound one.
          JournalUnavailable: it cannot be opened or migrated.
        """
        try:
            return await cls._opened(connection)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if unsound(error):
                raise JournalDamaged(str(error)) from error
            raise JournalUnavailable(
                f"the journal cannot be opened ({error}); see to the disk and the permissions of the data folder"
            ) from error

    @classmethod
    async def _opened(cls, connection: Connect) -> Self:
        async with contextlib.AsyncExitStack() as failing:
            writer, reader = await open_pair(connection)
            failing.push_async_callback(writer.close)
            failing.push_async_callback(reader.close)
            [(last_seq,)] = await reader.execute_fetchall(QUERIES["last_seq"])
            archives = archived_of(await reader.execute_fetchall(QUERIES["archives"]))
            failing.pop_all()
        return cls(writer, reader, last_seq, archives)

    def in_turn(self, what: Turn) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def append(self, *events: AnyEvent) -> int:
        if len(self._pending) >= WAITING:
            raise Overloaded
        check_size(events)
        future: asyncio.Future[int] = self._promise()
        self._pending.append(_Append(future, events, tuple(map(encode_event, events))))
        self._wake.set()
        return await future

    def record(self, tenant: str, learned: Sequence[Learned]) -> None:
        self._unwritten.update({(tenant, r.trace_id): r for r in learned})
        if len(self._unwritten) >= GROUP:
            self._wake.set()

    async def erase(self, tenant: str, seq: int) -> None:
        future: asyncio.Future[None] = self._promise()
        self._erasures.append((future, tenant, seq))
        self._wake.set()
        await future

    async def flush(self) -> None:
        if self._unwritten or self.trouble:
            self._flushes.append(self._promise())
            self._wake.set()
            await self._flushes[-1]

    def _promise(self) -> "asyncio.Future[Any]":
        if self._closing or self._task.done():
            raise JournalUnavailable("The journal is closed; the server is shutting down.")
        return asyncio.get_running_loop().create_future()

    async def _write(self) -> None:
        """The one writer; it ends when the journal closes and nobody waits any more."""
        while not self._closing or self._pending or self._erasures or self._flushes:
            await self._wake.wait()
            await asyncio.sleep(0)  # let every request that is ready join the group: one hop and one fsync for all
            self._wake.clear()
            while self._pending:
                await self._commit(self._next_group())
            if self._erasures or self._unerased:
                await self._erase_waiting()
            if self._flushes or (self._unwritten and (len(self._unwritten) >= GROUP or self._closing)):
                await self._write_records()

    def _next_group(self) -> list[_Append]:
        group, events = [], 0
        while self._pending and events < GROUP:
            group.append(self._pending.popleft())
            events += len(group[-1].events)
        return group

    async def _commit(self, group: list[_Append]) -> None:
        values: list[Any] = []
        recorded: list[Recorded] = []
        for append in group:
            for event, payload in zip(append.events, append.payloads, strict=True):
                seq = self.last_seq + len(recorded) + 1
                values += event_row(seq, event, payload)
                recorded.append(Recorded(seq, event))
        try:
            failpoint("journal.insert")
            await self._writer.execute(many_rows("append_events", len(recorded)), values)
        except sqlite3.Error as error:
            self._refuse([append.future for append in group], error)
            return
        failpoint("journal.committed")
        self.trouble = None
        first = self.last_seq + 1
        self.last_seq = recorded[-1].seq
        for append in group:
            if not append.future.done():
                append.future.set_result(first)
            first += len(append.events)
        self._tail.extend(recorded)

    async def _erase_waiting(self) -> None:
        """Overwrite the payloads, then empty the log that still holds them, and only then say so.

        SQLite leaves it to the next commit to sync that the log was emptied, and until then a power cut could
        bring the content back: so one commit more, which writes the schema's number again.
        """
        batch = self._unerased + [self._erasures.popleft() for _ in range(len(self._erasures))]
        self._unerased = []
        try:
            for _, tenant, seq in batch:
                failpoint("journal.erase")
                tombstone = Purged(tenant=tenant, at=0.0)
                _, _, kind, ref, at, *content = event_row(seq, tombstone, encode_event(tombstone))
                done = await self._writer.execute(QUERIES["erase"], (kind, ref, at, *content, tenant, seq))
                if done.rowcount:
                    self._tail.replace(Recorded(seq, tombstone))
            failpoint("journal.erased")
            [(busy, *_)] = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            await self._writer.execute(REWRITE)
        except sqlite3.Error as error:
            self._refuse([future for future, *_ in batch], error)
            self._unerased = batch
            return
        if busy:
            log.warning("erased_content_still_in_log", until="whoever else reads the database is done")
        for future, *_ in batch:
            if not future.done():
                future.set_result(None)

    async def _write_records(self) -> None:
        """Write the records that wait; what cannot be written now is tried again with the next group."""
        flushes, self._flushes = self._flushes, []
        batch = list(self._unwritten.items())
        rows = [record_row(tenant, record) for (tenant, _), record in batch]
        try:
            failpoint("journal.records")
            for start in range(0, len(rows), GROUP):
                part = rows[start : start + GROUP]
                await self._writer.execute(many_rows("record_learned", len(part)), [v for row in part for v in row])
            if not rows:  # nothing waits; whether a write goes through is found out by one that changes nothing
                await self._writer.execute(REWRITE)
        except sqlite3.Error as error:
            log.error("records_not_written", error=str(error), records=len(rows))
            self._refuse(flushes, error)
            return
        failpoint("journal.recorded")
        self.trouble = None
        for key, record in batch:
            if self._unwritten.get(key) is record:
                del self._unwritten[key]
        for flush in flushes:
            if not flush.done():
                flush.set_result(None)

    def _refuse(self, futures: "Sequence[asyncio.Future[Any]]", error: sqlite3.Error) -> None:
        """Tell every request of the group; the statement took nothing, so the next group starts clean."""
        log.error("journal_write_failed", error=str(error), writes=len(futures))
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        refusal: type[PointsmanError] = StorageFull if full else JournalUnavailable
        self.trouble = refusal.code
        for future in futures:
            if not future.done():
                future.set_exception(refusal())

    async def committed(self, after: int) -> Sequence[Recorded]:
        while not (at_hand := self._tail.after(after)):
            if at_hand is None or self.last_seq > after:
                return await self.read(after, 1000)
            await self._tail.wait()
        return at_hand

    async def read(self, after: int, limit: int) -> list[Recorded]:
        last, begun = self.last_seq, self.archives[-1].seq if self.archives else 0
        found = [recorded_of(row) for row in await self._rows("read_after", (after, limit))]
        refuse_gap(found, max(after, begun), last if len(found) < limit else 0)  # more may be committed meanwhile
        return found

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        return await self._select("read_memory", (after, limit), lambda event: event.kind in MEMORY_KINDS)

    async def read_access(self, after: int, limit: int) -> list[Recorded]:
        return await self._select("read_access", (after, limit), lambda event: event.kind in ACCESS_KINDS)

    async def read_jobs(self, after: int, limit: int) -> list[Recorded]:
        return await self._select("read_jobs", (after, limit), lambda event: event.kind in JOB_KINDS)

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        asked = (before, tenant, limit)
        return await self._select("acts", asked, lambda e: e.kind in ACT_KINDS and tenant in (e.tenant, ALL))

    async def about(self, tenant: str, ref: str, kind: str) -> list[Recorded]:
        asked = (tenant, ref, kind)
        return await self._select("about", asked, lambda event: (event.tenant, event.ref, event.kind) == asked)

    async def checkpoints(self, tenant: str) -> list[Recorded]:
        asked = [(tenant, kind) for kind in CHECKPOINT_KINDS]
        return await self._select("checkpoints", (tenant,), lambda event: (event.tenant, event.kind) in asked)

    async def _select(
        self, query: str, parameters: tuple[Any, ...], fits: Callable[[AnyEvent], bool]
    ) -> list[Recorded]:
        """Events, each compared with its checksum and with what was asked for: a damaged index leads to other rows."""
        return in_order([recorded_of(row) for row in await self._rows(query, parameters)], fits)

    async def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[Row]:
        try:
            rows: list[Any] = list(await self._reader.execute_fetchall(QUERIES[query], parameters))
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if unsound(error):
                raise JournalDamaged(str(error)) from error
            raise JournalUnavailable(f"The journal cannot be read ({error}).") from error
        return rows

    async def learned(self, tenant: str, trace_id: str) -> Learned | None:
        if (unwritten := self._unwritten.get((tenant, trace_id))) is not None:
            return unwritten
        found = records_of(await self._rows("learned", (tenant, trace_id)))
        return found[0][1] if found else None

    async def all_learned(self, until: int) -> AsyncIterator[tuple[str, Learned]]:
        await self.flush()
        for found in records_of(await self._rows("all_learned", (until,))):
            yield found

    async def drop_damaged_records(self) -> None:
        """Make room for the records of a rebuild; for who holds the data folder and writes nothing meanwhile."""
        await self._writer.execute(QUERIES["drop_damaged_records"])

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await self._task
        await self._writer.close()
        await self._reader.close()
