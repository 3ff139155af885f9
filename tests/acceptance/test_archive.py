"""`pointsman archive` dies at every step: nothing is lost, the server goes on, and the next run archives."""

import asyncio
import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from controlplane.clock import SystemClock
from controlplane.retention import archive

from ..integration.conftest import Running, chosen
from ..tampering import SEAL, tamper
from .crowd import Crowd, verified
from .places import cases

Cli = Callable[..., Any]
Row = tuple[Any, ...]
KEEP = 20
ARCHIVING = ("archive.laid", "archive.filed", "archive.moving", "archive.moved")
FILES = ("file.written", "file.synced", "file.renamed")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The folder of a server that stopped two days ago, by its journal's column of times; of each seed one."""

    @cache
    def made(seed: int) -> Path:
        folder = tmp_path_factory.mktemp("past") / "data"
        with Running(chosen(folder)) as server:
            Crowd(seed).visit(server.url, 150)
        tamper(folder, "UPDATE events SET at = at - 172800")
        tamper(folder, SEAL)
        return folder

    return made


@pytest.fixture
def repeat() -> int:
    """Which of a night's repetitions, each with another seed."""
    return 0


@pytest.fixture
def data(past: Callable[[int], Path], tmp_path: Path, seed: int, repeat: int) -> Path:
    return Path(shutil.copytree(past(seed + repeat), tmp_path / "data"))


def events_of(folder: Path) -> list[Row]:
    """Every event there is, in the journal and in archives that it knows of."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        rows = database.execute("SELECT * FROM events").fetchall()
        known = [seq for (seq,) in database.execute("SELECT seq FROM archives")]
    for seq in known:
        with closing(sqlite3.connect(folder / "archive" / f"events-{seq:020d}.db")) as database:
            rows += database.execute("SELECT * FROM events").fetchall()
    return sorted(rows)


def test_people_and_machines_are_told_what_was_archived(cli: Cli, data: Path) -> None:
    before = events_of(data)
    told = json.loads(cli("archive", "--keep", str(KEEP), "--json").stdout)
    assert told["seq"] == len(before) - KEEP
    assert (data / "archive").stat().st_mode & 0o077 == 0, "for the owner only"
    again = cli("archive", "--keep", str(KEEP))
    assert (again.returncode, "nothing was archived" in again.stdout) == (0, True), again.stderr
    assert events_of(data) == before


@cases(ARCHIVING, nightly=FILES)
def test_an_archiving_that_dies_loses_nothing_and_the_next_one_ends_it(
    cli: Cli, data: Path, name: str, repeat: int
) -> None:
    before = events_of(data)
    doomed = cli("archive", "--keep", str(KEEP), POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    assert doomed.returncode == -signal.SIGKILL
    assert events_of(data) == before
    verified(data)
    with Running(chosen(data)) as server:
        server.gate()
    verified(data)
    since = [row for row in events_of(data) if row[0] > len(before)]
    asyncio.run(archive(data, KEEP, SystemClock(), lambda done, of: None))
    assert events_of(data) == before + since
    kinds = sorted(path.name.split("-")[0] for path in (data / "archive").iterdir())
    assert kinds[0] == "base"
    assert kinds.count("base") == 1, "what the interrupted run left is gone"
    with closing(sqlite3.connect(data / "journal.db")) as database:
        assert kinds.count("events") == database.execute("SELECT count(*) FROM archives").fetchone()[0]
    verified(data)
