"""Exact and HNSW search beside each other, on one core: a search, an addition, recall@10. The switch point's ground.

Vectors around a few hundred centres; with --data also the real texts of an agent at work on databases, embedded by
the shipped model. The gate's benchmark adds what its server remembered.
"""

import gzip
import json
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from controlplane.embedding import SentenceEmbedder
from controlplane.embedding.port import Vectors
from controlplane.memory.exact import ExactIndex
from controlplane.memory.hnsw import HnswIndex
from controlplane.memory.texts import plan_text

from . import servers

DIMENSION, K, QUERIES, ADDED = 384, 10, 200, 200
SIZES = (1_000, 2_000, 4_000, 10_000, 20_000, 50_000)
TEXTS, LONGEST, BATCH = 4_000, 400, 64  # of the real ones
SAME = 1e-5  # similarities nearer to each other than this are a tie

T = TypeVar("T")


def at_once(search: Coroutine[None, None, T]) -> T:
    """What a search within the process finds: it waits for nothing."""
    try:
        search.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    raise AssertionError("it waited")


def by_size(vectors: Vectors) -> dict[str, Any]:
    """Both indexes over ever more of the vectors; the last few are what is searched for."""
    base, queries = vectors[:-QUERIES], vectors[-QUERIES:]
    return {str(size): compare(base[:size], queries) for size in sorted({*SIZES, len(base)}) if size <= len(base)}


def compare(base: Vectors, queries: Vectors) -> dict[str, float]:
    """Median microseconds of a search and of an addition, and the share of the ten nearest that HNSW finds."""
    exact, first = ExactIndex(DIMENSION), len(base) - ADDED
    for key in range(first):
        exact.add(key, base[key])
    graph = HnswIndex(np.arange(first), base[:first], room=2 * len(base))
    late = range(first, len(base))
    exact_add = timed(lambda key: exact.add(key, base[key]), late)
    graph_add = timed(lambda key: graph.add(key, base[key]), late)
    truth, near = ([index.search(query, K) for query in queries] for index in (exact, graph))
    return {
        "exact_us": timed(lambda query: exact.search(query, K), queries),
        "exact_add_us": exact_add,
        "hnsw_us": timed(lambda query: graph.search(query, K), queries),
        "hnsw_add_us": graph_add,
        "hnsw_recall_at_10": round(statistics.mean(map(recall, truth, near)), 4),
    }


def recall(truth: list[tuple[int, float]], found: list[tuple[int, float]]) -> float:
    """Share of what was found that is as near as the furthest of the truly nearest: equal texts are interchangeable."""
    furthest = truth[-1][1] - SAME
    return sum(similarity >= furthest for _, similarity in found) / len(truth)


def timed(call: Callable[[Any], object], arguments: Sequence[Any] | NDArray[Any]) -> float:
    times = []
    for argument in arguments:
        begun = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - begun)
    return round(statistics.median(times) * 1e6, 1)


def clustered(count: int) -> Vectors:
    """Unit vectors around a few hundred centres, as texts of a few hundred kinds are."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((300, DIMENSION))
    vectors = centres[rng.integers(0, 300, count)] + 0.7 * rng.standard_normal((count, DIMENSION))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def sql_texts(data: Path) -> list[str]:
    """Question and statement of so many distinct steps of an agent at work on databases."""
    goals = {task["task"]: task["goal"] for task in _rows(data / "intercode" / "sql_tasks.jsonl.gz")}
    steps = _rows(data / "intercode" / "sql_steps.jsonl.gz")
    texts = {plan_text(goals[step["task"]], step["action"]) for step in steps if len(step["action"]) <= LONGEST}
    return Random(1).sample(sorted(texts), TEXTS + QUERIES)


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def embedded(texts: Sequence[str]) -> Vectors:
    embedder = SentenceEmbedder()
    return np.concatenate([embedder.embed(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])


def measure(data: Path | None = None) -> dict[str, Any]:
    """Over made-up clusters, and over real texts where there are any."""
    real = embedded(sql_texts(data)) if data is not None else None
    servers.pin_load()
    found = {"clustered": by_size(clustered(SIZES[-1] + QUERIES))}
    return found if real is None else {**found, "sql_texts": by_size(real)}
