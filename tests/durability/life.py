"""One life of a journal: a seeded client that does everything the journal's public interface offers.

It appends alone and in crowds, so that groups form; it keeps records and flushes them, erases, closes and
opens again. Everything runs over the recorder's connection, and the ledger hears of every answer at once.
"""

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path

from auditor.answers import Learned
from auditor.events import (
    AnyEvent,
    Captured,
    Episode,
    EpisodeDeleted,
    Reported,
    SignatureSeen,
    WindowClosed,
)
from auditor.feedback import Outcome
from controlplane.journal import SqliteJournal

from .connection import connect
from .ledger import Kept, Ledger
from .recorder import Recorder

FILE, STEPS = "journal.db", 10
OFTEN = (1, 1, 0.1, 0.04, 1, 1, 1)  # how often each step is taken, beside the habits of a life
Instead = Mapping[str, str]


class Life:
    """A journal in a folder, the recorder under it and the ledger beside it."""

    def __init__(self, recorder: Recorder, folder: Path, ledger: Ledger, rng: random.Random, instead: Instead) -> None:
        self._recorder, self._ledger, self._rng = recorder, ledger, rng
        self._connect = connect(folder / FILE, recorder.vfs_name, instead)

    @property
    def place(self) -> int:
        return len(self._recorder.log)

    async def run(self) -> None:
        """From opening to closing."""
        self._journal = await SqliteJournal.open(self._connect)
        steps = (self._alone, self._crowd, self._burst, self._fill, self._learn, self._erase, self._reopen)
        habits = [self._rng.random() ** 2 * often for often in OFTEN]  # some lives erase a lot, others never
        for step in self._rng.choices(steps, habits, k=STEPS):
            await step()
        await self._journal.close()

    async def _alone(self) -> None:
        for _ in range(self._rng.randint(1, 5)):
            await self._append(1, self._rng.choice((100, 3000)))

    async def _crowd(self) -> None:
        await asyncio.gather(*(self._append(self._rng.randint(1, 3), 400) for _ in range(self._rng.randint(2, 25))))

    async def _burst(self) -> None:
        """More than a group holds."""
        await asyncio.gather(*(self._append(60, 100) for _ in range(5)))

    async def _fill(self) -> None:
        """Texts that fill the log until it is folded into the database."""
        await asyncio.gather(*(self._append(75, 100_000) for _ in range(4)))

    async def _learn(self) -> None:
        await asyncio.gather(self._record(self._rng.choice((1, 20, 300))), self._append(1, 100))

    async def _erase(self) -> None:
        """Some events, while others are being written."""
        seqs = self._rng.sample(range(1, self._journal.last_seq + 1), min(3, self._journal.last_seq))
        await asyncio.gather(*map(self._erase_one, seqs), self._append(2, 100))

    async def _reopen(self) -> None:
        await self._journal.close()
        self._journal = await SqliteJournal.open(self._connect)

    async def _append(self, many: int, size: int) -> None:
        events = dict(self._event(size) for _ in range(many))
        append = self._ledger.hand_in(events)
        first = await self._journal.append(*events.values())
        append.answered = self.place
        assert first + many - 1 == append.last, "events are numbered in the order in which they are handed in"

    async def _erase_one(self, seq: int) -> None:
        entry = self._ledger.entries[seq - 1]
        entry.erasing = min(entry.erasing, self.place)
        await self._journal.erase(entry.tenant, seq)
        entry.erased = min(entry.erased, self.place)

    async def _record(self, many: int) -> None:
        marks = [self._mark() for _ in range(many)]
        made = [Kept(Learned(trace_id=mark, point="route", seq=1, report=None, update=None)) for mark in marks]
        self._ledger.records.update({kept.record.trace_id: kept for kept in made})
        self._journal.record("a", [kept.record for kept in made])
        if self._rng.random() < 0.7:
            await self._journal.flush()
            for kept in made:
                kept.answered = self.place

    def _mark(self) -> str:
        """Random throughout: a torn page may hold the head of one mark and the tail of another, never a third."""
        return f"<{self._rng.getrandbits(64):016x}>"

    def _event(self, size: int) -> tuple[bytes, AnyEvent]:
        """An event of one of five kinds, with the mark by which it is known."""
        mark, tenant = self._mark(), self._rng.choice("ab")
        match self._rng.randrange(5):
            case 0:
                text = f"{mark} {'failed ' * 500}" * (1 + self._rng.randrange(size) // 3500)
                episode = Episode(goal=mark, error_trace=text, digest=mark, vector=self._rng.randbytes(768))
                event: AnyEvent = Captured(tenant=tenant, at=1.5, episode=episode)
            case 1:
                outcome = Outcome(latency_ms=float(self._rng.randrange(1000)))
                event = Reported(tenant=tenant, at=1.5, trace_id=mark, outcome=outcome)
            case 2:
                event = WindowClosed(tenant=tenant, at=1.5, trace_id=mark)
            case 3:
                signature = {"namespace": "", "text": mark * 3, "embedder": "e", "vector": b"\x01" * 384}
                event = SignatureSeen(tenant=tenant, at=1.5, signature=mark, **signature)  # type: ignore[arg-type]
            case _:
                event = EpisodeDeleted(tenant=tenant, at=1.5, episode_id=int(mark[1:-1], 16) >> 8)
        return mark.encode(), event
