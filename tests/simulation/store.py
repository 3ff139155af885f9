"""A journal that dies with its process, over a disk that does not.

It works as the one on SQLite does: one writer commits in groups, an event is on the disk some time before anybody hears
of it, records of learnt decisions are written later, an erasure that failed is owed. `Faults` says when a write fails.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from auditor import Learned
from auditor.events import AnyEvent, Purged, Recorded
from controlplane.errors import JournalUnavailable, PointsmanError, StorageFull
from controlplane.journal.codec import decode_event, encode_event
from controlplane.journal.port import (
    ACCESS_KINDS,
    ACT_KINDS,
    ALL,
    CHECKPOINT_KINDS,
    JOB_KINDS,
    MEMORY_KINDS,
    Turn,
    check_size,
)
from controlplane.journal.tail import Tail

GROUP = 64  # fewer than the shipped journal, so that a run sees groups that are full
WRITE_S = (0.0, 0.0, 0.0003, 0.001, 0.004, 0.05)
READ_S = (0.0, 0.0, 0.0, 0.0005, 0.004)
Place = tuple[str, str, str]  # tenant, reference, kind
Row = tuple[AnyEvent, bytes]  # an event, and as it is written


class Faults:
    """When a write fails and how long things take, drawn from the seed; no write fails once they are over."""

    def __init__(self, rng: random.Random, share: float = 0.02, slowest_s: float = 1.0) -> None:
        self.rng, self.share, self.slowest_s = rng, share, slowest_s
        self.standing: type[PointsmanError] | None = None  # trouble that lasts

    def over(self) -> None:
        self.share, self.standing = 0.0, None

    def refusal(self) -> type[PointsmanError] | None:
        """How the next write fails, if it does."""
        if self.standing is not None:
            return self.standing
        return self.rng.choice((StorageFull, JournalUnavailable)) if self.rng.random() < self.share else None


class Disk:
    """What outlives a crash: events as bytes, where they are found, and records."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.learned: dict[tuple[str, str], Learned] = {}
        self._places: defaultdict[Place, list[int]] = defaultdict(list)
        self._kinds: defaultdict[str, list[int]] = defaultdict(list)

    def extend(self, rows: Iterable[Row]) -> None:
        for event, payload in rows:
            self.rows.append(payload)
            self._places[_place(event)].append(len(self.rows))
            self._kinds[event.kind].append(len(self.rows))

    def at(self, seq: int) -> Recorded:
        return Recorded(seq, decode_event(self.rows[seq - 1]))

    def about(self, place: Place) -> list[Recorded]:
        return [self.at(seq) for seq in self._places.get(place, ())]

    def of(self, kinds: Sequence[str], after: int) -> list[Recorded]:
        return [self.at(seq) for seq in sorted(seq for kind in kinds for seq in self._kinds[kind] if seq > after)]

    def erase(self, tenant: str, seq: int) -> bool:
        event, tombstone = self.at(seq).event, Purged(tenant=tenant, at=0.0)
        if event.tenant != tenant:
            return False
        self._places[_place(event)].remove(seq)
        self._kinds[event.kind].remove(seq)
        self.rows[seq - 1] = encode_event(tombstone)
        self._places[_place(tombstone)].append(seq)
        self._kinds[tombstone.kind].append(seq)
        return True


