"""`make bench-memory`: how fast memory is searched, how soon it is found, how much room it takes, and what HNSW misses.

In this process and on one core, the vectors given: embedding is measured elsewhere. The episodes are made of the words
of the benchmark's plans, each with a number of its own. Times are those of the processor; nothing else may run beside.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from auditor import Rules, State
from auditor.events import Captured, Recorded
from auditor.modality import ModalVector
from controlplane.contract import CaptureRequest
from controlplane.embedding import BatchingEmbedder, HashingEmbedder
from controlplane.embedding.port import Vectors
from controlplane.executor.matching import Sought, recall_matches
from controlplane.journal import decode_event, encode_event
from controlplane.memory.captured import episode_of
from controlplane.memory.space import Space
from controlplane.memory.store import MemoryStore
from controlplane.memory.vectorizers import vectorizers
from controlplane.remembering import OVERSAMPLING
from controlplane.settings import load

from .. import servers
from ..nearest import DIMENSION, QUERIES, at_once, clustered, recall
from ..workload import plans, surroundings

K, NOW = 5, 1_800_000_000.0
SIZES = (10_000, 100_000)
TENANTS, EACH = 1_000, 1_000
NEAREST = 10
INSERTS = 300
DISTINCT = 2_000  # plans


def captures(tenant: str, vectors: Vectors, seed: int, first: int = 1) -> Iterator[Recorded]:
    """One captured failure for each vector, each of a text of its own."""
    rng, made = Random(seed), list(islice(plans(seed), DISTINCT))
    for seq, vector in zip(count(first), vectors, strict=False):
        plan = made[seq % DISTINCT]
        failure = plan.failure(rng)
        request = CaptureRequest(
            goal=f"{plan.goal}, build {seq}",
            planned_action=plan.planned_action,
            environment=surroundings(rng),
            error_trace=f"{failure['error_trace']}, target t{seq}",
            resolution=failure["resolution"],
        )
        episode = msgspec.structs.replace(episode_of(request, ()), embedder="given", vector=vector.tobytes())
        yield Recorded(seq, Captured(tenant=tenant, at=NOW - seq, episode=episode))


def filled(vectors: Vectors) -> MemoryStore:
    memory = MemoryStore()
    memory.embedder = "given"
    memory.go_live()
    for recorded in captures("one", vectors, 1):
        memory.observe(recorded)
    space = memory.space("one", "")
    if space.episode_index is not None:
        asyncio.run(space.episode_index.maintain())
    return memory


def search(size: int) -> dict[str, float]:
    """Milliseconds of a search among so many episodes of one tenant, and until an addition is found."""
    vectors = clustered(size + QUERIES + INSERTS)
    memory, fold = filled(vectors[:size]), State(Rules(points={})).of("one")
    space, spent = memory.space("one", ""), []
    for plan, vector in zip(plans(2), vectors[size : size + QUERIES], strict=False):
        begun = time.thread_time()
        sought = Sought.of(plan.goal, plan.planned_action, vector, {"cluster": "prod"}, NOW)
        found = at_once(recall_matches(space, fold, sought, K * OVERSAMPLING))[:K]
        spent.append((time.thread_time() - begun) * 1e3)
        assert len(found) == K
    return {
        "p50_ms": quantile(spent, 0.5),
        "p99_ms": quantile(spent, 0.99),
        "recall_at_10": recalled(space, vectors[:size], vectors[size : size + QUERIES]),
        **inserting(memory, vectors[-INSERTS:], size),
    }


def inserting(memory: MemoryStore, vectors: Vectors, size: int) -> dict[str, float]:
    """Until what was captured is found by its vector and by its words."""
    space, fold, spent = memory.space("one", ""), State(Rules(points={})).of("one"), []
    for recorded, vector in zip(captures("one", vectors, 3, size + 1), vectors, strict=True):
        begun = time.thread_time()
        memory.observe(recorded)
        found = at_once(recall_matches(space, fold, Sought(vector, f"target t{recorded.seq}", {}, NOW), K))
        spent.append((time.thread_time() - begun) * 1e3)
        assert found[0].record.episode_id == recorded.seq
    return {"insert_to_findable_p50_ms": quantile(spent, 0.5), "insert_to_findable_p99_ms": quantile(spent, 0.99)}


def quantile(values: list[float], q: float) -> float:
    return round(float(np.quantile(values, q)), 2)


def recalled(space: Space, base: Vectors, queries: Vectors) -> float:
    """The mean share of the ten nearest that are found; an inner product with every vector knows them."""
    assert space.episode_index is not None
    shares = []
    for query in queries:
        truth = sorted((np.vecdot(base, query)).tolist(), reverse=True)[:NEAREST]
        shares.append(recall(list(enumerate(truth)), at_once(space.episode_index.search(query, NEAREST))))
    return round(float(np.mean(shares)), 4)


def tenants() -> dict[str, float]:
    """Resident memory of so many tenants, in a process of its own."""
    asked = [sys.executable, "-m", "benchmarks.memory", "--resident"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=3600)
    return {"tenants": TENANTS, "episodes_each": EACH, "resident_gib": round(float(told.stdout) / 2**30, 2)}


def resident() -> int:
    """Bytes that such a process comes to hold, over what it held before; each has two vectors, of text and error."""
    embedder = BatchingEmbedder()
    asyncio.run(embedder.load(HashingEmbedder))
    memory = MemoryStore(vectorizers(embedder, load({})))
    memory.embedder = "given"
    rng, before = np.random.default_rng(1), _resident()
    vectors = rng.standard_normal((EACH, DIMENSION)).astype(np.float32)
    error = {"error": ModalVector(model=embedder.name, vector=vectors[0].tobytes())}
    found = (msgspec.structs.replace(recorded.event, modalities=error) for recorded in captures("one", vectors, 1))
    past = [(seq, encode_event(event)) for seq, event in enumerate(found, 1)]
    memory.go_live()
    for tenant in range(TENANTS):
        for seq, payload in past:
            event = msgspec.structs.replace(decode_event(payload), tenant=f"tenant-{tenant}")
            memory.observe(Recorded(tenant * EACH + seq, event))
    return _resident() - before


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


PARTS = {
    **{f"search_{size}": (lambda size=size: search(size)) for size in SIZES},
    "tenants": tenants,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--resident", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", default=[*PARTS], help=f"some of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    if arguments.resident:
        print(resident())
        return
    servers.pin_load()
    found: dict[str, Any] = {}
    for name in arguments.parts:
        Console(stderr=True).print(f"measuring {name} ...")
        found[name] = PARTS[name]()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    table = Table("part", "figure", "value")
    for name, figures in found.items():
        for figure, value in figures.items():
            table.add_row(name, figure, str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
