"""The gate and memory search over a memory in use: 10,000 remembered failures, the decisions and reports around them.

The shipped sentence model embeds everything. Journal and fsync on, server on one core, load on the other.
"""

import re
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import numpy as np

from auditor.events import Captured
from controlplane.embedding.port import Vectors
from controlplane.journal import decode_event
from controlplane.tenants import Key

from . import servers
from .access import HEADERS, TENANT
from .agents import Team, question
from .load import Result, closed_loop, open_loop, request_bytes
from .nearest import by_size
from .workload import Plan, plans, surroundings

EPISODES, KNOWN = 10_000, 6_000  # remembered failures; plans they are failures of
ROUNDS, REQUESTS, WARM_UP, CONNECTIONS = 5, 3_000, 1_000, 32
KNOWN_RATE, NEW_RATE, SEARCH_RATE, FILTERED_RATE = 300.0, 50.0, 100.0, 5.0
KNOWN_S, ECHO_S, NEW_S, SEARCH_S, FILTERED_S = 30.0, 5.0, 10.0, 10.0, 5.0
Make = Callable[[int], bytes]
LOOKED_AT = 400  # answers from which the mix of verdicts is told
PHASE = re.compile(r'pointsman_decision_latency_seconds_(sum|count)\{phase="(\w+)"\} (\S+)')


def decisions(some: Iterable[Plan], seed: int, key: Key = TENANT) -> list[bytes]:
    """A gate decision about each plan, four to a task, each under conditions of its own."""
    rng = Random(seed)
    asked = [question(plan, surroundings(rng), f"{seed}-{i // 4}") for i, plan in enumerate(some)]
    return [request_bytes("/v1/decisions", msgspec.json.encode(body), key) for body in asked]


def searches(some: Iterable[Plan], seed: int, **more: Any) -> list[bytes]:
    rng = Random(seed)
    made = []
    for plan in some:
        body = {"goal": plan.goal, "planned_action": plan.planned_action, "current_state": surroundings(rng), **more}
        made.append(request_bytes("/v1/search", msgspec.json.encode(body)))
    return made


def cycling(requests: list[bytes]) -> Make:
    return lambda number: requests[number % len(requests)]


def phases(client: httpx.Client) -> dict[str, tuple[float, float]]:
    """(seconds, decisions) so far, by phase."""
    found: dict[str, dict[str, float]] = {}
    for what, phase, value in PHASE.findall(client.get("/metrics").text):
        found.setdefault(phase, {})[what] = float(value)
    return {phase: (both["sum"], both["count"]) for phase, both in found.items()}


def look(client: httpx.Client, asked: Iterable[bytes]) -> dict[str, Any]:
    """What the answers are like: the mix of verdicts, and what they rest on."""
    json_head = {"Content-Type": "application/json"}
    bodies = [request.partition(b"\r\n\r\n")[2] for request in asked]
    answers = [client.post("/v1/decisions", content=body, headers=json_head).json() for body in bodies]
    count = Counter(answer["action"] for answer in answers)
    return {
        "verdicts": {verdict: round(times / len(answers), 3) for verdict, times in count.most_common()},
        "abstained": round(statistics.mean(answer["abstained"] for answer in answers), 3),
        "median_evidence": statistics.median(answer["evidence"] for answer in answers),
    }


def rows(folder: Path) -> dict[str, int]:
    """Mean bytes of an event in the journal, by kind."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        found = connection.execute("SELECT kind, avg(length(payload)) FROM events GROUP BY kind ORDER BY kind")
        return {kind: round(size) for kind, size in found}


def remembered(folder: Path) -> Vectors:
    """The distinct vectors of what was captured, in a seeded order."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        payloads = connection.execute("SELECT payload FROM events WHERE kind = 'capture'").fetchall()
    events = (decode_event(payload) for (payload,) in payloads)
    captured = {event.episode.vector for event in events if isinstance(event, Captured)} - {b""}
    return np.stack([np.frombuffer(vector, np.float32) for vector in Random(1).sample(sorted(captured), len(captured))])


def latency(result: Result) -> dict[str, float]:
    return {
        "p50_ms": round(result.quantile_ms(0.5), 2),
        "p99_ms": round(result.quantile_ms(0.99), 2),
        "failed": result.failed,
    }


def as_many_as_it_can(port: int, client: httpx.Client, echo_port: int, make: Make) -> dict[str, Any]:
    """Closed loop over texts that were embedded before, in turn with a bare echo of the same requests."""
    for warm in (echo_port, port):
        closed_loop(warm, make, requests=WARM_UP, connections=CONNECTIONS)
    before, pairs = phases(client), []
    for _ in range(ROUNDS):
        echo = closed_loop(echo_port, make, requests=REQUESTS, connections=CONNECTIONS)
        pairs.append((closed_loop(port, make, requests=REQUESTS, connections=CONNECTIONS), echo))
    after = phases(client)
    spent = {p: (after[p][0] - before[p][0]) / (after[p][1] - before[p][1]) for p in after}
    speeds = [gate.per_second for gate, _ in pairs]
    return {
        "per_s": round(statistics.median(speeds)),
        "per_s_range": [round(min(speeds)), round(max(speeds))],
        "echo_per_s": round(statistics.median(echo.per_second for _, echo in pairs)),
        "failed": sum(gate.failed + echo.failed for gate, echo in pairs),
        "server_us_by_phase": {phase: round(seconds * 1e6) for phase, seconds in spent.items()},
    }


def at_fixed_rates(port: int, echo_port: int, known: list[Plan], new: list[Plan], make: Make) -> dict[str, Any]:
    """Open loop: plans that were embedded before (beside the echo), plans never seen, and searches."""
    filtered = searches(known, 5, filters={"error_class": "missing_module"})
    return {
        "known_texts": latency(open_loop(port, make, rate=KNOWN_RATE, seconds=KNOWN_S)),
        "echo": latency(open_loop(echo_port, make, rate=KNOWN_RATE, seconds=ECHO_S)),
        "new_texts": latency(open_loop(port, cycling(decisions(new, 3)), rate=NEW_RATE, seconds=NEW_S)),
        "search": latency(open_loop(port, cycling(searches(known, 4)), rate=SEARCH_RATE, seconds=SEARCH_S)),
        "search_with_filter": latency(open_loop(port, cycling(filtered), rate=FILTERED_RATE, seconds=FILTERED_S)),
    }


def fill(port: int, client: httpx.Client, known: list[Plan]) -> dict[str, Any]:
    servers.wait_for_ready(client)
    begun = time.perf_counter()
    Team(known, episodes=EPISODES, seed=1).work(port)
    return {"filled_s": round(time.perf_counter() - begun, 1), **client.get("/status").json()["memory"]}


def measure() -> dict[str, Any]:
    """Every figure of the gate; the embedder is the shipped model throughout."""
    servers.pin_load()
    endless = plans(1)
    known, new = (list(islice(endless, count)) for count in (KNOWN, int(NEW_RATE * NEW_S)))
    asked = decisions(known, 2)
    with (
        servers.echo() as echo_port,
        servers.pointsman() as (port, folder),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as client,
    ):
        found = {
            "memory": fill(port, client, known),
            "answers": look(client, asked[:LOOKED_AT]),
            "closed_loop_known_texts": as_many_as_it_can(port, client, echo_port, cycling(asked)),
            "open_loop": at_fixed_rates(port, echo_port, known, new, cycling(asked)),
            "journal_bytes_by_kind": rows(folder),
        }
        vectors = remembered(folder)
    return {**found, "nearest_of_what_was_remembered": by_size(vectors)}
