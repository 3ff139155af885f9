"""What a server does when five times as much comes in as it can answer: gate decisions over a memory in use.

Journal and fsync on, server on one core, load on the other, on a fixed schedule (open loop) that does not wait for
answers. A spike of ten times as much as in calm, and what is answered after it, is tried too.
"""

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import httpx
import uvloop

from . import servers
from .access import HEADERS
from .gate import WARM_UP, cycling, decisions, fill
from .load import Connection, closed_loop, connect, paced
from .workload import plans

KNOWN, PEAK_REQUESTS, CONNECTIONS, POOL = 600, 6_000, 32, 768
CALM_SHARE, TIMES = 0.3, 5.0  # of peak
CALM_S, OVERLOAD_S, PROBE_EVERY_S = 10.0, 60.0, 0.1
SPIKE_S, AFTER_S = 5.0, 10.0
Make = Callable[[int], bytes]


class Answer(NamedTuple):
    """Its number, when it was due, how long it took from then on [s], and its status."""

    number: int
    due_s: float
    latency_s: float
    status: int


def quantile_ms(latencies: list[float], q: float) -> float | None:
    """None of nothing."""
    if not latencies:
        return None
    return round(sorted(latencies)[min(len(latencies) - 1, int(q * len(latencies)))] * 1000.0, 2)


def on_schedule(port: int, make: Make, *, rate: float, seconds: float) -> tuple[list[Answer], list[float]]:
    """(every answer, latencies of a health probe asked beside them)."""

    async def run() -> tuple[list[Answer], list[float]]:
        answers: list[Answer] = []
        probes: list[float] = []
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in await connect(port, POOL):
            idle.put_nowait(connection)
        [prober] = await connect(port, 1)
        begun = time.perf_counter()

        async def one(number: int, due: float) -> None:
            connection = await idle.get()
            answer = await connection.ask(make(number))
            answers.append(Answer(number, due - begun, time.perf_counter() - due, int(answer[9:12])))
            idle.put_nowait(connection)

        async def probe() -> None:
            while time.perf_counter() - begun < seconds:
                asked = time.perf_counter()
                if (await prober.ask(b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n")).startswith(b"HTTP/1.1 200"):
                    probes.append(time.perf_counter() - asked)
                await asyncio.sleep(PROBE_EVERY_S)

        probing = asyncio.create_task(probe())
        await paced(one, rate=rate, seconds=seconds)
        await probing
        return answers, probes

    return uvloop.run(run())


def told(answers: list[Answer], probes: list[float], seconds: float) -> dict[str, Any]:
    accepted = [a.latency_s for a in answers if a.status == 200]
    refused = [a.latency_s for a in answers if a.status in (429, 503)]
    return {
        "offered_per_s": round(len(answers) / seconds),
        "accepted_per_s": round(len(accepted) / seconds),
        "accepted_p50_ms": quantile_ms(accepted, 0.5),
        "accepted_p99_ms": quantile_ms(accepted, 0.99),
        "refused_p99_ms": quantile_ms(refused, 0.99),
        "probe_p99_ms": quantile_ms(probes, 0.99),
        "neither": len(answers) - len(accepted) - len(refused),
    }


def measure() -> dict[str, Any]:
    """Peak, calm, overload and a spike, in one run."""
    servers.pin_load()
    known = list(islice(plans(1), KNOWN))
    make = cycling(decisions(known, 2))
    with (
        servers.pointsman() as (port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as client,
    ):
        memory = fill(port, client, known)
        closed_loop(port, make, requests=WARM_UP, connections=CONNECTIONS)
        peak = closed_loop(port, make, requests=PEAK_REQUESTS, connections=CONNECTIONS)
        calm = told(*on_schedule(port, make, rate=CALM_SHARE * peak.per_second, seconds=CALM_S), CALM_S)
        over = told(*on_schedule(port, make, rate=TIMES * peak.per_second, seconds=OVERLOAD_S), OVERLOAD_S)
        on_schedule(port, make, rate=10 * CALM_SHARE * peak.per_second, seconds=SPIKE_S)
        after, _ = on_schedule(port, make, rate=CALM_SHARE * peak.per_second, seconds=AFTER_S)
    return {
        "episodes": memory["episodes"],
        "peak_per_s": round(peak.per_second),
        "peak_failed": peak.failed,
        "calm": calm,
        "overload": over,
        "goodput_to_peak": round(over["accepted_per_s"] / peak.per_second, 3),
        "accepted_p99_to_calm": round(over["accepted_p99_ms"] / calm["accepted_p99_ms"], 2),
        "after_a_spike_p99_ms": quantile_ms([a.latency_s for a in after if a.due_s > 5], 0.99),
    }
