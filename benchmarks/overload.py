"""What a server does when five times as much comes in as it can answer: gate decisions over a memory in use.

Journal and fsync on, server on one core, load on the other, on a fixed schedule (open loop) that does not wait for
answers. A spike of ten times as much as in calm, and what is answered after it, is tried too.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple, cast

import httpx
import uvloop

from . import servers
from .access import HEADERS
from .gate import WARM_UP, cycling, decisions, fill
from .load import STALL_S, closed_loop, connect
from .workload import plans

KNOWN, PEAK_REQUESTS, CONNECTIONS, POOL = 600, 6_000, 32, 768
CALM_SHARE, TIMES = 0.3, 5.0  # of peak
CALM_S, OVERLOAD_S, PROBE_EVERY_S = 10.0, 60.0, 0.1
TICK_S = 0.001  # between two looks at what is due
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


class Asking(asyncio.Protocol):
    """One keep-alive connection, one request in flight; it says when its answer is whole."""

    def __init__(self, answered: Callable[["Asking", int], None]) -> None:
        self.number, self.due = 0, 0.0
        self._answered = answered
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, number: int, due: float, request: bytes) -> None:
        assert self._transport is not None
        self.number, self.due = number, due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self._buffer[:end].lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + length:
            status, self._buffer = int(self._buffer[9:12]), b""
            self._answered(self, status)


class Schedule:
    """Requests on a fixed schedule, whatever becomes of those before; without a task for each, so that it keeps up."""

    def __init__(self, make: Make, rate: float, seconds: float) -> None:
        self.answers: list[Answer] = []
        self._make, self._rate, self.total = make, rate, int(rate * seconds)
        self._sent, self._begun = 0, 0.0
        self._idle: deque[Asking] = deque()  # who waited longest is next: a server lets idle ones go
        self._over = asyncio.Event()

    async def run(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(POOL):
            self._idle.append((await loop.create_connection(lambda: Asking(self._answered), "127.0.0.1", port))[1])
        self._begun = time.perf_counter()
        self._send_due()
        with contextlib.suppress(TimeoutError):  # what is not answered by then counts as neither accepted nor refused
            await asyncio.wait_for(self._over.wait(), self.total / self._rate + STALL_S)

    def _send_due(self) -> None:
        now = time.perf_counter()
        while self._idle and self._sent < self.total and self._due <= now:
            self._idle.popleft().ask(self._sent, self._due, self._make(self._sent))
            self._sent += 1
        if self._sent < self.total:
            asyncio.get_running_loop().call_later(max(self._due - now, TICK_S), self._send_due)

    @property
    def _due(self) -> float:
        return self._begun + self._sent / self._rate

    def _answered(self, connection: Asking, status: int) -> None:
        late = time.perf_counter() - connection.due
        self.answers.append(Answer(connection.number, connection.due - self._begun, late, status))
        self._idle.append(connection)
        if len(self.answers) == self.total:
            self._over.set()


def on_schedule(port: int, make: Make, *, rate: float, seconds: float) -> tuple[list[Answer], list[float]]:
    """(every answer, latencies of a health probe asked beside them); 0 is the status of what was not answered."""

    async def run() -> tuple[list[Answer], list[float]]:
        probes: list[float] = []
        [prober] = await connect(port, 1)

        async def probe() -> None:
            while True:
                asked = time.perf_counter()
                if (await prober.ask(b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n")).startswith(b"HTTP/1.1 200"):
                    probes.append(time.perf_counter() - asked)
                await asyncio.sleep(PROBE_EVERY_S)

        schedule, probing = Schedule(make, rate, seconds), asyncio.create_task(probe())
        await schedule.run(port)
        probing.cancel()
        missing = [Answer(-1, seconds, STALL_S, 0)] * (schedule.total - len(schedule.answers))
        return [*schedule.answers, *missing], probes

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
