"""A database that several replicas share, as the journal on PostgreSQL asks it: what its SQL does, in memory.

Statements take their time, and connections are lost before or after they had their effect. It passes the journal's
contract suite as PostgreSQL does, so what a simulation shows of it is worth something.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from controlplane.errors import JournalUnavailable
from controlplane.journal.port import ALL, Turn
from controlplane.journal.postgres.database import NEWEST, Lost

from .store import READ_S, WRITE_S, Faults

NOT_LEADING, THERE_ALREADY = -1, -2
AWAY_S = (0.0, 0.001, 0.05)  # how long it takes until a lost connection is known to be
Row = tuple[int, str, str, bytes, float, bytes, int]  # seq, tenant, kind, ref, at, payload, checksum


class Tables:
    """What outlives every replica."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.events: list[Row] = []
        self.learned: dict[tuple[str, bytes], tuple[int, bytes, int]] = {}
        self.receipts: dict[tuple[str, bytes], float] = {}
        self.writers: dict[str, tuple[int, list[int]]] = {}
        self.snapshots: dict[int, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.token, self.holder, self.ends_at = 0, "", float("-inf")
        self.head = asyncio.Lock()
        self.turns: dict[Turn, asyncio.Lock] = {"start": asyncio.Lock(), "act": asyncio.Lock()}
        self.heard: list[Callable[[int], None]] = []
        self.now = now

    def append(
        self,
        writer: str,
        number: int,
        holding: int | None,
        repeatable: float,
        sizes: list[int],
        leading: list[bool],
        *columns: list[Any],
    ) -> list[int]:
        """As `append_events`: a group is written once, and of each append it is said where it is, or why not."""
        known = self.writers.get(writer)
        if known is not None and known[0] == number:
            return known[1]
        rows = list(zip(*columns, strict=True))
        answers = [0] * len(sizes)
        for owner, tenant, kind, ref, at, *_ in rows:
            if kind == "receipt" and at - self.receipts.get((tenant, ref), float("-inf")) < repeatable:
                answers[owner - 1] = THERE_ALREADY
        added = len(self.events)
        for n, size in enumerate(sizes):
            if leading[n] and self.token != holding:
                answers[n] = NOT_LEADING
            elif answers[n] == 0:
                answers[n], added = added + 1, added + size
        for owner, tenant, kind, ref, at, payload, kept in rows:
            if answers[owner - 1] > 0:
                self.events.append((len(self.events) + 1, tenant, kind, ref, at, payload, kept))
                if kind == "receipt":
                    self.receipts[tenant, ref] = at
        self.writers[writer] = number, answers
        for tell in self.heard:
            tell(len(self.events))
        return answers

    def record_learned(self, *columns: list[Any]) -> None:
        for tenant, trace_id, seq, record, kept in zip(*columns, strict=True):
            if self.learned.get((tenant, trace_id), (0,))[0] <= seq:
                self.learned[tenant, trace_id] = seq, record, kept

    def touch(self) -> None:
        """A write that changes nothing."""

    def erase(self, kind: str, ref: bytes, at: float, payload: bytes, kept: int, tenant: str, seq: int) -> list[Any]:
        if self.events[seq - 1][1] == tenant:
            self.events[seq - 1] = (seq, tenant, kind, ref, at, payload, kept)
        return []

    def last_seq(self) -> list[list[int]]:
        return [[len(self.events)]]

    def standing(self, seq: int) -> list[list[Any]]:
        row = self.events[seq - 1] if seq else None
        told = [None] * 3 if row is None or row[2] == "purged" else [row[1], row[3], row[4]]
        return [[NEWEST, len(self.events), *told]]

    def archived_seq(self) -> list[list[int]]:
        return [[0]]

    def read_after(self, after: int, limit: int) -> list[Row]:
        return self.events[after : after + limit]

    def read_kinds(self, after: int, limit: int, kinds: list[str]) -> list[Row]:
        return [row for row in self.events[after:] if row[2] in kinds][:limit]

    def acts(self, before: int, tenant: str, limit: int, kinds: list[str]) -> list[Row]:
        return [row for row in self.events[: before - 1] if row[2] in kinds and tenant in (row[1], ALL)][-limit:]

    def about(self, tenant: str, ref: bytes, kind: str) -> list[Row]:
        return [row for row in self.events if (row[1], row[3], row[2]) == (tenant, ref, kind) and ref]

    def of_tenant(self, tenant: str, kinds: list[str]) -> list[Row]:
        return [row for row in self.events if row[1] == tenant and row[2] in kinds]

    def learned_of(self, tenant: str, trace_id: bytes) -> list[Any]:
        found = self.learned.get((tenant, trace_id))
        return [] if found is None else [(tenant, trace_id, *found)]

    def all_learned(self, until: int) -> list[Any]:
        return [(*place, *row) for place, row in sorted(self.learned.items()) if row[0] <= until]

    def unbound(self) -> list[list[bool]]:
        return [[False]]

    def begin_month(self) -> list[Any]:
        return []

    def forget_writers(self, before: float) -> list[Any]:
        self.receipts = {place: at for place, at in self.receipts.items() if at >= before}
        return []

    def acquire(self, holder: str, lease_s: float) -> int | None:
        if self.ends_at >= self.now():
            return None
        self.token, self.holder, self.ends_at = self.token + 1, holder, self.now() + lease_s
        return self.token

    def renew(self, token: int, lease_s: float) -> int | None:
        if self.token != token or self.ends_at < self.now():
            return None
        self.ends_at = self.now() + lease_s
        return token

    def release(self, token: int) -> None:
        if self.token == token:
            self.ends_at = float("-inf")

    def publish(self, seq: int, token: int | None, sealed: bytes) -> list[Any]:
        if self.token != token:
            return []
        self.snapshots[seq] = sealed
        return [[seq]]

    def published_seq(self) -> list[list[int | None]]:
        return [[max(self.snapshots, default=None)]]

    def newest_snapshot(self, after: int) -> list[Any]:
        newest = max(self.snapshots, default=0)
        return [(newest, self.snapshots[newest])] if newest > after else []

    def agree(self, name: str, given: bytes) -> list[Any]:
        self.files.setdefault(name, given)
        return []

    def put_file(self, name: str, sealed: bytes) -> list[Any]:
        self.files[name] = sealed
        return []

    def get_file(self, name: str) -> list[Any]:
        return [[self.files[name]]] if name in self.files else []

    def drop_file(self, name: str) -> list[Any]:
        self.files.pop(name, None)
        return []


class SimulatedConnection:
    """One task's connection; `append` goes on behind its back when it is lost, as on a real server."""

    def __init__(self, tables: Tables, faults: Faults) -> None:
        self._tables, self._faults, self.made = tables, faults, False

    async def value(self, query: str, *parameters: Any) -> Any:
        rng, self.made = self._faults.rng, False
        await asyncio.sleep(rng.choice(WRITE_S))
        if rng.random() < self._faults.share:
            raise Lost("before it was asked")
        async with self._tables.head:
            answer = getattr(self._tables, query)(*parameters)
        await asyncio.sleep(rng.choice(WRITE_S))
        if rng.random() < self._faults.share:
            await asyncio.sleep(rng.choice(AWAY_S))
            raise Lost("after it was done")
        self.made = True
        return answer

    async def close(self) -> None:
        """Nothing to let go of."""


class SimulatedDatabase:
    """What one replica has of the tables. It takes the place of `Database`."""

    def __init__(self, tables: Tables, faults: Faults) -> None:
        self._tables, self._faults, self.anew = tables, faults, False
        self._heard: Callable[[int], None] | None = None

    def connect(self) -> SimulatedConnection:
        return SimulatedConnection(self._tables, self._faults)

    async def rows(self, query: str, *parameters: Any, tenant: str = ALL) -> Sequence[Any]:
        rng = self._faults.rng
        await asyncio.sleep(rng.choice(READ_S))
        if rng.random() < self._faults.share:
            raise JournalUnavailable("the database does not answer")
        found: list[Any] = getattr(self._tables, "learned_of" if query == "learned" else query)(*parameters)
        return [row for row in found if tenant == ALL or not isinstance(row, tuple) or row[_OWNER[len(row)]] == tenant]

    async def listen(self, heard: Callable[[int], None]) -> None:
        if self._heard is None:
            self._heard = heard
            self._tables.heard.append(heard)

    async def stream(self, query: str, *parameters: Any) -> AsyncIterator[Any]:
        for row in await self.rows(query, *parameters):
            yield row

    @contextlib.asynccontextmanager
    async def alone(self, what: Turn) -> AsyncIterator[None]:
        async with self._tables.turns[what]:
            yield

    async def close(self) -> None:
        if self._heard is not None:
            self._tables.heard.remove(self._heard)


_OWNER = {7: 1, 5: 0, 2: 0}  # where a row of so many columns has its tenant
