"""Six keys of one tenant at a real server: what one reports beyond its share is not learnt; drift raises an alarm."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from controlplane.clock import FixedClock
from controlplane.contract import DecisionRequest, FeedbackRequest
from controlplane.service import Service
from controlplane.status import describe_status
from controlplane.tenants import LOCAL

from .conftest import Running, chosen
from .test_rebuild import verify

Serve = Callable[..., Running]
Json = dict[str, Any]
PLACES = {"candidates": [{"provider": "a", "sku": "1"}]}
GOOD = {"latency_ms": 20}


def keys_of(server: Running, count: int) -> list[str]:
    first = server.service.first_keys
    assert first is not None
    admin = {"X-Admin-API-Key": first.admin}
    asked = {"tenant": "default", "name": "worker"}
    return [server.client.post("/v1/admin/keys", json=asked, headers=admin).json()["key"] for _ in range(count)]


def decide(server: Running, key: str) -> str:
    answer = server.client.post("/v1/decisions", json=PLACES, headers={"X-API-Key": key})
    found: str = answer.json()["trace_id"]
    return found


def report(server: Running, key: str, trace_id: str | None = None) -> Json:
    body = {"trace_id": trace_id or decide(server, key), "outcome": GOOD}
    answer = server.client.post("/v1/feedback", json=body, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def withheld(server: Running) -> float:
    """The metric, read where it is counted: the page wants an operator's key."""
    return float(server.service.metrics.withheld._value.get())


def test_a_key_beyond_its_share_is_logged_not_learnt_and_a_restart_does_not_free_it(serve: Serve) -> None:
    server = serve(insecure_local=False, route_window_s=3600.0)
    busy, *others = keys_of(server, 6)
    assert all(report(server, key)["updated"] for key in (busy, *others))
    assert report(server, busy)["updated"] is True, "twice its fair share"
    trace_id = decide(server, busy)
    before = server.service.learner.state.of("default").policies["route"].updates
    held = report(server, busy, trace_id)
    assert (held["updated"], held["pending"], held["reward"]) == (False, "window", None)
    assert "its share" in held["reason"]
    assert server.service.learner.state.of("default").policies["route"].updates == before
    assert withheld(server) == 1.0
    server.stop()
    assert verify(server.settings).differences == []

    again = serve(insecure_local=False, route_window_s=3600.0)
    assert report(again, busy)["updated"] is False, "the counts are as they were"
    assert report(again, others[0])["updated"] is True
    assert report(again, others[1], trace_id)["updated"] is True, "what was withheld is open to others"


async def test_a_burst_of_one_key_passes_no_more_than_one_after_the_other(serve: Serve) -> None:
    server = serve(insecure_local=False)
    busy, *others = keys_of(server, 6)
    for key in (*others, *others):
        report(server, key)
    traces = [decide(server, busy) for _ in range(30)]
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": busy}, timeout=30) as client:
        bodies = [{"trace_id": trace_id, "outcome": GOOD} for trace_id in traces]
        answers = await asyncio.gather(*(client.post("/v1/feedback", json=body) for body in bodies))
    updated = sum(answer.json()["updated"] for answer in answers)
    assert 0 < updated <= 5, "a sixth of 16 updates among six keys would be more than twice the fair share"
    assert withheld(server) == 30.0 - updated, "fewer where one was weighed while those before were under way"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    opened = await Service.open(chosen(tmp_path / "data"), FixedClock())
    yield opened
    await opened.close()


async def earn(service: Service, latency_ms: float, times: int) -> None:
    """Decisions at the one place, each with its report."""
    asked = msgspec.convert(PLACES, DecisionRequest)
    for n in range(times):
        decided = await service.plane.decide(LOCAL, asked)
        said = {"trace_id": decided.trace_id, "outcome": {"latency_ms": latency_ms + n % 3}}
        assert (await service.learning.feedback(LOCAL, msgspec.convert(said, FeedbackRequest))).updated


async def test_a_value_that_drifts_is_said_once_counted_and_listed_until_it_has_settled(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    await earn(service, 20.0, 110)
    assert describe_status(service, "default")["drift"] == []
    await earn(service, 600.0, 40)
    [alarm] = describe_status(service, "default")["drift"]
    assert (alarm.point, alarm.action, alarm.usual > 0.2, alarm.recent < 0.0) == ("route", "a/1", True, True)
    assert capsys.readouterr().out.count("value_drifted") == 1
    assert b'pointsman_drift_alarms_total{point="route"} 1.0' in service.metrics.text()
    await earn(service, 600.0, 200)
    assert describe_status(service, "default")["drift"] == []
    assert capsys.readouterr().out.count("value_drifted") == 0
