"""P7: every provider is down for ten minutes, on a clock that is told, and over real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, DecisionRequest
from controlplane.llm.resilience import RETRY_SHARE, SAVED_UP
from controlplane.outbox import WORK
from controlplane.service import Service
from controlplane.tenants import LOCAL

from .asked_model import Provider, chosen_for, said
from .conftest import chosen

STEP_S = 10.0
OUTAGE = 60  # steps
FEW, MANY = 40, 400  # captures


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(1_795_737_600.0)


@pytest.fixture
async def service(provider: Provider, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Service]:
    """Its outbox ticks when it is told."""
    opened = await Service.open(chosen(tmp_path / "data", **chosen_for(provider.url, tmp_path)), clock)
    [reflections] = [task for task in opened._tasks if task.get_name() == "reflections"]
    reflections.cancel()
    await opened.loaded()
    yield opened
    await opened.close()


@pytest.mark.parametrize("captures", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
async def test_while_all_providers_are_down_decisions_go_on_and_afterwards_nothing_is_lost(
    captures: int, service: Service, provider: Provider, clock: FixedClock
) -> None:
    provider.script(otherwise={"status": 503})
    for n in range(captures):
        await service.remembering.capture(LOCAL, failure(n))
    for n in range(OUTAGE):
        clock.advance(STEP_S)
        await service.outbox.tick("reflection")
        answer = await service.plane.decide(LOCAL, plan(n))
        assert answer.degraded == ()
    assert len(service.outbox.jobs.open) == captures, "nothing was given up"
    jobs = sum(job.fence for job in service.outbox.jobs.open.values())
    assert 0 < calls(service) <= jobs * (1 + RETRY_SHARE) + SAVED_UP, "further tries are few"
    provider.script(otherwise={"text": said()})
    for _ in range(captures):
        before = calls(service)
        clock.advance(STEP_S)
        await service.outbox.tick("reflection")
        assert calls(service) - before <= 2 * WORK["reflection"].at_once, "no herd comes"
    assert service.outbox.jobs.open == {}
    assert not service.outbox.jobs.given_up
    reflected = [record.reflection for record in service.memory.space("default", "").episodes.values()]
    assert len(reflected) == captures
    assert None not in reflected


def calls(service: Service) -> float:
    """That reached a provider."""
    return sum(
        s.value for s in next(iter(service.metrics.provider_calls.collect())).samples if s.name.endswith("_total")
    )


def failure(number: int) -> CaptureRequest:
    """Each of another kind, so that none is had of another."""
    return CaptureRequest(
        goal=f"{number} bring service {number * 7919} up",
        planned_action=f"tool{number} --start s{number * 104729}",
        error_trace=f"E{number}: subsystem {number * 15485863} refused",
        error_class=f"class-{number}",
    )


def plan(number: int) -> DecisionRequest:
    return DecisionRequest(goal=f"{number} bring service {number * 7919} up", planned_action=f"tool{number} --start")
