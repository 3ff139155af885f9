"""Disk per captured episode and per routing decision; how fast what is on it is folded again."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from . import refolding, servers
from .access import HEADERS

EPISODES, DECISIONS = 2000, 4000
TRACE = "Traceback (most recent call last):\n" + "\n".join(
    f'  File "app/module_{i}.py", line {i}, in call' for i in range(12)
)


def bytes_on_disk(folder: Path) -> int:
    """Size of the database once the write-ahead log (at most 4 MB, whatever is stored) is folded into it."""
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        [pages], [size] = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return int(pages) * int(size)


def disk() -> dict[str, Any]:
    """Bytes the journal grows by per captured episode (no reflection) and per routing decision."""
    rng = random.Random(1)
    with servers.pointsman(POINTSMAN_EMBEDDER="hashing") as (port, folder):
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, headers=HEADERS, timeout=30) as client:
            servers.wait_for_ready(client)
            capture(client, rng, 50)
            before = bytes_on_disk(folder)
            capture(client, rng, EPISODES)
            middle = bytes_on_disk(folder)
            decide(client, rng)
            after = bytes_on_disk(folder)
    return {
        "bytes_per_episode": round((middle - before) / EPISODES),
        "bytes_per_route_decision": round((after - middle) / DECISIONS),
    }


def capture(client: httpx.Client, rng: random.Random, count: int) -> None:
    for _ in range(count):
        n = rng.randrange(10**9)
        client.post(
            "/v1/capture",
            json={
                "goal": f"Deploy build {n} to the staging cluster",
                "planned_action": f"kubectl apply -f deployment-{n}.yaml",
                "error_trace": f"{TRACE}\nRuntimeError: image app:{n} cannot be pulled",
                "resolution": f"kubectl set image deployment/app app=registry/app:{n}",
                "environment": {"cluster": "staging", "build": n},
            },
        ).raise_for_status()


def decide(client: httpx.Client, rng: random.Random) -> None:
    for i in range(DECISIONS):
        client.post(
            "/v1/decisions",
            json={
                "task_id": f"task-{i}",
                "context": {"cpu": 8, "memory_gb": 32, "latency_ms": rng.randrange(500), "region": "us-west"},
                "candidates": [{"provider": "akash", "sku": "A8"}, {"provider": "vast", "sku": "V4"}],
            },
        ).raise_for_status()


def measure() -> dict[str, Any]:
    return {"disk": disk(), **refolding.measure()}
