"""Disk per episode and per decision, and exact against HNSW search: where the switch point comes from."""

import os
import random
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from controlplane.memory.exact import ExactIndex
from controlplane.memory.hnsw import HnswIndex

from . import servers

EPISODES, DECISIONS, DIMENSION, K, QUERIES = 2000, 4000, 384, 10, 200
SIZES = (2_000, 10_000, 20_000, 50_000)
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
        with httpx.Client(base_url=base, timeout=30) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.05)
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


def search() -> dict[str, Any]:
    """Median milliseconds of both indexes at several sizes, with HNSW's recall@10 against exact."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the load's core alone would stall numpy's threads
    rng = np.random.default_rng(1)
    found: dict[str, Any] = {}
    for size in SIZES:
        vectors = clustered(rng, size + QUERIES)
        base, queries = vectors[:size], vectors[size:]
        exact = ExactIndex(DIMENSION)
        for key, vector in enumerate(base):
            exact.add(key, vector)
        graph = HnswIndex(np.arange(size), base, room=2 * size)
        truth, exact_ms = timed(exact, queries)
        near, graph_ms = timed(graph, queries)
        recall = statistics.mean(len(t & n) / K for t, n in zip(truth, near, strict=True))
        found[str(size)] = {"exact_ms": exact_ms, "hnsw_ms": graph_ms, "hnsw_recall_at_10": round(recall, 4)}
    return found


def clustered(rng: np.random.Generator, count: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Unit vectors around a few hundred centres, as texts of a few hundred kinds are."""
    centres = rng.standard_normal((300, DIMENSION))
    vectors = centres[rng.integers(0, 300, count)] + 0.7 * rng.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def timed(index: ExactIndex | HnswIndex, queries: Any) -> tuple[list[set[int]], float]:
    times, found = [], []
    for query in queries:
        begun = time.perf_counter()
        answer = index.search(query, K)
        times.append(time.perf_counter() - begun)
        found.append({key for key, _ in answer})
    return found, round(statistics.median(times) * 1000.0, 3)


def measure() -> dict[str, Any]:
    return {"disk": disk(), "search_by_size": search()}
