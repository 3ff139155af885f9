"""The journal's in-memory twin: same promises but durability; for tests and simulations."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from auditor.answers import Learned
from auditor.events import AnyEvent, Purged, Recorded

from .codec import decode_event, encode_event
from .port import ACCESS_KINDS, ACT_KINDS, ALL, CHECKPOINT_KINDS, JOB_KINDS, MEMORY_KINDS, Turn, check_size
from .tail import Tail


class MemoryJournal:
    """Keeps the encoded events in a list, so that what is read is what a disk would give back."""

    shared, leads, lag_s = False, True, 0.0

    def __init__(self) -> None:
        self.last_seq = 0
        self.trouble: str | None = None
        self._rows: list[bytes] = []
        self._about: dict[tuple[str, str, str], list[int]] = {}  # sequence numbers by tenant, ref and kind
        self._learned: dict[tuple[str, str], Learned] = {}
        self._tail = Tail()

    def in_turn(self, what: Turn) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def append(self, *events: AnyEvent) -> int:
        check_size(events)
        first = self.last_seq + 1
        self._rows.extend(encode_event(event) for event in events)
        self.last_seq += len(events)
        for seq, event in enumerate(events, first):
            self._about.setdefault((event.tenant, event.ref, event.kind), []).append(seq)
        self._tail.extend([Recorded(first + i, event) for i, event in enumerate(events)])
        return first

    def record(self, tenant: str, learned: Sequence[Learned]) -> None:
        self._learned.update({(tenant, record.trace_id): record for record in learned})

    async def flush(self) -> None:
        """Everything is where it will ever be."""

    async def erase(self, tenant: str, seq: int) -> None:
        event = decode_event(self._rows[seq - 1])
        if event.tenant == tenant:
            tombstone = Purged(tenant=tenant, at=0.0)
            self._rows[seq - 1] = encode_event(tombstone)
            self._tail.replace(Recorded(seq, tombstone))

    async def committed(self, after: int) -> Sequence[Recorded]:
        while not (at_hand := self._tail.after(after)):
            if at_hand is None or self.last_seq > after:
                return await self.read(after, 1000)
            await self._tail.wait()
        return at_hand

    async def read(self, after: int, limit: int) -> list[Recorded]:
        return [Recorded(after + 1 + i, decode_event(row)) for i, row in enumerate(self._rows[after : after + limit])]

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        return await self._of(MEMORY_KINDS, after, limit)

    async def read_access(self, after: int, limit: int) -> list[Recorded]:
        return await self._of(ACCESS_KINDS, after, limit)

    async def _of(self, kinds: Sequence[str], after: int, limit: int) -> list[Recorded]:
        everything = await self.read(after, self.last_seq)
        return [recorded for recorded in everything if recorded.event.kind in kinds][:limit]

    async def read_jobs(self, after: int, limit: int) -> list[Recorded]:
        return await self._of(JOB_KINDS, after, limit)

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        every = await self._of(ACT_KINDS, 0, self.last_seq)
        return [r for r in every if r.seq < before and tenant in (r.event.tenant, ALL)][-limit:]

    async def about(self, tenant: str, ref: str, kind: str) -> list[Recorded]:
        found = [Recorded(seq, decode_event(self._rows[seq - 1])) for seq in self._about.get((tenant, ref, kind), ())]
        return [recorded for recorded in found if recorded.event.kind == kind]  # not what was erased since

    async def checkpoints(self, tenant: str) -> list[Recorded]:
        return [
            recorded
            for recorded in await self.read(0, self.last_seq)
            if recorded.event.tenant == tenant and recorded.event.kind in CHECKPOINT_KINDS
        ]

    async def learned(self, tenant: str, trace_id: str) -> Learned | None:
        return self._learned.get((tenant, trace_id))

    async def all_learned(self, until: int) -> AsyncIterator[tuple[str, Learned]]:
        for (tenant, _), learned in sorted(self._learned.items()):
            if learned.seq <= until:
                yield tenant, learned

    async def close(self) -> None:
        """Nothing to let go of."""
