"""Replicas that die and stand still at any await, and servers that go away: nothing is lost, doubled or another's."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from .engines import HOW
from .process import heard, uncollected
from .replicas import Group, ReplicatedLoop

CLIENTS, STEPS, FEW, REPLICAS = 5, 60, 20, 3


def played(seed: int, folder: Path, steps: int = STEPS) -> tuple[list[str], list[str], Counter[str]]:
    """What was wrong, the kinds of all events in order, and what happened."""
    folder.mkdir()
    rng = random.Random(seed)
    loop = ReplicatedLoop(rng)
    asyncio.set_event_loop(loop)
    try:
        with heard() as defects, uncollected():
            group = Group(loop, rng, folder, REPLICAS)
            wrong = loop.run_until_complete(group.run(CLIENTS, steps))
        wrong += [*defects, *loop.defects]
        return wrong, [row[2] for row in group.tables.events], group.happened
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_whatever_befalls_replicas_the_log_has_everything_once(tmp_path: Path, seed: int) -> None:
    happened = Counter[str]()
    for n in range(3):
        wrong, _, seen = played(seed + n, tmp_path / f"{n}")
        assert wrong == [], f"--seed {seed + n}: {wrong[:5]}"
        happened += seen
    assert {"killed", "paused", "died of", "given up on", *HOW} <= happened.keys()


def test_the_same_seed_is_the_same_run(tmp_path: Path, seed: int) -> None:
    runs = [played(seed, tmp_path / name, FEW)[1:] for name in ("a", "b")]
    assert runs[0] == runs[1]


@pytest.mark.nightly
def test_whatever_befalls_replicas_in_hundreds_of_worlds(tmp_path: Path, seed: int) -> None:
    happened = Counter[str]()
    for n in range(300):
        wrong, events, seen = played(seed + n, tmp_path / f"{n}")
        assert wrong == [], f"--seed {seed + n}: {wrong[:5]}"
        happened += seen
        happened["events"] += len(events)
    print(dict(happened))
