"""A write that fails is refused and changes nothing; the server goes on, and what it acknowledged is there."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane import failpoints
from controlplane.errors import PointsmanError
from controlplane.failpoints import FAILPOINTS
from controlplane.service import Service

from ..acceptance.crowd import Crowd, verified
from .conftest import chosen

Serve = Callable[..., Any]
FAILING = {name for name, point in FAILPOINTS.items() if point.error is not None}
AT_START, AT_STOP = {"journal.migrate"}, {"shutdown.recovery", "recovery.prune", "journal.records"}
NTH = {"journal.insert": 20}


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


@pytest.mark.parametrize("enough", [100, pytest.param(250, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", sorted(FAILING - AT_START - AT_STOP))
def test_a_write_that_fails_under_load_is_refused_and_nothing_is_lost(
    serve: Serve, seed: int, name: str, enough: int
) -> None:
    crowd, server = Crowd(seed), serve(recovery_interval_s=3600.0)
    failpoints.arm(f"{name}:error@{NTH.get(name, 1)}")
    crowd.visit(server.url, enough)
    if not crowd.refused:  # whose turn it is, is chance: now and then nobody made a checkpoint yet
        crowd.visit(server.url, refusals=1)
    assert server.get("/status")["healthy"] is True
    server.stop()
    crowd.check(Path(server.settings.data_dir))
    verified(Path(server.settings.data_dir))


@pytest.mark.parametrize("name", sorted(AT_STOP | {"file.written", "file.synced", "file.renamed"}))
def test_a_recovery_file_that_cannot_be_written_costs_time_at_the_next_start_only(
    serve: Serve, seed: int, name: str
) -> None:
    crowd, server = Crowd(seed), serve(recovery_interval_s=3600.0)
    crowd.visit(server.url, 60)
    failpoints.arm(f"{name}:error@1")
    server.stop()
    folder = Path(server.settings.data_dir)
    assert list(folder.rglob("*.tmp")) == []
    failpoints.arm("")
    again = serve()
    crowd.visit(again.url, 60)
    again.stop()
    crowd.check(folder)
    verified(folder)


def test_a_schema_that_cannot_be_made_ends_the_start_and_the_next_one_makes_it(serve: Serve, tmp_path: Path) -> None:
    failpoints.arm("journal.migrate:error@2")
    with pytest.raises((PointsmanError, sqlite3.Error)):
        asyncio.run(Service.open(chosen(tmp_path / "data")))
    failpoints.arm("")
    assert serve().gate()["abstained"] is True


def test_a_purge_that_could_not_overwrite_is_finished_with_the_next_write(serve: Serve) -> None:
    server = serve()
    secret = "the-canary-55aa"
    episode_id = server.capture(custom={"note": secret})["episode_id"]
    failpoints.arm("journal.erase:error@1")
    refused = server.client.delete(f"/v1/episodes/{episode_id}")
    assert refused.status_code == 503
    assert "overwritten with the next write" in refused.json()["detail"]
    assert server.client.get(f"/v1/episodes/{episode_id}").status_code == 404
    server.gate()
    server.until(lambda: secret.encode() not in _bytes_of(Path(server.settings.data_dir)))


def _bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("journal.db*"))
