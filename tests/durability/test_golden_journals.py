"""Journals that earlier versions wrote: they migrate once, and fold to what was learnt from them then."""

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast, get_args

import aiosqlite
import pytest

from auditor.events import AnyEvent
from auditor.fold import TenantFold
from auditor.ledger import Ledger
from auditor.packing import encode, packed
from controlplane.jobs import Jobs
from controlplane.journal import SqliteJournal, connect
from controlplane.journal.queries import migrations
from controlplane.refold import refold
from controlplane.tenants import Registry

from ..deciding import EVERYTHING, decisions_taken_again
from .golden_journals import GOLDEN, NAMES, schema_of, unpacked

TODAYS = migrations()[-1][0]
DECISIONS = 100  # each golden journal has more
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


async def test_the_newest_golden_journal_has_todays_schema_and_every_kind_of_event(tmp_path: Path) -> None:
    newest = max(NAMES, key=schema_of)
    assert schema_of(newest) == TODAYS
    journal = await SqliteJournal.open(connect(unpacked(newest, tmp_path / "journal.db")))
    kinds = {recorded.event.kind for recorded in await journal.read(0, EVERYTHING)}
    await journal.close()
    assert kinds == {str(kind.__struct_config__.tag) for kind in get_args(AnyEvent)}


async def test_an_old_journal_folds_to_what_was_learnt_from_it(journal: SqliteJournal, name: str) -> None:
    """Every cell, case and skill bit for bit; weights to nine digits, for the C library's logarithm may differ."""
    state = (await refold(journal, journal.last_seq)).state
    jobs, access, kinds = Jobs(), Registry(pepper=b""), Counter[str]()
    for recorded in await journal.read(0, EVERYTHING):
        jobs.apply(recorded.event)
        access.observe(recorded)
        kinds[recorded.event.kind] += 1
    found = {
        "events": dict(sorted(kinds.items())),
        "learnt": {tenant: what_was_learnt(fold) for tenant, fold in sorted(state.tenants.items())},
        "access": {"tenants": sorted(access.tenants), "keys": sum(not key.ended for key in access.keys.values())},
        "owed": len(jobs.open),
        **({"money": what_was_spent(state.ledger)} if state.ledger.accounts else {}),
    }
    print(json.dumps(found, indent=1))
    assert found == json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def what_was_learnt(fold: TenantFold) -> dict[str, Any]:
    cases, (validations, skills) = fold.cases.dump(), fold.skills.dump()
    return {
        "policies": {
            point: {"updates": policy.updates, "cells": policy.table.pairs, "digest": digest(policy.table.cells())}
            for point, policy in sorted(fold.policies.items())
        },
        **({"imported": what_is_read(fold)} if fold.imported else {}),
        "open": len(fold.credit.open),
        "cases": {"records": len(cases.records), "digest": digest([*cases.records, cases.all])},
        "weights": {kind: float(f"{weight:.9g}") for kind, weight in sorted(cases.weights.items())},
        "skills": {"validated": len(validations), "skills": len(skills), "digest": digest([*validations, *skills])},
        **({"sessions": what_came_of_sessions(fold)} if fold.sessions.outcomes else {}),
        **({"worth": at_rest(fold.worth.dump())} if fold.worth.items else {}),
    }


def what_came_of_sessions(fold: TenantFold) -> dict[str, Any]:
    sessions = fold.sessions
    version = sessions.ranker.version if sessions.ranker else 0
    return {"outcomes": sessions.outcomes, "ranker": version, "digest": at_rest(sessions.dump())}


def what_is_read(fold: TenantFold) -> dict[str, Any]:
    """Of what was imported: how many origins, and each cell as it is read with the tenant's own."""
    views = {point: fold.policies[point].table.view for point in sorted(fold.imported)}
    return {
        point: {
            "origins": len(fold.imported[point]),
            "digest": digest(
                (key, action, cell.value, cell.visits)
                for key, row in sorted(view.items())
                for action, cell in sorted(row.items())
            ),
        }
        for point, view in views.items()
    }


def what_was_spent(ledger: Ledger) -> dict[str, Any]:
    """Exact: it is in whole nano-USD."""
    return {
        "spent": ledger.accounts["global", "", ""].total.spent,
        "limits": len(ledger.limits),
        "held": len(ledger.held),
        "unreconciled": len(ledger.unreconciled),
        "digest": at_rest(ledger.dump()),
    }


def at_rest(dump: object) -> str:
    return digest(b"".join(packed(dump)))


def digest(rows: Iterable[object]) -> str:
    """Of rows with exact numbers: a float is its eight bytes."""
    return blake2b(encode(list(rows)), digest_size=16).hexdigest()


async def test_every_decision_of_an_old_journal_is_taken_again_as_it_was(file: Path) -> None:
    assert await decisions_taken_again(file) > DECISIONS


async def test_an_old_journal_migrates_once_and_twice_is_no_change(file: Path) -> None:
    seen = []
    for _ in range(2):
        opened = await SqliteJournal.open(connect(file))
        await opened.close()
        seen.append((opened.last_seq, schema(file), content(file)))
    assert seen[0] == seen[1]
    assert seen[0][1] == TODAYS


@pytest.mark.parametrize("name", [name for name in NAMES if schema_of(name) < TODAYS])
async def test_a_migration_cut_short_at_any_step_is_taken_up_again(file: Path, name: str) -> None:
    """Each step is one transaction: whatever ran before the process died ran whole."""
    assert schema(file) == schema_of(name)
    golden, cuts = content(file), 0
    while not await opens(file, golden, cuts):
        cuts += 1
        opened = await SqliteJournal.open(connect(file))
        assert [recorded.seq for recorded in await opened.read(0, EVERYTHING)] == [*range(1, opened.last_seq + 1)]
        assert [pair async for pair in opened.all_learned(EVERYTHING)]
        await opened.close()
        assert schema(file) == TODAYS
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
