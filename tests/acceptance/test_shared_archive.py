"""`pointsman archive` and `migrate` die at every step on PostgreSQL: nothing is lost, the next run ends it."""

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from auditor import Outcome
from benchmarks.services import Postgres
from controlplane.clock import SystemClock
from controlplane.contract import DecisionRequest, FeedbackRequest
from controlplane.service import Service
from controlplane.tenants import LOCAL

from ..integration.conftest import chosen
from .places import cases

Start = Callable[..., Any]
Cli = Callable[..., Any]
SHARED_ARCHIVING = ("shared.filed", "shared.archived")
MIGRATING = ("shared.copied", "shared.records")
KEEP, TURNS = "20", 30


class TwoDaysAgo(SystemClock):
    """Runs as any clock does."""

    def now(self) -> float:
        return super().now() - 2 * 86_400


async def _lived(service: Service) -> None:
    """Decisions and their reports; then it stops."""
    async with asyncio.timeout(30):
        while not service.journal.leads:  # noqa: ASYNC110  # it rings no bell
            await asyncio.sleep(0.01)
    for n in range(TURNS):
        made = await service.plane.decide(LOCAL, DecisionRequest(planned_action=f"make part_{n % 5}", task_id=f"t{n}"))
        assert made.trace_id is not None
        report = FeedbackRequest(trace_id=made.trace_id, outcome=Outcome(success=n % 3 > 0, terminal=True))
        await service.learning.feedback(LOCAL, report)
    await service.close()


def lived(folder: Path, clock: SystemClock, **settings: Any) -> None:
    folder.mkdir(exist_ok=True)

    async def live() -> None:
        await _lived(await Service.open(chosen(folder, **settings), clock))

    asyncio.run(live())


def in_database(postgres: Postgres, url: str) -> dict[int, bytes]:
    """Every event that the log has."""
    rows = postgres.ask("SELECT seq || ' ' || encode(payload, 'hex') FROM events", url.rpartition("/")[2]).splitlines()
    return {int(seq): bytes.fromhex(payload) for seq, _, payload in (row.partition(" ") for row in rows)}


def in_files(folder: Path) -> dict[int, bytes]:
    """Every event that archives have; none is in two of them."""
    found: dict[int, bytes] = {}
    for file in (folder / "archive").iterdir():
        with closing(sqlite3.connect(file)) as database:
            rows = dict(database.execute("SELECT seq, payload FROM events").fetchall())
        assert found.keys() & rows.keys() == set()
        found |= rows
    return found


@cases(SHARED_ARCHIVING[:0], nightly=SHARED_ARCHIVING)
def test_an_archiving_of_replicas_that_dies_loses_nothing_and_the_next_one_ends_it(
    start: Start, cli: Cli, postgres: Postgres, database_url: str, tmp_path: Path, name: str, repeat: int
) -> None:
    lived(tmp_path / "past", TwoDaysAgo(), database_url=database_url)
    shared, before = {"POINTSMAN_DATABASE_URL": database_url}, in_database(postgres, database_url)
    doomed = cli("archive", "--keep", KEEP, **shared, POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    assert doomed.returncode == -signal.SIGKILL
    taken = in_files(tmp_path / "data")
    assert taken
    assert {**taken, **in_database(postgres, database_url)} == before
    assert (taken.keys() & in_database(postgres, database_url).keys() == set()) == (name == "shared.archived")
    start(folder="replica", **shared).end()
    done = cli("archive", "--keep", "10", **shared)
    assert done.returncode == 0, done.stderr
    archived, left = in_files(tmp_path / "data"), in_database(postgres, database_url)
    assert archived.keys() & left.keys() == set()
    assert before.items() <= {**archived, **left}.items()
    verified = cli("rebuild", "--verify", **shared)
    assert "bit-identical" in verified.stdout, verified.stderr


@cases(MIGRATING[:1], nightly=MIGRATING[1:])
def test_a_migration_that_dies_goes_on_where_it_was(
    cli: Cli, postgres: Postgres, database_url: str, tmp_path: Path, name: str, repeat: int
) -> None:
    lived(tmp_path / "data", SystemClock())
    shared = {"POINTSMAN_DATABASE_URL": database_url}
    doomed = cli("migrate", **shared, POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    assert doomed.returncode == -signal.SIGKILL
    copied = len(in_database(postgres, database_url))
    done = cli("migrate", **shared)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as journal:
        events = dict(journal.execute("SELECT seq, payload FROM events").fetchall())
        records = journal.execute("SELECT count(*) FROM learned").fetchone()[0]
    assert in_database(postgres, database_url) == events
    assert postgres.ask("SELECT count(*) FROM learned", database_url.rpartition("/")[2]) == str(records)
    assert f"{len(events) - copied} event(s) copied" in done.stdout
    verified = cli("rebuild", "--verify", **shared)
    assert "bit-identical" in verified.stdout, verified.stderr
