"""The journal on PostgreSQL: what `SqliteJournal` promises, for many replicas on one log.

One writer task commits in groups, as on SQLite. Events of other replicas are read when the database tells of them, or
a moment later where it cannot. An append is answered once its event is on the database's disk and this replica has read
the log up to it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from auditor.answers import Learned
from auditor.events import AnyEvent, Purged, Recorded
from auditor.receipts import REPEATABLE_S

from ...clock import Clock
from ...errors import InFlight, JournalDamaged, JournalUnavailable, LeaseLost, Overloaded, PointsmanError
from ...failpoints import failpoint
from ...ids import new_id
from ..codec import encode_event
from ..newer import JournalNewer
from ..port import Turn, acts_for_all, check_size
from ..rows import records_of, refuse_gap
from ..tail import Tail
from .database import Database, JournalShorter, Lost
from .groups import GROUP, Append, arrays, next_group
from .keeping import Keeping
from .lease import Lease
from .reads import Reads
from .records import MOST, Records
from .rows import record, recorded
from .shelf import Shelf
from .trouble import Trouble

WAITING, PAGE = 20_000, 2000  # most writes waiting; events read at once
POLL_S = 0.1  # after which the log is read though nobody told of news
UNSURE_S = 5.0  # how long a group whose answer was lost is asked for again
AGAIN_S = 0.05
CLOSING_S = 3.0  # how long whoever closes waits for what is not written yet
NOT_LEADING, THERE_ALREADY = -1, -2


class PostgresJournal(Reads):
    """`open` makes it, `close` ends it. Who holds the lease leads, once it says that it is ready to."""

    shared = True

    def __init__(self, database: Database, last_seq: int, lease: Lease, clock: Clock) -> None:
        self.last_seq, self.lease = last_seq, lease
        self.archived_seq = 0  # up to where events were moved out of the log
        super().__init__(database)
        self.shelf = Shelf(database, lease)
        self._clock, self._trouble = clock, Trouble(clock)
        self._current_at = clock.monotonic()  # when this replica last knew that it had read everything
        self._writer, self._name, self._number = database.connect(), new_id("wr"), 0
        self._pending: deque[Append] = deque()
        self._records = Records()  # visible before they are written
        self._damage: JournalDamaged | JournalNewer | None = None  # it cannot be read: this replica goes no further
        self._flushes: list[asyncio.Future[None]] = []
        self._wake, self._news = asyncio.Event(), asyncio.Event()
        self._heard = self._ready = 0  # where the log ends; the lease's term in which this replica may lead
        self._closing = self._given_up = False
        self._tail, self._keeping = Tail(), Keeping(database, clock)
        self._task = asyncio.create_task(self._write(), name="journal-writer")
        self._reading = asyncio.create_task(self._follow(), name="journal-reader")

    @classmethod
    async def open(cls, url: str, clock: Clock, holder: str = "") -> Self:
        """Connect, migrate, and go on as `over` says. Raises JournalUnavailable: the database cannot be used."""
        return await cls.over(await Database.open(url), clock, holder)

    @classmethod
    async def over(cls, database: Database, clock: Clock, holder: str = "") -> Self:
        """Start the writer and the reader; whoever wants to lead asks for the lease, too."""
        try:
            [[last_seq]], [[archived_seq]] = [await database.rows(name) for name in ("last_seq", "archived_seq")]
        except PointsmanError:
            await database.close()
            raise
        journal = cls(database, last_seq, Lease(database.connect(), holder or new_id("rp"), clock), clock)
        journal.archived_seq = archived_seq
        return journal

    @property
    def leads(self) -> bool:
        return self.lease.held and self.lease.term == self._ready

    @property
    def trouble(self) -> str | None:
        return self._trouble.code

    @property
    def lag_s(self) -> float:
        return self._clock.monotonic() - self._current_at

    def lead(self, term: int) -> None:
        """This replica folded everything that was there when it took the lease, and acts for all until it lapses."""
        self._ready = term
        self._wake.set()

    async def append(self, *events: AnyEvent) -> int:
        if self._damage is not None:
            raise self._damage.with_traceback(None)
        if len(self._pending) >= WAITING:
            raise Overloaded
        check_size(events)
        future: asyncio.Future[int] = self._promise()
        self._pending.append(Append(future, events, tuple(map(encode_event, events)), acts_for_all()))
        self._wake.set()
        return await future

    def record(self, tenant: str, learned: Sequence[Learned]) -> None:
        self._records.add(tenant, learned)
        if self._records_due:
            self._wake.set()

    @property
    def _records_due(self) -> bool:
        return len(self._records) >= ((1 if self._closing else GROUP) if self.leads else MOST)

    def forget_records(self, seq: int) -> None:
        """Records up to here are in the database."""
        if not self.leads:
            self._records.forget(seq)

    async def flush(self) -> None:
        if self._records or self._trouble.of_writing:
            self._flushes.append(self._promise())
            self._wake.set()
            await self._flushes[-1]

    async def erase(self, tenant: str, seq: int) -> None:
        tombstone = Purged(tenant=tenant, at=0.0)
        self._tail.replace(Recorded(seq, tombstone))
        await self._keeping.erase(tenant, seq, tombstone)

    def _promise(self) -> "asyncio.Future[Any]":
        if self._closing or self._task.done():
            raise JournalUnavailable("The journal is closed; the server is shutting down.")
        return asyncio.get_running_loop().create_future()

    async def _write(self) -> None:
        """The one writer; it ends when the journal closes and nobody waits any more."""
        while not self._closing or self._pending or self._flushes:
            await self._wake.wait()
            await asyncio.sleep(0)  # let every request that is ready join the group
            self._wake.clear()
            while self._pending:
                await self._commit(next_group(self._pending))
            if self._flushes or self._records_due:
                await self._write_records()

    async def _commit(self, group: list[Append]) -> None:
        self._number += 1
        asked_at = self._clock.monotonic()
        try:
            failpoint("shared.append")
            answers = await self._told((self._name, self._number, self.lease.token, REPEATABLE_S, *arrays(group)))
        except PointsmanError as error:
            self._refuse([append.future for append in group], error)
            return
        failpoint("shared.committed")
        self._trouble.written()
        await self._take(group, answers, asked_at)
        for append, first in zip(group, answers, strict=True):
            if append.future.done():
                continue
            if first > 0:
                append.future.set_result(first)
            else:
                append.future.set_exception(LeaseLost() if first == NOT_LEADING else InFlight())

    async def _told(self, statement: tuple[Any, ...]) -> list[int]:
        """What the database answers a group. Where the answer is lost it is asked again: it writes a group once."""
        until = self._clock.monotonic() + UNSURE_S
        while not self._given_up:
            try:
                await self._meet_again()
                answers: list[int] = await self._writer.value("append", *statement)
            except Lost:
                self._trouble.unsure()
                if self._clock.monotonic() > until:
                    break
                await asyncio.sleep(AGAIN_S)
            else:
                return answers
        raise JournalUnavailable("The database does not answer; try again.")

    async def _meet_again(self) -> None:
        """Before the writer is connected anew: raises Lost where nobody answers, and else where it is not the same."""
        try:
            if not self._writer.made:
                await self._keeping.look(self.last_seq, self._tail.newest, now=True)
        except (JournalDamaged, JournalNewer) as error:
            self._stop(error)
            raise JournalUnavailable(str(error)) from error
        except JournalUnavailable as error:
            raise Lost from error

    async def _take(self, group: list[Append], answers: list[int], asked_at: float) -> None:
        """Put what was written at the end of what was read; what others wrote in between is read first."""
        new = [
            Recorded(first + nth, event)
            for append, first in zip(group, answers, strict=True)
            if first > 0
            for nth, event in enumerate(append.events)
        ]
        if new and new[0].seq > self.last_seq + 1:
            with contextlib.suppress(PointsmanError):  # it is committed; the reader reads it, or says why not
                await self.catch_up(new[-1].seq)
        self._extend(new)
        if new and self.last_seq >= new[-1].seq:
            self._current_at = max(self._current_at, asked_at)

    def _extend(self, recorded: Sequence[Recorded]) -> None:
        """Take what follows on what was read; the rest is there already, or its turn has not come."""
        new = [r for r in recorded if r.seq > self.last_seq]
        if new and new[0].seq == self.last_seq + 1:
            self.last_seq = new[-1].seq
            self._tail.extend(new)

    async def _follow(self) -> None:
        """Read what other replicas wrote, as soon as it is told or a moment later; wait for a database that is away."""
        while not self._closing and self._damage is None:
            try:
                await self.database.listen(self._hear)
                await self._keeping.look(self.last_seq, self._tail.newest)
                await self.catch_up()
                await self._keeping.due(leads=self.leads)
                self._trouble.read()
            except (JournalDamaged, JournalNewer) as error:
                self._stop(error)
            except PointsmanError as error:
                self._trouble.not_read(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):  # `wait_for` may swallow the cancellation that ends this
                    await self._news_came()

    def _stop(self, damage: JournalDamaged | JournalNewer) -> None:
        """Go no further; whoever folds hears of it."""
        if isinstance(damage, JournalShorter):
            self._records = Records()  # of events that are gone
        self._damage = damage
        self._trouble.not_read(damage)
        self._tail.extend([])

    def _hear(self, seq: int) -> None:
        self._heard = seq
        self._news.set()

    async def _news_came(self) -> None:
        """Of what this replica wrote, which it has read, it is told as everybody is."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._heard > self.last_seq:
                return

    async def catch_up(self, until: int = 0) -> None:
        """Read everything that is committed by now, and up to `until`."""
        while True:
            asked_at = self._clock.monotonic()
            page = await self.read(self.last_seq, PAGE)
            if self.database.anew:
                await self._keeping.look(self.last_seq, self._tail.newest)
            if self.last_seq < self.archived_seq:
                raise JournalDamaged("events that this replica had not read were archived", "start it again")
            self._trouble.heard()
            self._extend(page)
            if len(page) < PAGE and self.last_seq >= until:
                self._current_at = max(self._current_at, asked_at)
                return

    async def _write_records(self) -> None:
        """Write some records, or all where somebody waits for it; what cannot be is tried again with the next group."""
        flushes, self._flushes = self._flushes, []
        try:
            failpoint("shared.records")
            await self._meet_again()
            await self._records.write(self._writer, None if flushes or self._closing else GROUP)
        except (Lost, PointsmanError) as error:
            self._refuse(flushes, JournalUnavailable() if isinstance(error, Lost) else error)
            return
        self._trouble.written()
        for flush in flushes:
            if not flush.done():
                flush.set_result(None)

    def _refuse(self, futures: "Sequence[asyncio.Future[Any]]", error: PointsmanError) -> None:
        self._trouble.not_written(error)
        for future in futures:
            if not future.done():
                future.set_exception(type(error)(str(error)))

    async def committed(self, after: int) -> Sequence[Recorded]:
        while not (at_hand := self._tail.after(after)):
            if self._damage is not None:
                raise self._damage.with_traceback(None)
            if at_hand is not None and self.last_seq <= after:
                await self._tail.wait()
                continue
            try:
                return await self.read(after, PAGE)
            except JournalUnavailable:  # whoever folds waits for a database that is away
                await asyncio.sleep(POLL_S)
        return at_hand

    async def read(self, after: int, limit: int) -> list[Recorded]:
        last = self.last_seq
        found = [recorded(row) for row in await self.database.rows("read_after", after, limit)]
        if found and found[0].seq > after + 1:  # it may have been archived since
            [[self.archived_seq]] = await self.database.rows("archived_seq")
        refuse_gap(found, max(after, self.archived_seq), last if len(found) < limit else 0)
        return found

    async def learned(self, tenant: str, trace_id: str) -> Learned | None:
        if (unwritten := self._records.find(tenant, trace_id)) is not None:
            return unwritten
        rows = await self.database.rows("learned", tenant, trace_id.encode(), tenant=tenant)
        found = records_of(map(record, rows))
        return found[0][1] if found else None

    async def all_learned(self, until: int) -> AsyncIterator[tuple[str, Learned]]:
        await self.flush()
        async for row in self.database.stream("all_learned", until):
            [found] = records_of([record(row)])
            yield found

    @contextlib.asynccontextmanager
    async def in_turn(self, what: Turn) -> AsyncIterator[None]:
        """Replicas go through here one after another, each after what the one before wrote."""
        async with self.database.alone(what):
            await self.shelf.refuse_half()
            await self.catch_up()
            yield

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=CLOSING_S)
        self._given_up = True  # whoever waits for a database that is away is refused
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._writer.close()
        await self.database.close()
        await self._task
        await self.lease.release()
        await self._writer.close()
