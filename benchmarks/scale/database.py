"""What one commit, one read and one piece of news take at PostgreSQL, by events that replicas have written."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from auditor.events import AnyEvent
from controlplane.clock import SystemClock
from controlplane.journal.codec import encode_event
from controlplane.journal.postgres import PostgresJournal
from controlplane.journal.postgres.database import Connection, Database
from controlplane.journal.postgres.groups import Append, arrays

from ..services import Postgres
from .costs import GROUP
from .processors import NOTHING, Ran, children

SIZES, WRITERS = (1, 16, GROUP), (1, 2, 4)
COMMITS, ROUNDS, READS, TOLD = 24, 9, 100, 60


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, and what the middle half lies between."""
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": median, "from": low, "to": high}


class Backends:
    """The database's processes; what they do from now on."""

    def __init__(self, server: Postgres) -> None:
        self._postmaster = int((server.data / "postmaster.pid").read_text("ascii").split()[0])
        self._before = {pid: Ran.of(pid) for pid in children(self._postmaster)}

    @property
    def ran(self) -> Ran:
        """Of all together, so far; one that has ended meanwhile is left out."""
        now = {pid: Ran.of(pid) for pid in children(self._postmaster)}
        new = [ran.since(self._before.get(pid, NOTHING)) for pid, ran in now.items()]
        return Ran(sum(one.ran_s for one in new), sum(one.waited_s for one in new))


async def measure(server: Postgres, events: Sequence[AnyEvent]) -> dict[str, Any]:
    """Seconds of commits by `writers x events of a group`, of the database's processors, and until news is heard."""
    url = server.database()
    database = await Database.open(url)
    stretches = list[float]()
    found: dict[str, Any] = {"commit": {}, "held": {}, "commit_cpu_s": {}, "read_cpu_s": {}}
    for size in SIZES:
        of_size, follow = _group(events, size), list[float]()
        for writers in WRITERS:
            took, ran = await _commits(server, url, of_size, writers)
            found["commit"][f"{writers} x {size}"] = spread(took)
            found["commit_cpu_s"][size] = statistics.median(one.ran_s for one in ran) / COMMITS
            stretches += [one.stretch for one in ran]
            follow += took if writers > 1 else []
        found["held"][size] = spread(follow)
    for size in (1, GROUP):
        found["read_cpu_s"][size] = await _reads(server, database, size)
    await database.close()
    found["stretch"] = statistics.median(stretches)
    found["heard"] = spread(await _heard(url, events))
    return found


def _group(events: Sequence[AnyEvent], size: int) -> tuple[Any, ...]:
    loop = asyncio.get_running_loop()
    of_size = islice(cycle(events), size)
    return arrays([Append(loop.create_future(), (event,), (encode_event(event),), False) for event in of_size])


async def _commits(server: Postgres, url: str, of_size: tuple[Any, ...], writers: int) -> tuple[list[float], list[Ran]]:
    """Commits of several writers, each with the next one ready: seconds from one to the next, by round."""
    connections = [Connection(url) for _ in range(writers)]
    took, ran = list[float](), list[Ran]()

    async def write(name: int, number: int) -> None:
        for nth in range(COMMITS // writers):
            await connections[name].value("append", f"{name}", number * COMMITS + nth, None, 0.0, *of_size)

    await asyncio.gather(*(connection.value("touch") for connection in connections))
    for number in range(ROUNDS):
        working, begun = Backends(server), time.perf_counter()
        await asyncio.gather(*(write(name, number) for name in range(writers)))
        took.append((time.perf_counter() - begun) / COMMITS)
        ran.append(working.ran)
    for connection in connections:
        await connection.close()
    return took, ran


async def _reads(server: Postgres, database: Database, size: int) -> float:
    """Seconds of the database's processors for a read of the last events."""
    [[last]] = await database.rows("last_seq")
    working = Backends(server)
    for _ in range(READS):
        await database.rows("read_after", last - size, size)
    return working.ran.ran_s / READS


async def _heard(url: str, events: Sequence[AnyEvent]) -> list[float]:
    """From a commit's answer at one replica until another has read what was written, one event at a time."""
    one, other = [await PostgresJournal.open(url, SystemClock(), name) for name in ("one", "other")]
    await one.catch_up()
    await other.catch_up()
    waits = []
    for event in islice(cycle(events), TOLD):
        seq = await one.append(event)
        written = time.perf_counter()
        while other.last_seq < seq:
            await other.committed(seq - 1)
        waits.append(time.perf_counter() - written)
    for journal in (one, other):
        await journal.close()
    return waits
