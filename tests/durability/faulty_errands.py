"""Errands of the shipped journal and of our own files, once for each system call of theirs that can fail.

`python -m tests.durability.faulty_errands ERRAND FAULT STRIDE FOLDER`, with faults.c loaded before the C library;
prints what failed and what was refused as JSON. A promise that does not hold ends it with a traceback.
"""

import asyncio
import ctypes
import errno
import json
import os
import shutil
import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from auditor import Rules, State
from auditor.answers import Learned
from auditor.events import (
    AnyEvent,
    Captured,
    Episode,
    Purged,
    WindowClosed,
)
from controlplane.backups import back_up, restore
from controlplane.checkpoints import CheckpointFiles, RecoveryFiles
from controlplane.clock import SystemClock
from controlplane.errors import JournalDamaged, JournalUnavailable, PointsmanError, StorageFull
from controlplane.journal import SqliteJournal, connect
from controlplane.journal.soundness import look_through

T = TypeVar("T")
LONG, EVERYTHING = "failed " * 30_000, 2**60
FAULTS = {"EIO": (errno.EIO, 0), "half a write": (errno.ENOSPC, 1), "ENOSPC": (errno.ENOSPC, 0)}
REFUSALS = (JournalUnavailable, StorageFull, JournalDamaged)


class Faults:
    """The library that makes a system call fail, and what has failed and was refused so far."""

    def __init__(self, fault: str) -> None:
        self._library = ctypes.CDLL(None)
        self._library.faults_failed.restype = ctypes.c_char_p
        self._number, self._half = FAULTS[fault]
        self.failed, self.refused = Counter[str](), Counter[str]()

    def arm(self, folder: Path, at: int) -> None:
        self._library.faults_arm(str(folder).encode(), ctypes.c_long(at), self._number, self._half)

    def disarm(self) -> int:
        """How many calls there were."""
        self._library.faults_disarm()
        self.failed.update([name] if (name := self._library.faults_failed().decode()) else [])
        return int(self._library.faults_calls())

    def refuse(self, error: Exception) -> None:
        self.refused[type(error).__name__] += 1


class Client:
    """A client of a journal that tries again when it is refused: once, for the fault is over then."""

    def __init__(self, file: Path, faults: Faults) -> None:
        self._file, self._faults = file, faults
        self.events: list[AnyEvent] = []  # acknowledged
        self.records: list[Learned] = []

    async def run(self) -> None:
        """Twice from opening to closing: appends alone and together, records, an erasure, once a log that is folded."""
        for life in range(2):
            self.journal = await self._insist(lambda: SqliteJournal.open(connect(self._file)))
            await self._append(closed(f"{life} one"))
            await self._append(*(closed(f"{life} {i}") for i in range(3)))
            await self._record(f"{life} learnt")
            await self._insist(lambda: self.journal.erase("a", 2))
            self.events[1] = Purged(tenant="a", at=0.0)
            for i in range((22, 1)[life]):
                episode = Episode(goal="g", error_trace=LONG, digest=f"{life} {i}")
                await self._append(Captured(tenant="a", at=1.5, episode=episode))
            assert await self._insist(lambda: self.journal.about("a", "0 one", "window_closed"))
            await self.journal.close()

    async def _append(self, *events: AnyEvent) -> None:
        first = await self._insist(lambda: self.journal.append(*events))
        assert first == len(self.events) + 1, "a refused append took a number"
        self.events += events

    async def _record(self, trace_id: str) -> None:
        self.records.append(Learned(trace_id=trace_id, point="route", seq=1, report=None, update=None))
        self.journal.record("a", self.records[-1:])
        await self._insist(self.journal.flush)

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T:
        try:
            return await act()
        except REFUSALS as refusal:
            self._faults.refuse(refusal)
        return await act()


def closed(trace_id: str) -> WindowClosed:
    return WindowClosed(tenant="a", at=1.5, trace_id=trace_id)


def journal_errand(folder: Path, faults: Faults, at: int) -> int:
    """What was acknowledged, and nothing else, is found afterwards; how many calls there were."""
    folder.mkdir()
    client = Client(folder / "journal.db", faults)
    faults.arm(folder, at)
    asyncio.run(client.run())
    calls = faults.disarm()
    asyncio.run(compare(folder / "journal.db", client))
    return calls


async def compare(file: Path, client: Client) -> None:
    journal = await SqliteJournal.open(connect(file))
    assert [recorded.event for recorded in await journal.read(0, EVERYTHING)] == client.events
    assert [record async for _, record in journal.all_learned(EVERYTHING)] == client.records
    await journal.close()
    with closing(sqlite3.connect(file)) as database:
        look_through(database)


def state_at(seq: int) -> State:
    state = State(Rules(points={}))
    state.seq = seq
    return state


def files_errand(folder: Path, faults: Faults, at: int) -> int:
    """A recovery file, a checkpoint, a backup and its restore: each there whole, or what was there before."""
    recovery, kept = RecoveryFiles(folder / "data" / "recovery"), CheckpointFiles(folder / "data" / "checkpoints")
    recovery.write(state_at(1).dump(), 1)
    asyncio.run(one_event(folder / "data" / "journal.db"))
    backup, restored = folder / "backup", folder / "restored"
    steps: list[tuple[Callable[[], object], Callable[[], bool]]] = [
        (lambda: recovery.write(state_at(2).dump(), 2), lambda: seq_of(recovery) in (1, 2)),
        (lambda: kept.write(b"learnt"), lambda: seq_of(recovery) == 2),
        (lambda: back_up(folder / "data", backup, SystemClock(), lambda n, of: None), lambda: not backup.exists()),
        (lambda: restore(backup, restored, lambda n, of: None), lambda: not (restored / "journal.db").exists()),
    ]
    faults.arm(folder, at)
    for step, holds in steps:
        insist(step, holds, faults)
    calls = faults.disarm()
    assert seq_of(recovery) == 2
    assert list(folder.rglob("*.tmp")) == []
    asyncio.run(one_event(restored / "journal.db", 2))
    assert CheckpointFiles(restored / "checkpoints").read(kept.write(b"learnt")) == b"learnt"
    return calls


def insist(step: Callable[[], object], holds: Callable[[], bool], faults: Faults) -> None:
    try:
        step()
        return
    except (OSError, PointsmanError) as refusal:
        faults.refuse(refusal)
    assert holds(), "what was there before is gone"
    step()


def seq_of(recovery: RecoveryFiles) -> int:
    state = recovery.newest(EVERYTHING)
    assert state is not None
    return state.seq


async def one_event(file: Path, seq: int = 1) -> None:
    """Append one to a journal; its number."""
    journal = await SqliteJournal.open(connect(file))
    assert await journal.append(closed("one")) == seq
    await journal.close()


def main(errand: str, fault: str, stride: int, folder: Path) -> None:
    run = {"journal": journal_errand, "files": files_errand}[errand]
    faults = Faults(fault)
    calls = run(folder / "untroubled", faults, 0)
    assert not faults.refused
    for at in range(1, calls + 1, stride):
        try:
            run(folder / str(at), faults, at)
        except BaseException as error:
            error.add_note(f"call {at} of {calls} failed with {fault}")
            raise
        shutil.rmtree(folder / str(at))
    print(json.dumps({"calls": calls, "failed": faults.failed, "refused": faults.refused}))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # a journal that was left open would keep the process
