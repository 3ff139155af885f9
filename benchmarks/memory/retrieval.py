"""`make bench-retrieval ARGS="--data DIR"`: does what memory finds show the fault that a new attempt runs into?

Recorded attempts arrive in a drawn order. Each of their steps that fails is first looked for, as an agent would have
asked before it; once the attempt is over, its failures are remembered. The ranking's weights were chosen on one half of
the attempts; figures are of the other.
"""

import argparse
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from auditor import Rules, State
from auditor.events import Captured, Recorded
from controlplane.clock import FixedClock
from controlplane.embedding import Vector
from controlplane.executor.matching import Sought, recall_matches
from controlplane.memory.captured import episode_of
from controlplane.memory.lexical import words_of
from controlplane.memory.store import MemoryStore
from controlplane.memory.texts import episode_text, episode_words

from ..learning import embedded, gating
from ..nearest import at_once
from .faults import exception, sql_fault

SETS: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "intercode": ("gate-sql", sql_fault),
    "swe_mini": ("gate-swe", exception),
}
ORDERS, FIRST, SPLIT = 2, 20_261_200, 7
TOP, CANDIDATES = 5, 20
TENANT = "bench"
Attempt = list[gating.Planned]
Ranked = dict[str, list[int]]  # by ranking: positions in memory, best first


class Asked(NamedTuple):
    """Of a step that failed: its fault, that of every remembered failure, and what each ranking put first."""

    fault: str
    remembered: list[str | None]
    ranked: Ranked


def attempts(data: Path, name: str, half: int) -> list[Attempt]:
    """The failed steps of the attempts of one half, those without any left out."""
    task = gating.TASKS[SETS[name][0]](data)
    failed = [[plan for plan in episode if plan.failed] for episode in task.episodes]
    found = [plans for plans in failed if plans]
    return [found[place] for place in np.random.default_rng(SPLIT).permutation(len(found))[half::2]]


class Memory:
    """One memory that three rankings search: the shipped one, plain cosine, and plain BM25."""

    def __init__(self, vectors: dict[str, Vector]) -> None:
        self._store, self._vectors, self._clock = MemoryStore(), vectors, FixedClock()
        self._store.embedder = "bench"
        self._store.go_live()
        self._fold = State(Rules(points={})).of(TENANT)
        self._space = self._store.space(TENANT, "")
        self._bm25 = sqlite3.connect(":memory:")
        self._bm25.execute("CREATE VIRTUAL TABLE texts USING fts5(text, content='')")
        self._place: dict[int, int] = {}
        self.faults: list[str | None] = []

    def remember(self, plan: gating.Planned, fault: str | None, seq: int) -> None:
        """As a capture does; an exact repeat is remembered once."""
        episode = episode_of(plan.captured, ())
        vector = self._vectors[episode_text(episode)].tobytes()
        episode = msgspec.structs.replace(episode, embedder="bench", vector=vector)
        self._store.observe(Recorded(seq, Captured(tenant=TENANT, at=self._clock.now(), episode=episode)))
        if seq not in self._space.episodes:
            return
        self._place[seq] = len(self.faults)
        self.faults.append(fault)
        text = episode_words(self._space.episodes[seq].episode)
        self._bm25.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (seq, " ".join(words_of(text))))

    def ranked(self, plan: gating.Planned) -> Ranked:
        asked, vector = plan.asked, self._vectors[plan.text]
        goal, action = asked.goal or "", asked.planned_action or ""
        sought = Sought.of(goal, action, vector, asked.environment, self._clock.now())
        near = at_once(self._space.episode_index.search(vector, TOP)) if self._space.episode_index else []
        shipped = at_once(recall_matches(self._space, self._fold, sought, CANDIDATES))[:TOP]
        found = {
            "cosine": [key for key, _ in near],
            "bm25": self._by_bm25(f"{goal}\n{action}"),
            "bm25_action": self._by_bm25(action),
            "fused": [match.record.episode_id for match in shipped],
        }
        return {name: [self._place[key] for key in keys] for name, keys in found.items()}

    def _by_bm25(self, text: str) -> list[int]:
        query = " OR ".join(f'"{word}"' for word in words_of(text))
        rows = self._bm25.execute("SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?", (query, TOP))
        return [key for (key,) in rows] if query else []


def stream(order: list[Attempt], fault_of: Callable[[str], str | None], vectors: dict[str, Vector]) -> Iterator[Asked]:
    memory, seq = Memory(vectors), 0
    for attempt in order:
        for plan in attempt:
            fault = fault_of(plan.error)
            if fault is not None and len(memory.faults) >= TOP:
                yield Asked(fault, memory.faults, memory.ranked(plan))
        for plan in attempt:
            seq += 1
            memory.remember(plan, fault_of(plan.error), seq)


def precision(asked: Asked) -> dict[str, tuple[float, float]]:
    """Whether the first shows the fault, and the share of the first five that do; for chance, of all."""
    same = np.array([fault == asked.fault for fault in asked.remembered])
    found = {name: (float(same[keys[:1]].sum()), float(same[keys].sum()) / TOP) for name, keys in asked.ranked.items()}
    return {"chance": (float(same.mean()), float(same.mean())), **found}


def measure(data: Path, name: str, half: int) -> dict[str, Any]:
    """Mean precision at 1 and 5 of each ranking over all orders."""
    tried, fault_of = attempts(data, name, half), SETS[name][1]
    texts = sorted({plan.text for attempt in attempts(data, name, 0) + attempts(data, name, 1) for plan in attempt})
    known = embedded.known(texts)
    vectors = dict(zip(texts, known.embed(texts), strict=True))
    rows = []
    for number in track(range(ORDERS), name, transient=True):
        places = np.random.default_rng(FIRST + 10 * half + number).permutation(len(tried))
        rows += [precision(asked) for asked in stream([tried[place] for place in places], fault_of, vectors)]
    means = {who: np.mean([row[who] for row in rows], axis=0) for who in rows[0]}
    figures = {who: {"p@1": round(float(p1), 4), "p@5": round(float(p5), 4)} for who, (p1, p5) in means.items()}
    return {"attempts": len(tried), "asked": len(rows), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory.retrieval", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds intercode and swe_mini")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--tuning", action="store_true", help="the half that weights were chosen on")
    arguments = parser.parse_args()
    found = {name: measure(arguments.data, name, 0 if arguments.tuning else 1) for name in SETS}
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    table = Table("ranking", *(f"{name} {at}" for name in SETS for at in ("p@1", "p@5")))
    for who in ("chance", "cosine", "bm25", "bm25_action", "fused"):
        table.add_row(who, *(f"{found[name][who][at]:.3f}" for name in SETS for at in ("p@1", "p@5")))
    Console().print(table)


if __name__ == "__main__":
    main()
