"""The gate and memory search over a memory in use: 10,000 remembered failures, the decisions and reports around them.

The shipped sentence model embeds everything. Journal and fsync on, server on one core, load on the other.
"""

import argparse
import json
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

from . import servers
from .agents import Team, question
from .load import Result, closed_loop, open_loop, request_bytes
from .workload import Plan, plans, surroundings

EPISODES, KNOWN = 10_000, 6_000  # remembered failures; plans they are failures of
ROUNDS, REQUESTS, WARM_UP, CONNECTIONS = 5, 4_000, 1_000, 32
KNOWN_RATE, NEW_RATE, SEARCH_RATE = 300.0, 50.0, 100.0
KNOWN_S, NEW_S, SEARCH_S = 15.0, 10.0, 10.0
LOOKED_AT = 400  # answers from which the mix of verdicts is told
PHASE = re.compile(r'pointsman_decision_latency_seconds_(sum|count)\{phase="(\w+)"\} (\S+)')


def decisions(some: Iterable[Plan], seed: int) -> list[bytes]:
    """A gate decision about each plan, four to a task, each under conditions of its own."""
    rng = Random(seed)
    asked = [question(plan, surroundings(rng), f"{seed}-{i // 4}") for i, plan in enumerate(some)]
    return [request_bytes("/v1/decisions", msgspec.json.encode(body)) for body in asked]


def searches(some: Iterable[Plan], seed: int, **more: Any) -> list[bytes]:
    rng = Random(seed)
    made = []
    for plan in some:
        body = {"goal": plan.goal, "planned_action": plan.planned_action, "current_state": surroundings(rng), **more}
        made.append(request_bytes("/v1/search", msgspec.json.encode(body)))
    return made


def cycling(requests: list[bytes]) -> Callable[[int], bytes]:
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


def latency(result: Result) -> dict[str, float]:
    return {
        "p50_ms": round(result.quantile_ms(0.5), 2),
        "p99_ms": round(result.quantile_ms(0.99), 2),
        "failed": result.failed,
    }


def known_texts(port: int, client: httpx.Client, asked: list[bytes]) -> dict[str, Any]:
    """Closed loop, then open loop, over plans that were embedded before."""
    make = cycling(asked)
    closed_loop(port, make, requests=WARM_UP, connections=CONNECTIONS)
    before = phases(client)
    found = [closed_loop(port, make, requests=REQUESTS, connections=CONNECTIONS) for _ in range(ROUNDS)]
    after = phases(client)
    spent = {p: (after[p][0] - before[p][0]) / (after[p][1] - before[p][1]) for p in after}
    speeds = sorted(result.per_second for result in found)
    return {
        "per_s": round(statistics.median(speeds)),
        "per_s_range": [round(speeds[0]), round(speeds[-1])],
        "closed_loop_failed": sum(result.failed for result in found),
        "server_us_by_phase": {phase: round(seconds * 1e6) for phase, seconds in spent.items()},
        "open_loop": latency(open_loop(port, make, rate=KNOWN_RATE, seconds=KNOWN_S)),
    }


def measure() -> dict[str, Any]:
    """Every figure of the gate; the embedder is the shipped model throughout."""
    servers.pin_load()
    endless = plans(1)
    known = list(islice(endless, KNOWN))
    new = list(islice(endless, int(NEW_RATE * NEW_S)))
    team = Team(known, episodes=EPISODES, seed=1)
    with servers.pointsman() as (port, folder), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        servers.wait_for_ready(client)
        begun = time.perf_counter()
        team.work(port)
        filled_s = time.perf_counter() - begun
        asked = decisions(known, 2)
        return {
            "filled_s": round(filled_s, 1),
            "memory": client.get("/status").json()["memory"],
            "answers": look(client, asked[:LOOKED_AT]),
            "known_texts": known_texts(port, client, asked),
            "new_texts": latency(open_loop(port, cycling(decisions(new, 3)), rate=NEW_RATE, seconds=NEW_S)),
            "search": latency(open_loop(port, cycling(searches(known, 4)), rate=SEARCH_RATE, seconds=SEARCH_S)),
            "journal_bytes_by_kind": rows(folder),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    print(json.dumps(measure(), indent=2))


if __name__ == "__main__":
    main()
