"""What decisions, reports and folds take at replicas, which are real processes under calls over HTTP."""

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg

from auditor.events import AnyEvent, Decided, Reported
from controlplane.clock import SystemClock
from controlplane.journal.postgres import PostgresJournal
from controlplane.refold import refold

from ..chaos.load import ACTIONS
from ..chaos.replicas import Replica
from ..services import Postgres
from .database import spread
from .processors import Ran

CALLS, ROUNDS, IDLE_S = 240, 5, 2.0
CONNECTIONS = (1, 32)  # one call at a time, where each commit is of one event; many, where groups form
REFOLDS = 3
Call = tuple[str, dict[str, Any]]  # path, body


class Round(NamedTuple):
    """Processor seconds of a call, at the replica that took it and at one that did not; events of its commits."""

    taking_s: float
    other_s: float
    group: float


@asynccontextmanager
async def up(count: int, url: str) -> AsyncIterator[list[Replica]]:
    """So many replicas on a database (or, on none, a server each), ready; they end with the block."""
    with tempfile.TemporaryDirectory(prefix="pm-") as folder:
        replicas = [Replica(Path(folder), number, url) for number in range(count)]
        try:
            for replica in replicas:
                replica.start()
                await replica.up()
            yield replicas
        finally:
            for replica in replicas:
                replica.stop()


async def measure(server: Postgres) -> tuple[dict[str, Any], list[AnyEvent]]:
    """Figures by (where, kind of call, connections), and the events that were written meanwhile."""
    url, found = server.database(), dict[str, Any]()
    async with up(2, url) as (taking, other):
        idle = await _idle(other)
        at = await asyncpg.connect(url)
        for connections in CONNECTIONS:
            rounds = [await _round(taking, other, idle, connections, at) for _ in range(ROUNDS)]
            for kind in ("decision", "report"):
                found[f"{kind} x {connections}"] = _summary([of[kind] for of in rounds])
        [[held]] = await at.fetch("SELECT count(*) FROM pg_stat_activity WHERE usename = current_user")
        await at.close()
    async with up(1, "") as [alone]:
        idle_alone = await _idle(alone)
        rounds = [await _round(alone, alone, idle_alone, CONNECTIONS[-1], None) for _ in range(ROUNDS)]
    found["embedded"] = {kind: spread([of[kind].taking_s for of in rounds]) for kind in ("decision", "report")}
    found |= {"idle_share": idle, "connections": (held - 1) / 2}
    events, found["fold"], found["event_bytes"] = await _folded(server, url)
    return found, events


def _summary(rounds: Sequence[Round]) -> dict[str, Any]:
    return {
        "taking": spread([r.taking_s for r in rounds]),
        "other": spread([r.other_s for r in rounds]),
        "group": statistics.median(r.group for r in rounds),
    }


async def _idle(replica: Replica) -> float:
    """Its share of a core while nobody calls."""
    await asyncio.sleep(IDLE_S)
    before = Ran.of(replica.pid)
    await asyncio.sleep(IDLE_S)
    return Ran.of(replica.pid).since(before).ran_s / IDLE_S


async def _round(
    taking: Replica, other: Replica, idle: float, connections: int, at: "asyncpg.Connection[Any] | None"
) -> dict[str, Round]:
    """Decisions, then the report on each, all at one replica."""
    bodies = [{"planned_action": ACTIONS[n % len(ACTIONS)], "task_id": uuid.uuid4().hex} for n in range(CALLS)]
    outcome = {"success": True, "terminal": True, "latency_ms": 5.0}
    replicas, found, made = (taking, other), dict[str, Round](), list[dict[str, Any]]()
    for kind in ("decision", "report"):
        reports: list[Call] = [("/v1/feedback", {"trace_id": a["trace_id"], "outcome": outcome}) for a in made]
        calls = reports or [("/v1/decisions", body) for body in bodies]
        before, begun = [Ran.of(replica.pid) for replica in replicas], time.perf_counter()
        commits = await _commits(at)
        made = await _called(taking, calls, connections)
        commits = await _commits(at) - commits
        idle_s = idle * (time.perf_counter() - begun)
        ran = [Ran.of(replica.pid).since(then).ran_s for replica, then in zip(replicas, before, strict=True)]
        taking_s, other_s = (max(0.0, ran_s - idle_s) / CALLS for ran_s in ran)
        found[kind] = Round(taking_s, other_s, CALLS / max(commits, 1))
    return found


async def _commits(at: "asyncpg.Connection[Any] | None") -> int:
    """How many groups the replicas have committed so far."""
    return 0 if at is None else int(await at.fetchval("SELECT sum(number) FROM writers"))


async def _called(replica: Replica, calls: Sequence[Call], connections: int) -> list[dict[str, Any]]:
    """The answers; so many calls at a time."""
    turns = asyncio.Semaphore(connections)

    async def call(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with turns, session.post(replica.url + path, json=body) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer

    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*(call(session, path, body) for path, body in calls))


async def _folded(server: Postgres, url: str) -> tuple[list[AnyEvent], dict[str, float], float]:
    """The decisions and reports of the log; seconds of reading and folding one of its events; bytes of it on disk."""
    journal = await PostgresJournal.open(url, SystemClock())
    took = []
    for _ in range(REFOLDS):
        begun = time.process_time()
        await refold(journal, journal.last_seq)
        took.append((time.process_time() - begun) / journal.last_seq)
    events = [recorded.event for recorded in await journal.read(0, journal.last_seq)]
    size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('events')"
    bytes_ = float(server.ask(size, url.rpartition("/")[2])) / journal.last_seq
    await journal.close()
    return [event for event in events if isinstance(event, Decided | Reported)], spread(took), bytes_
