"""Replicas of two versions on one database: neither breaks the other, and who cannot go on says so."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from auditor.event import Event
from auditor.events import WindowClosed
from benchmarks.services import Postgres
from controlplane.clock import SystemClock
from controlplane.contract import DecisionRequest
from controlplane.doctor import examine
from controlplane.errors import PointsmanError
from controlplane.journal.newer import JournalNewer
from controlplane.journal.postgres import PostgresJournal
from controlplane.service import Service
from controlplane.tenants.registry import LOCAL

from .test_replicas import chosen, leading

LATER = "INSERT INTO schema_version VALUES (999)"
EARLIER = "UPDATE schema_version SET number = 0"


class Unheard(Event, frozen=True, kw_only=True, tag="unheard_of"):
    """An event of a kind that only a newer version has."""


class ClosedLater(WindowClosed, frozen=True, kw_only=True, tag="window_closed"):
    """One of a kind that is known, with a field that is not."""

    late_s: float


@pytest.fixture
async def replica(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """It leads."""
    service = await Service.open(chosen(tmp_path / "replica", database_url, insecure_local=True))
    await service.loaded()
    await leading(service)
    yield service
    await service.close()


async def stopped(service: Service) -> None:
    async with asyncio.timeout(30):
        while service.healthy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def decided(service: Service) -> None:
    assert (await service.plane.decide(LOCAL, DecisionRequest(planned_action="ls"))).trace_id is not None


def of(database_url: str) -> str:
    return database_url.rpartition("/")[2]


async def test_an_older_version_does_not_start_on_a_newer_schema(
    database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    await (await PostgresJournal.open(database_url, SystemClock())).close()
    postgres.ask(LATER, of(database_url))
    with pytest.raises(JournalNewer, match=r"has schema 999.*; install the newer Pointsman"):
        await PostgresJournal.open(database_url, SystemClock())
    settings = chosen(tmp_path / "replica", database_url, insecure_local=True)
    [found] = await asyncio.to_thread(
        lambda: [finding for finding in examine(settings, SystemClock()) if finding.about == "database"]
    )
    assert (found.state, "schema 999" in found.said) == ("broken", True)


async def test_a_running_replica_stops_when_a_newer_version_has_changed_the_schema(
    replica: Service, database_url: str, postgres: Postgres
) -> None:
    await decided(replica)
    postgres.ask(LATER, of(database_url))
    await stopped(replica)
    assert replica.journal.trouble == JournalNewer.code
    with pytest.raises(JournalNewer, match="has schema 999"):
        await decided(replica)


async def test_a_newer_version_does_not_change_the_schema_under_replicas_that_run(
    replica: Service, database_url: str, postgres: Postgres
) -> None:
    """To it, this version's schema is what 0 is to this one: an earlier one, in use."""
    postgres.ask(EARLIER, of(database_url))
    with pytest.raises(PointsmanError, match=r"replicas of an earlier version run .*: stop them all, then start"):
        await PostgresJournal.open(database_url, SystemClock())
    assert postgres.ask("SELECT max(number) FROM schema_version", of(database_url)) == "0"
    await decided(replica)
    assert replica.healthy


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Unheard(tenant="default", at=1.0), "unheard_of"),
        (ClosedLater(tenant="default", at=1.0, trace_id="tr_1", late_s=2.0), "late_s"),
    ],
)
async def test_a_replica_does_not_fold_past_an_event_that_it_does_not_know(
    replica: Service, database_url: str, event: Any, said: str
) -> None:
    newer = await PostgresJournal.open(database_url, SystemClock())
    unknown = await newer.append(event, WindowClosed(tenant="default", at=1.0, trace_id="tr_1"))
    await newer.close()
    await stopped(replica)
    assert replica.learner.version < unknown
    with pytest.raises(JournalNewer, match=f"not know all of event {unknown}: .*{said}.*; install the newer Pointsman"):
        await decided(replica)
