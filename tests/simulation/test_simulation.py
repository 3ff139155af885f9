"""The whole server in a simulated world, seed after seed: what is promised holds whatever goes wrong, and when."""

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from auditor.events import JobEnded, JobFailed
from controlplane.journal.codec import encode_event

from .receiver import HOW
from .run import Mode, Result, simulate
from .store import CrashingJournal

ROOT = Path(__file__).resolve().parents[2]
ENOUGH = 40  # seeds within which a weaker journal is found out
FEW, TOLD_EVERY = 100, 500  # seeds that one process runs, and after which there is a line on stderr
HAPPENS = {"crash", "trouble", "clock", "unheard", "503", "507"}
ALARMS = {"reports_withheld", "value_drifted", "recovery_file_damaged", "journal_in_trouble", "journal_healed"}
# What failed once: seed, operations, mode, and what was wrong then. Who changes what is drawn makes other runs of them.
FOUND: list[tuple[int, int, Mode, str]] = [
    (15, 150, "safety", "a keyed decision that may go on without the journal was a defect"),
    (6, 150, "safety", "a keyed call that was refused after its caller had left was warned of"),
    (0, 150, "liveness", "a purge whose caller had left was not finished"),
    (5, 150, "liveness", "after the clock had been ahead no later window closed"),
    (74, 150, "safety", "a key was made by a replacement that was refused"),
    (33, 150, "liveness", "an alarm waited for a clock that had been ahead"),
    (30162, 500, "liveness", "a repeated restore was answered with a later checkpoint of the same content"),
    (20270462, 150, "safety", "what was decided while the clock was behind stayed open when it was right again"),
    (
        20271523,
        150,
        "liveness",
        "a purge that a full disk kept unfinished at a start kept the memory from loading",
    ),
    (20272530, 150, "liveness", "why a report was late was told otherwise where that answer had to be made again"),
    (20275816, 150, "liveness", "what came in without a vector was expected never to get one"),
    (20262581, 500, "liveness", "calls that were answered in another order were counted in that one"),
]


def kept(result: Result) -> Counter[str]:
    """What a run did; a run that broke a promise ends the test."""
    assert not result.wrong, "\n".join([again(result), *result.wrong[:20]])
    return Counter(result.counts)


def again(result: Result) -> str:
    of = f"{result.seed} {result.operations} {result.mode}"
    return f"run it alone: .venv/bin/python -m tests.simulation.run {of}"


