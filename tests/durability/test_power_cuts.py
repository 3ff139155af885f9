"""Power cuts anywhere in the lives of a journal: what was acknowledged is there once, and what was erased is not."""

import random
from pathlib import Path

import pytest

from controlplane.journal.queries import migrations

from .cuts import cut_through, put
from .ledger import Ledger
from .life import Life
from .recorder import Recorder

HISTORIES = 20  # within which damage must be found; the first usually does
NEWEST = migrations()[-1][0]
MOMENTS = {  # steps that every run is cut after: creation, commits, folding the log, emptying and removing it
    *(f"{kind} journal.db" for kind in ("create", "write", "truncate", "sync")),
    *(f"{kind} journal.db-journal" for kind in ("create", "write", "sync", "unlink")),
    *(f"{kind} journal.db-wal" for kind in ("create", "write", "truncate", "sync", "unlink")),
}
NECESSARY = [  # a statement of the journal, what stands in its place, and what then breaks
    ("PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL", "lost"),
    ("PRAGMA journal_mode = WAL", "PRAGMA journal_mode = MEMORY", "unreadable"),
    ("PRAGMA secure_delete = ON", "PRAGMA secure_delete = OFF", "unerased"),
    ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(PASSIVE)", "unerased"),
    (f"PRAGMA user_version = {NEWEST}", "PRAGMA user_version", "unerased"),
]


@pytest.mark.parametrize("cuts", [400, pytest.param(100_000, marks=pytest.mark.nightly)])
async def test_nothing_acknowledged_is_lost_doubled_or_unerased_by_a_power_cut(
    cuts: int, seed: int, folder: Path
) -> None:
    tally = await cut_through(seed, cuts, folder, {})
    print(tally)
    assert not tally.findings, str(tally)
    assert tally.acknowledged > 50 * cuts, "a journal that promised nothing would break no promise"
    assert set(tally.after) >= MOMENTS


@pytest.mark.parametrize(("statement", "other", "breaks"), NECESSARY, ids=[other for _, other, _ in NECESSARY])
async def test_power_cuts_find_what_a_weaker_journal_breaks(
    statement: str, other: str, breaks: str, seed: int, folder: Path
) -> None:
    for first in range(seed, seed + HISTORIES):
        tally = await cut_through(first, 1, folder, {statement: other})
        if tally.broken[breaks]:
            return
    pytest.fail(f"{HISTORIES} histories did not show that {statement} is needed")


async def test_the_same_seed_lives_the_same_life(seed: int, folder: Path) -> None:
    """To the byte, but for the salts of the log, which SQLite draws by itself."""
    once, again = [await steps_of_a_life(seed, folder) for _ in range(2)]
    assert len(once) > 50
    assert once == again


async def steps_of_a_life(seed: int, folder: Path) -> list[tuple[str, str, int, int]]:
    put({}, folder)
    with Recorder() as recorder:
        await Life(recorder, folder, Ledger(), random.Random(seed), {}).run()
    return [(step.kind, step.file, step.at, len(step.data)) for step in recorder.log]
