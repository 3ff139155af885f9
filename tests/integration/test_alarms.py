"""Alarms of a whole server: what raises them, that a restart loses none and repeats none, that none holds it up."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.events import JobAdded
from controlplane.clock import FixedClock
from controlplane.service import Service

from .conftest import Running, chosen
from .test_outbox import Receiver
from .test_rebuild import verify
from .test_shares import decide, earn, keys_of, report

Serve = Callable[..., Running]
Scripted = Callable[..., Any]


def told(receiver: Receiver) -> list[tuple[str, Any]]:
    """Alarms with their details, in order of arrival."""
    return [(said["alarm"], said["details"]) for said in map(msgspec.json.decode, receiver.bodies)]


def damage(file: Path) -> None:
    """Flip a bit of the last byte."""
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.fixture
async def receiver(upstream: Scripted) -> Receiver:
    return Receiver(upstream)


@pytest.fixture
async def service(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Service]:
    """One whose clock stands still and whose outbox ticks when a test says so."""
    opened = await Service.open(chosen(tmp_path / "data", alarm_url=receiver.url), FixedClock())
    [ticking] = [task for task in opened._tasks if task.get_name() == "outbox"]
    ticking.cancel()
    yield opened
    await opened.close()


async def drift(service: Service) -> None:
    """Earn well for a while, then badly."""
    await earn(service, 20.0, 110)
    await earn(service, 600.0, 40)


def test_a_key_beyond_its_share_is_told_once_and_a_restart_does_not_repeat_it(serve: Serve, upstream: Scripted) -> None:
    receiver = Receiver(upstream)
    settings = {"insecure_local": False, "alarm_url": receiver.url}
    server = serve(**settings)
    busy, *others = keys_of(server, 6)
    for key in (busy, *others, busy):
        assert report(server, key)["updated"]
    for _ in range(3):
        assert not report(server, busy, decide(server, busy))["updated"]
    server.until(lambda: receiver.taken)
    server.until(lambda: server.service.outbox.jobs.open == {})
    [(alarm, details)] = told(receiver)
    assert (alarm, details) == ("reports_withheld", {"tenant": "default", "key_id": busy.split("_")[2]})
    server.stop()
    assert verify(server.settings).differences == [], "jobs teach nothing"

    for file in server.service.recovery.files():
        file.unlink()
    again = serve(**settings)  # folds every event again
    again.run(again.service.outbox.tick("alarm"))
    assert (len(receiver.heard), again.service.outbox.jobs.open) == (1, {})


async def test_a_value_that_drifts_is_an_alarm(service: Service, receiver: Receiver) -> None:
    await drift(service)
    await service.outbox.tick("alarm")
    [(alarm, details)] = told(receiver)
    assert (alarm, details["tenant"], details["action"]) == ("value_drifted", "default", "a/1")
    assert details["recent"] < details["usual"]


async def test_a_recovery_file_is_not_written_before_the_alarms_of_what_it_holds(service: Service) -> None:
    """Else a crash after it would lose them: the event would not be folded again."""
    await drift(service)
    [job] = service.outbox.jobs.open.values()
    await service.background.write_recovery()
    seq = int(service.recovery.files()[0].stem.split("-")[1])
    [added] = [r.event for r in await service.journal.read_jobs(0, 10) if isinstance(r.event, JobAdded)]
    assert (added.job_id, added.cause <= seq) == (job.job_id, True)


def test_a_damaged_recovery_file_is_an_alarm_and_status_counts_what_is_owed(serve: Serve, upstream: Scripted) -> None:
    receiver = Receiver(upstream, lambda _: 503)
    server = serve(alarm_url=receiver.url)
    server.gate()
    server.stop()
    [file] = server.service.recovery.files()
    damage(file)
    again = serve(alarm_url=receiver.url)
    failing = {"open": 1, "failing": 1, "unwritten": 0, "left_out": 0, "given_up": []}
    again.until(lambda: again.get("/status")["outbox"] == failing)
    assert told(receiver)[0] == ("recovery_file_damaged", {"file": file.name})
    assert again.metric("pointsman_outbox_open_jobs") == 1.0


def test_a_redis_that_is_not_there_is_an_alarm_and_status_and_metrics_tell_it(serve: Serve, upstream: Scripted) -> None:
    receiver = Receiver(upstream)
    server = serve(alarm_url=receiver.url, redis_url="redis://127.0.0.1:1/0")
    server.gate()
    server.until(lambda: receiver.taken)
    assert told(receiver) == [("redis_away", {"about": "redis", "why": "ConnectionError"})]
    assert server.get("/status")["redis"] == {"trouble": "ConnectionError", "replicas": 1}
    assert server.metric("pointsman_redis_away") == 1.0


def test_a_receiver_that_hangs_holds_up_no_decision(serve: Serve, upstream: Scripted) -> None:
    hanging = upstream(lambda handler, n: hanging.release.wait())
    server = serve(alarm_url=hanging.url)
    server.gate()
    server.stop()
    damage(server.service.recovery.files()[0])
    again = serve(alarm_url=hanging.url)
    again.until(lambda: hanging.asked)
    for _ in range(50):
        again.gate()
    assert (len(hanging.asked), hanging.answered) == (1, 0), "all the while it was asked and gave no answer"


def test_without_an_address_nothing_is_owed(serve: Serve) -> None:
    server = serve()
    server.gate()
    server.stop()
    damage(server.service.recovery.files()[0])
    again = serve()
    assert again.get("/status")["recovery"]["damaged"]
    assert again.get("/status")["outbox"]["open"] == 0


def test_a_part_that_fails_is_an_alarm_though_nothing_is_folded_any_more(serve: Serve, upstream: Scripted) -> None:
    receiver = Receiver(upstream)
    server = serve(alarm_url=receiver.url)

    def fail(*_: Any) -> None:
        raise RuntimeError("a defect; api_key=hunter2")

    server.service.learner.observe(fail)
    assert server.client.post("/v1/capture", json={"goal": "x"}).status_code == 500
    server.until(lambda: receiver.taken)
    [(alarm, details)] = told(receiver)
    assert (alarm, details["about"]) == ("part_failed", "learner")
    assert details["why"] == "RuntimeError: a defect; api_key=***"