def lived(one: Callable[[int], Result], seeds: range) -> Iterator[Result]:
    """The runs in order; many are shared out among all cores, and no more are begun when nobody listens any more."""
    if len(seeds) <= FEW:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(one, seeds, chunksize=10)
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    ("seeds", "operations"),
    [
        (12, 150),
        pytest.param(20_000, 150, marks=pytest.mark.nightly),
        pytest.param(2_000, 500, marks=pytest.mark.nightly),
    ],
    ids=["few", "many", "long"],
)
@pytest.mark.parametrize("mode", ["safety", "liveness"])
def test_whatever_goes_wrong_what_is_promised_holds(
    seeds: int, operations: int, mode: Mode, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    half = seeds // 2
    chosen = range(seed, seed + half) if mode == "safety" else range(seed + half, seed + seeds)
    done, wrong = Counter[str](), []
    with contextlib.closing(lived(partial(simulate, operations=operations, mode=mode), chosen)) as runs:
        for count, result in enumerate(runs, 1):
            if result.wrong or count % TOLD_EVERY == 0:
                with capfd.disabled():
                    print(again(result) if result.wrong else f"{mode}: {count} of {half} seeds", file=sys.stderr)
            done += Counter(result.counts)
            wrong += [again(result), *result.wrong[:20]] if result.wrong else []
    print(f"{mode}: seeds {chosen[0]} to {chosen[-1]}, {dict(done.most_common())}")
    assert not wrong, "\n".join(wrong)
    assert HAPPENS - done.keys() == set()
    assert half <= FEW or (ALARMS | HOW.keys()) - done.keys() == set(), (
        "all kinds are told, and all goes wrong with them"
    )


@pytest.mark.parametrize("seeds", [2, pytest.param(500, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("mode", ["safety", "liveness"])
def test_it_holds_under_a_rule_that_folds_trajectories(seeds: int, mode: Mode, seed: int) -> None:
    one = partial(simulate, operations=150, mode=mode, update_rule="tree_backup")
    with contextlib.closing(lived(one, range(seed, seed + seeds))) as runs:
        done = sum((kept(result) for result in runs), Counter[str]())
    assert done["200"] > 0


@pytest.mark.parametrize(("seed", "operations", "mode", "was"), FOUND, ids=[was for *_, was in FOUND])
def test_a_seed_that_failed_once_holds(seed: int, operations: int, mode: Mode, was: str) -> None:
    kept(simulate(seed, operations, mode))


@pytest.mark.parametrize("mode", ["safety", "liveness"])
def test_the_same_seed_lives_the_same_life(mode: Mode, seed: int) -> None:
    """Also in another process, where sets and ids come in another order."""
    first, second = simulate(seed, 150, mode), simulate(seed, 150, mode)
    other = subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", str(seed), "150", mode],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "12345"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert first.trace == second.trace == other.stdout.strip()
    assert first.trace != simulate(seed + 1, 150, mode).trace


class Hasty(CrashingJournal):
    """Says that an append is done before it is on the disk."""

    async def append(self, *events: Any) -> int:
        first = self.last_seq + sum(len(appended) for _, appended in self._pending) + 1
        await super().append(*events) if self._faults.rng.random() < 0.5 else self._begin(events)
        return first

    def _begin(self, events: Any) -> None:
        self._pending.append((self._promise(), [(event, encode_event(event)) for event in events]))


class Forgetful(CrashingJournal):
    """Drops the newest event of what an earlier process wrote."""

    def __init__(self, *parts: Any) -> None:
        if parts[0].rows:
            parts[0].rows.pop()
        super().__init__(*parts)


class Stammering(CrashingJournal):
    """Writes an event again when it was refused though it was written."""

    async def append(self, *events: Any) -> int:
        first = await super().append(*events)
        return first if self._faults.rng.random() > 0.02 else await super().append(*events)


class Careless(CrashingJournal):
    """Says that an erasure is done and does nothing."""

    async def erase(self, tenant: str, seq: int) -> None:
        """Nothing at all."""


class Leaky(CrashingJournal):
    """Finds events by what they are about, whoever's they are."""

    async def about(self, tenant: str, ref: str, kind: str) -> list[Any]:
        return [found for found in self._disk.of((kind,), 0) if found.event.ref == ref]


class Amnesic(CrashingJournal):
    """Loses every record of how a decision ended that is not on the disk when it is asked to write them."""

    async def flush(self) -> None:
        self._unwritten.clear()


class Carefree(CrashingJournal):
    """Does not tell a process what the one before it owed to the world outside."""

    async def read_jobs(self, after: int, limit: int) -> list[Any]:
        return []


class Hopeful(CrashingJournal):
    """Notes of each try that failed that the job is done."""

    async def append(self, *events: Any) -> int:
        return await super().append(*map(_hopeful, events))


def _hopeful(event: Any) -> Any:
    if isinstance(event, JobFailed):
        return JobEnded(tenant=event.tenant, at=event.at, job_id=event.job_id, fence=event.fence)
    return event


WEAKER = [Hasty, Forgetful, Stammering, Careless, Leaky, Amnesic, Carefree, Hopeful]


@pytest.mark.parametrize("weaker", WEAKER)
def test_the_simulation_finds_what_a_weaker_journal_breaks(weaker: Callable[..., CrashingJournal], seed: int) -> None:
    for number in range(seed, seed + ENOUGH):
        if wrong := simulate(number, 100, "safety", weaker).wrong:
            print(f"found with seed {number}: {wrong[0][-200:]}")
            return
    pytest.fail(f"{ENOUGH} seeds found nothing wrong")
