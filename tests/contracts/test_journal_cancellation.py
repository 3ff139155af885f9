"""Both journals: a request that goes away takes nothing with it, and closing takes nobody's event."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from auditor import Learned
from auditor.events import WindowClosed
from controlplane.errors import JournalUnavailable
from controlplane.journal import Journal, SqliteJournal

Make = Callable[[str], WindowClosed]
Reopen = Callable[[], Awaitable[SqliteJournal]]


async def test_cancelled_appends_leave_the_journal_usable(journal: Journal, closed: Make, seed: int) -> None:
    rng = random.Random(seed)
    acknowledged: list[str] = []

    async def write(name: str) -> None:
        await journal.append(closed(name))
        acknowledged.append(name)

    for storm in range(20):
        tasks = [asyncio.create_task(write(f"s{storm}.{i}")) for i in range(40)]
        for _ in range(rng.randint(0, 6)):
            await asyncio.sleep(0)
        for task in rng.sample(tasks, 20):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert await journal.append(closed("afterwards")) == journal.last_seq
    rows = await journal.read(0, 10_000)
    refs = [r.event.ref for r in rows]
    assert [r.seq for r in rows] == list(range(1, journal.last_seq + 1))
    assert len(refs) == len(set(refs)), "an append that was cancelled is there once or not at all"
    assert set(acknowledged) <= set(refs)
    assert refs[-1] == "afterwards"


async def test_a_cancelled_group_is_there_whole_or_not_at_all(journal: Journal, closed: Make, seed: int) -> None:
    rng = random.Random(seed)
    for attempt in range(60):
        task = asyncio.create_task(_append(journal, [closed(f"g{attempt}.{i}") for i in range(4)]))
        for _ in range(rng.randint(0, 4)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await journal.append(closed("end"))
    refs = [r.event.ref for r in await journal.read(0, 10_000)]
    groups = {ref.split(".")[0] for ref in refs[:-1]}
    assert sorted(refs[:-1]) == sorted(f"{group}.{i}" for group in groups for i in range(4))


async def test_a_cancelled_consumer_leaves_the_events_to_the_next(journal: Journal, closed: Make) -> None:
    for _ in range(10):
        task = asyncio.create_task(_committed(journal))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await journal.append(closed("one"))
    assert [r.event.ref for r in await journal.committed(0)] == ["one"]


async def test_a_cancelled_erasure_leaves_the_journal_usable(journal: Journal, closed: Make) -> None:
    await journal.append(*(closed(f"t{i}") for i in range(30)))
    tasks = [asyncio.create_task(_erase(journal, seq)) for seq in range(1, 31)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await journal.append(closed("afterwards")) == 31


async def test_reopening_gives_what_was_acknowledged(
    on_disk: Reopen, closed: Make, learned: Callable[..., Learned]
) -> None:
    journal = await on_disk()
    await asyncio.gather(*(journal.append(closed(f"t{i}")) for i in range(100)))
    journal.record("default", [learned("t1", 7)])
    again = await on_disk()
    assert again.last_seq == 100
    assert sorted(r.event.ref for r in await again.read(0, 1000)) == sorted(f"t{i}" for i in range(100))
    assert await again.learned("default", "t1") == learned("t1", 7)
    assert await again.append(closed("next")) == 101


async def test_closing_commits_what_is_waiting(on_disk: Reopen, closed: Make) -> None:
    journal = await on_disk()
    writes = [asyncio.create_task(_append(journal, [closed(f"t{i}")])) for i in range(500)]
    await asyncio.sleep(0)  # all of them have handed in their event, none has been written
    again = await on_disk()
    assert sorted(await asyncio.gather(*writes)) == list(range(1, 501))
    assert again.last_seq == 500


async def test_closing_commits_what_came_while_records_were_being_written(
    on_disk: Reopen, closed: Make, learned: Callable[..., Learned]
) -> None:
    journal = await on_disk()
    for pause in range(12):
        first = journal.last_seq
        journal.record("default", [learned(f"t{pause}.{i}", i) for i in range(300)])
        flushing = asyncio.create_task(_flush(journal))
        for _ in range(pause):
            await asyncio.sleep(0)
        write = asyncio.create_task(_append(journal, [closed("late")]))
        await asyncio.sleep(0)
        journal = await on_disk()
        assert await write == first + 1
        await flushing


async def test_a_flush_covers_every_record_made_before_it(
    on_disk: Reopen, learned: Callable[..., Learned], tmp_path: Path
) -> None:
    journal = await on_disk()
    for pause in range(12):
        journal.record("default", [learned(f"early{pause}.{i}", 1) for i in range(600)])
        early = asyncio.create_task(_flush(journal))
        for _ in range(pause):
            await asyncio.sleep(0)
        journal.record("default", [learned(f"late{pause}", 2)])
        await journal.flush()
        with closing(sqlite3.connect(tmp_path / "journal.db")) as database:
            kept = database.execute("SELECT count(*) FROM learned WHERE trace_id = ?", (f"late{pause}",)).fetchone()
        assert kept == (1,), "the record was on disk when the flush returned"
        await early


async def test_a_closed_journal_refuses_instead_of_hanging(on_disk: Reopen, closed: Make) -> None:
    journal = await on_disk()
    await on_disk()
    with pytest.raises(JournalUnavailable):
        await journal.append(closed("too late"))
    with pytest.raises(JournalUnavailable):
        await journal.erase("default", 1)


async def _append(journal: Journal, events: list[WindowClosed]) -> int:
    return await journal.append(*events)


async def _committed(journal: Journal) -> object:
    return await journal.committed(0)


async def _erase(journal: Journal, seq: int) -> None:
    await journal.erase("default", seq)


async def _flush(journal: Journal) -> None:
    await journal.flush()
