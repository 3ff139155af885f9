"""Replicas that die and stand still at any await, and servers that go away: nothing is lost, doubled or another's."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.events import WindowClosed
from controlplane.budgets import Reservation
from controlplane.errors import JournalUnavailable
from controlplane.journal.postgres.groups import GROUP
from controlplane.journal.postgres.journal import CLOSING_S
from controlplane.journal.postgres.lease import RELEASE_S
from controlplane.service import LAST_S

from .engines import HOW
from .process import heard, uncollected
from .replicas import Group, ReplicatedLoop

CLIENTS, STEPS, FEW, REPLICAS = 5, 60, 20, 3


@contextlib.contextmanager
def world(seed: int, folder: Path, replicas: int) -> Iterator[Group]:
    """Replicas that are not started yet, on a loop of their own."""
    folder.mkdir()
    rng = random.Random(seed)
    loop = ReplicatedLoop(rng)
    asyncio.set_event_loop(loop)
    try:
        yield Group(loop, rng, folder, replicas)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def played(seed: int, folder: Path, steps: int = STEPS) -> tuple[list[str], list[str], Counter[str]]:
    """What was wrong, the kinds of all events in order, and what happened."""
    with world(seed, folder, REPLICAS) as group:
        with heard() as defects, uncollected():
            wrong = group.loop.run_until_complete(group.run(CLIENTS, steps))
        wrong += [*defects, *group.loop.defects]
        return wrong, [row[2] for row in group.tables.events], group.happened


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


async def stopped_without_database(group: Group) -> float:
    """How long one replica takes that leads, owes the ends of calls and has more to write than one group [s]."""
    group.faults.over()
    await group.start(0)
    service, loop = group.services[0], group.loop
    while not service.journal.leads:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    group.faults.share = 1.0
    for n in range(20):
        service.budgets.abandon(Reservation(f"rv_{n}", "default", 1))
    waiting = [
        loop.create_task(service.journal.append(WindowClosed(tenant="default", at=0.0, trace_id=f"tr_{n}")))
        for n in range(4 * GROUP)
    ]
    begun = loop.time()
    await loop.begin(0, service.close())
    took_s = loop.time() - begun
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in told} == {JournalUnavailable}
    return took_s


def test_a_replica_stops_in_time_though_its_database_is_away(tmp_path: Path, seed: int) -> None:
    """By the world's clock: what waits is given up, however much of it there is."""
    with world(seed, tmp_path / "world", 1) as group, heard():
        took_s = group.loop.run_until_complete(stopped_without_database(group))
    assert took_s < LAST_S + CLOSING_S + RELEASE_S


@pytest.mark.nightly
def test_whatever_befalls_replicas_in_hundreds_of_worlds(tmp_path: Path, seed: int) -> None:
    happened = Counter[str]()
    for n in range(300):
        wrong, events, seen = played(seed + n, tmp_path / f"{n}")
        assert wrong == [], f"--seed {seed + n}: {wrong[:5]}"
        happened += seen
        happened["events"] += len(events)
    print(dict(happened))
