"""A server that is killed around a reflection: it is made once, billed once, and what was taken away is gone."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..integration.asked_model import INSIGHT, Provider, chosen_for, said, started
from .conftest import Process, Start
from .crowd import verified
from .places import cases

Until = Callable[[Callable[[], Any]], Any]
FAILED = {"goal": "deploy", "planned_action": "kubectl apply -f a.yaml", "error_trace": "Error: ImagePullBackOff"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with started() as url, httpx.Client(base_url=url) as client:
        made = Provider(client)
        made.script()
        yield made


def reflecting(start: Start, provider: Provider, folder: Path, failpoints: str = "") -> Process:
    """A server that asks the provider."""
    chosen = {f"POINTSMAN_{name.upper()}": str(value) for name, value in chosen_for(provider.url, folder).items()}
    return start(**chosen, **({"POINTSMAN_FAILPOINTS": failpoints} if failpoints else {}))


def shown(server: Process) -> Any:
    asked = {name: FAILED[name] for name in ("goal", "planned_action")}
    return server.post("/v1/decisions", asked)["reflection"]


@cases(["reflection.appended"])
def test_a_reflection_is_made_and_billed_once_though_its_server_dies_before_its_job_is_done(
    start: Start, provider: Provider, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    doomed = reflecting(start, provider, tmp_path, f"{name}:kill@1")
    doomed.post("/v1/capture", FAILED, 201)
    assert doomed.wait() == -signal.SIGKILL
    again = reflecting(start, provider, tmp_path)
    until(lambda: again.get("/status")["outbox"]["open"] == 0)
    assert shown(again)["tier"] == "cheap"
    told = again.get("/v1/admin/budget")
    assert len(provider.calls) == told["calls"] == 1
    assert (told["spent_usd"], told["reserved_usd"]) == (pytest.approx(provider.billed_usd), 0.0)
    assert again.end() == 0
    verified(tmp_path / "data")


@cases(["reflection.appended"])
def test_a_reuse_is_checked_and_billed_once_though_its_server_dies_before_its_job_is_done(
    start: Start, provider: Provider, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    doomed = reflecting(start, provider, tmp_path, f"{name}:kill@3")
    doomed.post("/v1/capture", FAILED, 201)
    until(lambda: shown(doomed)["tier"] == "cheap")
    provider.script(otherwise={"text": said(root_cause="The disk is full.", resolution_strategy="Prune old volumes.")})
    doomed.post("/v1/capture", FAILED | {"environment": {"stage": "prod"}}, 201)
    assert doomed.wait() == -signal.SIGKILL
    again = reflecting(start, provider, tmp_path)
    until(lambda: again.get("/status")["outbox"]["open"] == 0)
    [row] = again.get("/status")["reuse"]
    assert (row["checked"], row["wrong"]) == (1, 1)
    told = again.get("/v1/admin/budget")
    assert len(provider.calls) + 1 == told["calls"] == 2
    assert again.end() == 0
    verified(tmp_path / "data")


@cases(["skill.appended"])
def test_a_skill_is_put_into_words_and_billed_once_though_its_server_dies_before_its_job_is_done(
    start: Start, provider: Provider, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    words = '{"name":"pull_it","docstring":"Pull.","preconditions":[],"steps":["Pull."]}'
    doomed = reflecting(start, provider, tmp_path, f"{name}:kill@1")
    episode_id = doomed.post("/v1/capture", FAILED | {"resolution": "docker pull a"}, 201)["episode_id"]
    until(lambda: doomed.get("/status")["outbox"]["open"] == 0)
    provider.script(otherwise={"text": words})
    for _ in range(3):
        doomed.post("/v1/validate_fix", {"episode_id": episode_id, "outcome": "success"})
    assert doomed.wait() == -signal.SIGKILL
    again = reflecting(start, provider, tmp_path)
    until(lambda: again.get("/status")["outbox"]["open"] == 0)
    assert again.get("/v1/skills")[0]["name"] == "pull_it"
    assert len(provider.calls) + 1 == again.get("/v1/admin/budget")["calls"] == 2
    assert again.end() == 0
    verified(tmp_path / "data")


@cases(["eviction.appended"])
def test_an_eviction_is_finished_by_the_next_start(
    start: Start, provider: Provider, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    doomed = reflecting(start, provider, tmp_path, f"{name}:kill@1")
    doomed.post("/v1/capture", FAILED, 201)
    until(lambda: shown(doomed)["tier"])
    with pytest.raises(httpx.TransportError):
        doomed.client.delete(f"/v1/reflections/{shown(doomed)['id']}")
    assert doomed.wait() == -signal.SIGKILL
    assert INSIGHT["resolution_strategy"].encode() in on_disk(tmp_path)
    again = reflecting(start, provider, tmp_path)
    until(lambda: again.client.get("/readyz").status_code == 200)
    assert shown(again)["tier"] is None
    assert again.end() == 0
    assert INSIGHT["resolution_strategy"].encode() not in on_disk(tmp_path)


def on_disk(folder: Path) -> bytes:
    """The reflections in the journal, as they are stored; a decision keeps what it quoted."""
    with sqlite3.connect(folder / "data" / "journal.db") as database:
        return b"".join(row[0] for row in database.execute("SELECT payload FROM events WHERE kind = 'reflection'"))
