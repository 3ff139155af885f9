"""A journal's errand, the same over any connection: `python -m tests.durability.errand FILE` over the shipped one."""

import asyncio
import sys
from pathlib import Path

from auditor.answers import Learned
from auditor.events import Captured, Episode, WindowClosed
from controlplane.journal import SqliteJournal, connect

from .connection import Connect

LONG = "failed " * 12_000


async def errand(connection: Connect) -> None:
    """One after the other: appends, records, an erasure, a log that is folded into the database, twice opened."""
    for name in ("first", "second"):
        journal = await SqliteJournal.open(connection)
        await journal.append(*(WindowClosed(tenant="a", at=1.5, trace_id=f"{name} {i}") for i in range(3)))
        journal.record("a", [Learned(trace_id=name, point="route", seq=1, report=None, update=None)])
        await journal.flush()
        await journal.erase("a", 2)
        for i in range(50):
            episode = Episode(goal=name, error_trace=LONG, digest=f"{name} {i}")
            await journal.append(Captured(tenant="a", at=1.5, episode=episode))
        await journal.close()


if __name__ == "__main__":
    asyncio.run(errand(connect(Path(sys.argv[1]))))