class CrashingJournal:
    """One process's journal. What it has not put on the disk is gone with it."""

    shared, leads, lag_s = False, True, 0.0

    def __init__(self, disk: Disk, faults: Faults) -> None:
        self.last_seq = len(disk.rows)
        self.trouble: str | None = None
        self._disk, self._faults = disk, faults
        self._pending: list[tuple[asyncio.Future[int], list[Row]]] = []
        self._erasures: list[tuple[asyncio.Future[None], str, int]] = []
        self._owed: list[tuple[asyncio.Future[None], str, int]] = []
        self._flushes: list[asyncio.Future[None]] = []
        self._unwritten: dict[tuple[str, str], Learned] = {}
        self._tail, self._wake = Tail(), asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._write(), name="journal-writer")

    def in_turn(self, what: Turn) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def append(self, *events: AnyEvent) -> int:
        check_size(events)
        rows = [(event, encode_event(event)) for event in events]
        future: asyncio.Future[int] = self._promise()
        self._pending.append((future, rows))
        return await future

    def record(self, tenant: str, learned: Sequence[Learned]) -> None:
        self._unwritten.update({(tenant, record.trace_id): record for record in learned})

    async def erase(self, tenant: str, seq: int) -> None:
        future: asyncio.Future[None] = self._promise()
        self._erasures.append((future, tenant, seq))
        await future

    async def flush(self) -> None:
        if self._unwritten or self.trouble:
            self._flushes.append(self._promise())
            await self._flushes[-1]

    def _promise(self) -> "asyncio.Future[Any]":
        if self._closing:
            raise JournalUnavailable("The journal is closed; the server is shutting down.")
        self._wake.set()
        return asyncio.get_running_loop().create_future()

    async def _write(self) -> None:
        while not self._closing or self._pending or self._erasures or self._flushes:
            await self._wake.wait()
            await self._pass(WRITE_S)
            self._wake.clear()
            while self._pending:
                await self._commit(self._next_group())
            if self._erasures or self._owed:
                await self._erase()
            if self._flushes or self._closing:
                await self._write_records()

    def _next_group(self) -> list[tuple[asyncio.Future[int], list[Row]]]:
        size = self._faults.rng.randint(1, GROUP)
        group, self._pending = self._pending[:size], self._pending[size:]
        return group

    async def _commit(self, group: list[tuple[asyncio.Future[int], list[Row]]]) -> None:
        await self._pass(WRITE_S)
        futures = [future for future, _ in group]
        if self._refused(futures):
            return
        rows = [row for _, appended in group for row in appended]
        self._disk.extend(rows)
        await self._pass(WRITE_S)  # on the disk, and nobody has heard of it
        first, self.trouble = self.last_seq + 1, None
        self._tail.extend([Recorded(first + i, event) for i, (event, _) in enumerate(rows)])
        self.last_seq += len(rows)
        for future, appended in group:
            _tell(future, first)
            first += len(appended)

    async def _erase(self) -> None:
        batch, self._owed, self._erasures = self._owed + self._erasures, [], []
        await self._pass(WRITE_S)
        if self._refused([future for future, *_ in batch]):
            self._owed = batch
            return
        for future, tenant, seq in batch:
            if self._disk.erase(tenant, seq):
                self._tail.replace(self._disk.at(seq))
            _tell(future, None)

    async def _write_records(self) -> None:
        flushes, self._flushes = self._flushes, []
        batch = dict(self._unwritten)
        await self._pass(WRITE_S)
        if self._refused(flushes):
            return
        self._disk.learned.update(batch)
        self.trouble = None
        for key, record in batch.items():
            if self._unwritten.get(key) is record:
                del self._unwritten[key]
        for flush in flushes:
            _tell(flush, None)

    def _refused(self, futures: "Sequence[asyncio.Future[Any]]") -> bool:
        refusal = self._faults.refusal()
        if refusal is None:
            return False
        self.trouble = refusal.code
        for future in futures:
            if not future.done():
                future.set_exception(refusal())
        return True

    async def _pass(self, draws: Sequence[float]) -> None:
        """Some time passes, and others go on meanwhile."""
        await asyncio.sleep(min(self._faults.rng.choice(draws), self._faults.slowest_s))

    async def committed(self, after: int) -> Sequence[Recorded]:
        while not (at_hand := self._tail.after(after)):
            if at_hand is None or self.last_seq > after:
                return await self.read(after, 1000)
            await self._tail.wait()
        return at_hand

    async def read(self, after: int, limit: int) -> list[Recorded]:
        await self._pass(READ_S)
        until = min(len(self._disk.rows), after + limit)
        return [self._disk.at(seq) for seq in range(after + 1, until + 1)]

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        await self._pass(READ_S)
        return self._disk.of(MEMORY_KINDS, after)[:limit]

    async def read_access(self, after: int, limit: int) -> list[Recorded]:
        await self._pass(READ_S)
        return self._disk.of(ACCESS_KINDS, after)[:limit]

    async def read_jobs(self, after: int, limit: int) -> list[Recorded]:
        await self._pass(READ_S)
        return self._disk.of(JOB_KINDS, after)[:limit]

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        await self._pass(READ_S)
        every = self._disk.of(ACT_KINDS, 0)
        return [r for r in every if r.seq < before and tenant in (r.event.tenant, ALL)][-limit:]

    async def about(self, tenant: str, ref: str, kind: str) -> list[Recorded]:
        await self._pass(READ_S)
        return self._disk.about((tenant, ref, kind))

    async def checkpoints(self, tenant: str) -> list[Recorded]:
        await self._pass(READ_S)
        return [found for found in self._disk.of(CHECKPOINT_KINDS, 0) if found.event.tenant == tenant]

    async def learned(self, tenant: str, trace_id: str) -> Learned | None:
        if (unwritten := self._unwritten.get((tenant, trace_id))) is not None:
            return unwritten
        await self._pass(READ_S)
        return self._disk.learned.get((tenant, trace_id))

    async def all_learned(self, until: int) -> AsyncIterator[tuple[str, Learned]]:
        await self.flush()
        for (tenant, _), learned in sorted(self._disk.learned.items()):
            if learned.seq <= until:
                yield tenant, learned

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await self._task


def _place(event: AnyEvent) -> Place:
    return event.tenant, event.ref, event.kind


def _tell(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)
