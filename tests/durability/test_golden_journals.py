"""Journals that earlier versions wrote: they migrate once, and fold to what was learnt from them then."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import aiosqlite
import pytest

from controlplane.journal import SqliteJournal, connect
from controlplane.journal.queries import migrations
from controlplane.refold import refold

from .golden_journals import GOLDEN, NAMES, unpacked

EVERYTHING = 2**60
STEPS_OF_OPENING = 8  # without a migration


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(name: str, tmp_path: Path) -> Path:
    """A copy of the golden journal."""
    return unpacked(name, tmp_path / "journal.db")


@pytest.fixture
async def journal(file: Path) -> AsyncIterator[SqliteJournal]:
    opened = await SqliteJournal.open(connect(file))
    yield opened
    await opened.close()


def schema(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def content(file: Path) -> bytes:
    return file.read_bytes()


def test_there_is_a_golden_journal() -> None:
    assert NAMES


async def test_an_old_journal_folds_to_what_was_learnt_from_it(journal: SqliteJournal, name: str) -> None:
    """Floats to nine digits: the C library's logarithm may differ in the last one."""
    state = (await refold(journal, journal.last_seq)).state
    fold = state.tenants["default"]
    learnt: dict[str, Any] = {"events": state.seq, "open": len(fold.credit.open)}
    for point, policy in sorted(fold.policies.items()):
        cells = list(policy.table.cells())
        learnt[point] = {"updates": policy.updates, "cells": len(cells), "visits": sum(c[3] for c in cells)}
        learnt[point]["values"] = float(f"{sum(c[2] for c in cells):.9g}")
    learnt["cases"] = {
        sig: [record.successes, record.failures] for (_, sig), record in sorted(fold.cases.records.items())
    }
    learnt["weights"] = {kind: float(f"{weight:.9g}") for kind, weight in sorted(fold.cases.weights.items())}
    learnt["skills"] = sorted(skill.status for skill in fold.skills.by_episode.values())
    print(json.dumps(learnt))
    assert learnt == json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


async def test_an_old_journal_migrates_once_and_twice_is_no_change(file: Path) -> None:
    seen = []
    for _ in range(2):
        opened = await SqliteJournal.open(connect(file))
        await opened.close()
        seen.append((opened.last_seq, schema(file), content(file)))
    assert seen[0] == seen[1]
    assert seen[0][1] == migrations()[-1][0]


async def test_a_migration_cut_short_at_any_step_is_taken_up_again(file: Path, name: str) -> None:
    """Each step is one transaction: whatever ran before the process died ran whole."""
    assert schema(file) == int(name.removeprefix("schema-"))
    golden, cuts = content(file), 0
    while not await opens(file, golden, cuts):
        cuts += 1
        opened = await SqliteJournal.open(connect(file))
        assert [recorded.seq for recorded in await opened.read(0, EVERYTHING)] == [*range(1, opened.last_seq + 1)]
        assert await opened.all_learned(EVERYTHING)
        await opened.close()
        assert schema(file) == migrations()[-1][0]
    assert cuts > STEPS_OF_OPENING


async def opens(file: Path, golden: bytes, steps: int) -> bool:
    """Whether the golden journal opens when the process dies after so many steps."""
    Path.write_bytes(file, golden)

    async def dying() -> aiosqlite.Connection:
        return cast(aiosqlite.Connection, Dying(await connect(file)(), steps))

    try:
        journal = await SqliteJournal.open(dying)
    except Died:
        return False
    await journal.close()
    return True


class Died(Exception):
    """What is left of a process."""


class Dying:
    """A connection whose process dies after so many steps: what it had begun, nobody ends."""

    def __init__(self, connection: aiosqlite.Connection, steps: int) -> None:
        self._connection, self._left = connection, steps
        self.close = connection.close

    def __getattr__(self, name: str) -> Any:
        if self._left == 0:
            raise Died
        self._left -= 1
        return getattr(self._connection, name)
