"""The broker and real processes: killed between publishing and record, looked at by the doctor."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.services import Nats, running

from ..streams import stored_now
from .crowd import verified
from .places import cases
from .test_doctor import Cli, looked

Start = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    folder = tmp_path / "nats"
    folder.mkdir()
    with running(Nats, folder) as server:
        yield server


@cases(["outbox.done"])
def test_a_server_killed_between_publishing_and_record_publishes_again_and_the_stream_has_it_once(
    start: Start, nats: Nats, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    doomed = start(POINTSMAN_BROKER_URL=nats.url, POINTSMAN_FAILPOINTS=f"{name}:kill@{1 + repeat}")
    episodes: list[int] = []
    with contextlib.suppress(httpx.TransportError):  # when it dies
        while True:
            made = doomed.post("/v1/capture", {"goal": f"goal {len(episodes)}"}, 201)
            episodes.append(made["episode_id"])
    assert doomed.wait() == -signal.SIGKILL
    before = stored_now(nats.url)
    assert before

    again = start(POINTSMAN_BROKER_URL=nats.url)
    until(lambda: again.get("/status")["outbox"]["open"] == 0 and again.get("/status")["broker"]["trouble"] is None)
    published = again.client.get("/metrics").text
    assert again.end() == 0
    told = stored_now(nats.url)
    assert told[: len(before)] == before
    assert 'pointsman_broker_messages_total{outcome="repeated"}' in published
    heard = [message.said["details"]["episode_id"] for message in told]
    assert len(set(heard)) == len(heard), "what it had already was not stored again"
    assert set(episodes) <= set(heard)
    verified(tmp_path / "data")


def test_the_doctor_asks_the_broker_and_makes_nothing_there(cli: Cli, nats: Nats) -> None:
    url = nats.url.replace("//", "//zzuser:zzsecret@")
    found = looked(cli, POINTSMAN_BROKER_URL=url)["broker"]
    assert (found["state"], found["said"]) == ("fine", "its stream POINTSMAN will be made")
    assert stored_now(nats.url) == []
    nats.kill()
    done = cli("doctor", POINTSMAN_BROKER_URL=url)
    assert done.returncode == 0, "it keeps no server from starting"
    assert "broker       it cannot be told anything (ConnectionRefusedError)" in done.stdout
    assert "zz" not in done.stdout + cli("config", "show", POINTSMAN_BROKER_URL=url).stdout
