"""How fast a journal is folded again, and how long it takes to serve from a backup.

A server is used by a team of agents for a while; what it journalled of decisions and reports is then written again and
again under other names, until the journal is as long as it should be.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from msgspec.structs import replace

from auditor.events import AnyEvent, Configured, Decided, Reported
from controlplane.backups import back_up
from controlplane.clock import SystemClock
from controlplane.data_folder import JOURNAL_FILE
from controlplane.journal import SqliteJournal, connect

from . import servers
from .access import HEADERS
from .agents import Team
from .workload import plans

REBUILT, RESTORED = 1_000_000, 100_000  # events
SEED, PLANS, EPISODES, ROUTED = 1, 300, 600, 1000
TOGETHER, EVERYTHING = 2000, 2**60  # events in one commit; more than any session has
HASHING = {"POINTSMAN_EMBEDDER": "hashing"}
PLACES = [{"provider": place, "sku": "s"} for place in ("akash", "vast", "own")]


def session() -> list[AnyEvent]:
    """The rules, and the decisions and reports of a server in use, at both points."""
    with servers.pointsman(**HASHING) as (port, folder), TemporaryDirectory(prefix="pointsman-bench-") as kept:
        Team(list(islice(plans(SEED), PLANS)), episodes=EPISODES, seed=SEED).work(port)
        route(port, Random(SEED))
        back_up(folder, Path(kept) / "session", SystemClock(), lambda done, of: None)
        events = asyncio.run(events_of(Path(kept) / "session" / JOURNAL_FILE))
    return [event for event in events if isinstance(event, Configured | Decided | Reported)]


def route(port: int, rng: Random) -> None:
    """Choices among three places from six regions, each with its report."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as client:
        for _ in range(ROUTED):
            context = {"cpu": rng.choice((2, 8, 32)), "region": f"region-{rng.randrange(6)}"}
            decided = client.post("/v1/decisions", json={"context": context, "candidates": PLACES}).json()
            outcome = {"latency_ms": rng.randrange(400), "slo_hit": rng.random() < 0.9}
            said = {"trace_id": decided["trace_id"], "outcome": outcome}
            client.post("/v1/feedback", json=said).raise_for_status()


async def events_of(file: Path) -> list[AnyEvent]:
    journal = await SqliteJournal.open(connect(file))
    found = [recorded.event for recorded in await journal.read(0, EVERYTHING)]
    await journal.close()
    return found


def repeated(events: Sequence[AnyEvent]) -> Iterator[AnyEvent]:
    """The rules once; then all decisions and reports, again and again with ids and tasks of their own."""
    yield from (event for event in events if isinstance(event, Configured))
    for turn in count():
        for event in events:
            match event:
                case Decided():
                    trace = event.trace
                    task_id = f"{trace.task_id}.{turn}" if trace.task_id else None
                    yield replace(event, trace=replace(trace, trace_id=f"{trace.trace_id}.{turn}", task_id=task_id))
                case Reported():
                    yield replace(event, trace_id=f"{event.trace_id}.{turn}")


async def write(folder: Path, events: Iterator[AnyEvent], length: int) -> None:
    """A journal of so many of the events."""
    journal = await SqliteJournal.open(connect(folder / JOURNAL_FILE))
    while journal.last_seq < length:
        await journal.append(*islice(events, min(TOGETHER, length - journal.last_seq)))
    await journal.close()


def rebuild(events: Sequence[AnyEvent], length: int) -> dict[str, Any]:
    """`pointsman rebuild` from its start to its end."""
    with TemporaryDirectory(prefix="pointsman-bench-") as folder:
        asyncio.run(write(Path(folder), repeated(events), length))
        size = (Path(folder) / JOURNAL_FILE).stat().st_size
        took_s = command("rebuild", POINTSMAN_DATA_DIR=folder)
    return {"events": length, "journal_mb": round(size / 1e6), "events_per_s": round(length / took_s)}


def restore(events: Sequence[AnyEvent], length: int) -> dict[str, Any]:
    """`pointsman restore` into an empty folder, and a start until it is ready."""
    with TemporaryDirectory(prefix="pointsman-bench-") as made:
        folder, kept, again = Path(made) / "data", Path(made) / "kept", Path(made) / "again"
        folder.mkdir()
        asyncio.run(write(folder, repeated(events), length))
        back_up(folder, kept, SystemClock(), lambda done, of: None)
        restored_s = command("restore", str(kept), "--data-dir", str(again))
        begun = time.perf_counter()
        with servers.serving(again, "/readyz", **HASHING):
            ready_s = time.perf_counter() - begun
    return {"events": length, "restored_s": round(restored_s, 1), "ready_s": round(restored_s + ready_s, 1)}


def command(*arguments: str, **settings: str) -> float:
    """Seconds that a command takes."""
    begun = time.perf_counter()
    said = [sys.executable, "-m", "controlplane", *arguments]
    subprocess.run(said, env={**os.environ, **settings}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(rebuilt: int = REBUILT, restored: int = RESTORED) -> dict[str, Any]:
    """Events folded in a second; seconds until a restored server is ready."""
    events = session()
    return {"rebuild": rebuild(events, rebuilt), "restore": restore(events, restored)}
