"""Twenty minutes of agents at work: does anything grow that should not?

Agents ask, report, and now and then capture and search, at half of what the server can do, on a fixed schedule. Every
decision is reported, so what stays open does not grow; memory does, by what is captured. The shipped model embeds.
"""

import asyncio
import os
import re
import time
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np
import uvloop

from . import servers
from .access import HEADERS
from .agents import question
from .gate import WARM_UP, cycling, decisions, fill
from .load import Connection, closed_loop, connect, paced, request_bytes
from .overload import quantile_ms
from .workload import Plan, plans, surroundings

KNOWN, PEAK_REQUESTS, CONNECTIONS, POOL = 600, 4_000, 32, 128
SHARE, CALLS_A_STEP = 0.5, 2.0  # of peak; a decision and its report
SECONDS, SAMPLE_S, SETTLED_S = 1200.0, 10.0, 300.0
SEARCH_EVERY, CAPTURE_EVERY = 10, 200  # steps

LAG = re.compile(r'pointsman_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)')


class Sample(NamedTuple):
    """What the server holds at a time [s, bytes]."""

    at_s: float
    rss: int
    files: int
    threads: int
    wal: int


def sampled(pid: int, folder: Path, at_s: float) -> Sample:
    rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return Sample(at_s, rss, len(os.listdir(f"/proc/{pid}/fd")), threads, (folder / "journal.db-wal").stat().st_size)


def server_pid() -> int:
    """The one child of this process."""
    [pid] = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return int(pid)


class Agents:
    """The load: each step asks about a plan and reports on the answer, on one connection."""

    def __init__(self, known: list[Plan]) -> None:
        self.latencies_s: list[float] = []
        self.failed = 0
        self._known, self._rng = known, Random(1)
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()

    async def work(self, port: int, rate: float, sample: Any) -> None:
        for connection in await connect(port, POOL):
            self._idle.put_nowait(connection)
        sampling = asyncio.create_task(sample())
        await paced(self._step, rate=rate, seconds=SECONDS)
        sampling.cancel()

    async def _step(self, number: int, due: float) -> None:
        connection = await self._idle.get()
        plan = self._known[number % len(self._known)]
        where = surroundings(self._rng)
        decided = await self._ask(connection, "/v1/decisions", question(plan, where, f"soak-{number}"))
        self.latencies_s.append(time.perf_counter() - due)
        if trace_id := decided.get("trace_id"):
            outcome = {"success": number % 3 > 0, "terminal": True}
            await self._ask(connection, "/v1/feedback", {"trace_id": trace_id, "outcome": outcome})
        if number % SEARCH_EVERY == 0:
            await self._ask(connection, "/v1/search", {"goal": plan.goal, "planned_action": plan.planned_action})
        if number % CAPTURE_EVERY == 0:
            failure = {"goal": plan.goal, "planned_action": plan.planned_action, "error_trace": f"error {number}"}
            await self._ask(connection, "/v1/capture", failure)
        self._idle.put_nowait(connection)

    async def _ask(self, connection: Connection, path: str, body: Any) -> Any:
        answer = await connection.ask(request_bytes(path, msgspec.json.encode(body)))
        good = answer.startswith(b"HTTP/1.1 2")
        self.failed += not good
        return msgspec.json.decode(answer.partition(b"\r\n\r\n")[2]) if good else {}


def slope_per_hour(samples: list[Sample], field: str) -> float:
    """By least squares over what came after the server had settled."""
    settled = [s for s in samples if s.at_s >= SETTLED_S]
    return float(np.polyfit([s.at_s for s in settled], [getattr(s, field) for s in settled], 1)[0] * 3600)


def within(metrics: str, lag_s: float) -> float:
    """The share of the event loop's timers that were no later than that."""
    found = dict(LAG.findall(metrics))
    return round(float(found[str(lag_s)]) / float(found["+Inf"]), 4)


def measure() -> dict[str, Any]:
    """What grew, and how fast it answered at the beginning and at the end."""
    servers.pin_load()
    known = list(islice(plans(1), KNOWN))
    make = cycling(decisions(known, 2))
    samples: list[Sample] = []
    agents = Agents(known)
    with (
        servers.pointsman(POINTSMAN_GATE_WINDOW_S="60") as (port, folder),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as client,
    ):
        remembered = fill(port, client, known)["episodes"]
        closed_loop(port, make, requests=WARM_UP, connections=CONNECTIONS)
        peak = closed_loop(port, make, requests=PEAK_REQUESTS, connections=CONNECTIONS).per_second
        pid, begun = server_pid(), time.perf_counter()

        async def sample() -> None:
            while True:
                samples.append(sampled(pid, folder, time.perf_counter() - begun))
                await asyncio.sleep(SAMPLE_S)

        uvloop.run(agents.work(port, SHARE * peak / CALLS_A_STEP, sample))
        status, metrics = client.get("/status").json(), client.get("/metrics").text
    steps = len(agents.latencies_s)
    return {
        "seconds": SECONDS,
        "steps": steps,
        "failed": agents.failed,
        "p99_ms_first_quarter": quantile_ms(agents.latencies_s[: steps // 4], 0.99),
        "p99_ms_last_quarter": quantile_ms(agents.latencies_s[-steps // 4 :], 0.99),
        "episodes": [remembered, status["memory"]["episodes"]],
        "rss_mb": [round(s.rss / 2**20, 1) for s in (samples[0], samples[-1])],
        "rss_slope_mb_per_hour": round(slope_per_hour(samples, "rss") / 2**20, 2),
        "files": [samples[0].files, samples[-1].files],
        "threads": [samples[0].threads, samples[-1].threads],
        "largest_wal_mb": round(max(s.wal for s in samples) / 2**20, 1),
        "loop_lag_within_20_ms": within(metrics, 0.02),
        "open_decisions": status["open_decisions"],
        "learner_lag": status["journal"]["learner_lag"],
    }
