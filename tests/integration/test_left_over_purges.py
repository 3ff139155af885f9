"""What was purged is off the disk a moment later, also where whoever purged it died before it overwrote anything."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from auditor.events import AnyEvent, EpisodeDeleted
from auditor.passage_events import DocumentsDropped
from auditor.reflection_events import Insight, Reflected, ReflectionEvicted
from controlplane.background import OVERWRITTEN_S
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, DocumentRequest, DocumentsRequest
from controlplane.service import Service
from controlplane.tenants import LOCAL

from .conftest import chosen

CANARY, TENANT, REFLECTION = "zzcanary", LOCAL.tenant, "rf_" + "1" * 32


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    opened = await Service.open(chosen(tmp_path / "data"), FixedClock())
    await opened.loaded()
    yield opened
    await opened.close()


async def remembered(service: Service) -> int:
    """A failure that came twice, a reflection on it and a document; the failure's number."""
    first = await service.remembering.capture(LOCAL, CaptureRequest(goal=CANARY))
    again = await service.remembering.capture(LOCAL, CaptureRequest(goal=CANARY))
    assert again.duplicate_of == first.episode_id
    insight = Insight(
        root_cause=CANARY, preconditions=(), resolution_strategy="x", environment_factors=(), confidence=0.5
    )
    await service.reflects.keep(
        Reflected(
            tenant=TENANT,
            at=service.clock.now(),
            reflection_id=REFLECTION,
            episode_id=first.episode_id,
            tier="cheap",
            insight=insight,
        )
    )
    await service.library.keep(LOCAL, DocumentsRequest(documents=(DocumentRequest(key="a.md", text=CANARY),)))
    return first.episode_id


async def held(service: Service) -> list[str]:
    """The kinds of events that show the text."""
    events = [recorded.event for recorded in await service.journal.read(0, 1000)]
    return [event.kind for event in events if CANARY in str(event) and event.kind != "decision"]


def purged(service: Service, what: str, episode_id: int) -> AnyEvent:
    head = {"tenant": TENANT, "at": service.clock.now()}
    match what:
        case "episode":
            return EpisodeDeleted(**head, episode_id=episode_id)
        case "reflection":
            return ReflectionEvicted(**head, reflection_id=REFLECTION, episode_id=episode_id)
    return DocumentsDropped(**head, namespace="", origin="documents")


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("episode", ["document"]),
        ("reflection", ["capture", "capture", "document"]),
        ("documents", ["capture", "capture", "reflection"]),
    ],
)
async def test_what_somebody_purged_and_did_not_live_to_overwrite_is_overwritten_by_whoever_folds_it(
    service: Service, what: str, left: list[str]
) -> None:
    event = purged(service, what, await remembered(service))
    everything = ["capture", "capture", "reflection", "document"]
    assert await held(service) == everything
    await service.learner.reached(await service.journal.append(event))
    await service.background.tick()
    assert await held(service) == everything, "whoever purged it has a moment"
    clock: Any = service.clock
    clock.advance(OVERWRITTEN_S)
    await service.background.tick()
    assert await held(service) == left
