"""Replays over HTTP: in a process of their own, one at a time for a tenant, told as they go, and ended on request."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from controlplane.replay.at_rest import REPLAY_FOLDER, ReplayAtRest, ReplayFiles
from controlplane.replay.jobs import KEPT, MOST_BEGUN
from controlplane.replay.window import Window
from controlplane.replay.worker import Order, carry_out

from .conftest import Running, Serve, chosen

Json = dict[str, Any]
DYING = """
from controlplane.failpoints import arm
from controlplane.replay.worker import main

arm("file.renamed:kill@3")
main()
"""
BOLD = {"policy": {"epsilon": {"start": 0.5}, "kappa": 5.0}}


def busy(server: Any, times: int = 60) -> None:
    """Routing decisions with reports, of the tenant `default`."""
    for i in range(times):
        routed = server.route("a/1", "b/2", context={"region": f"r{i % 2}"})
        server.feedback(routed["trace_id"], latency_ms=20.0 if routed["action"] == "a/1" else 380.0, cost=0.1)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose tenant has enough decisions to be replayed."""
    with Running(chosen(tmp_path_factory.mktemp("data"), epsilon=1.0, seed=3)) as server:
        busy(server)
        yield server


def streamed(server: Any, replay_id: str) -> list[tuple[str, Json]]:
    """All events of a replay's stream: names and data."""
    with server.client.stream("GET", f"/v1/replays/{replay_id}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        text = answer.read().decode()
    found = []
    for event in text.split("\n\n")[:-1]:
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def over(server: Any, replay_id: str) -> Json:
    answer: Json = server.until(
        lambda: (told := server.get(f"/v1/replays/{replay_id}"))["state"] not in ("waiting", "running") and told
    )
    return answer


def processes() -> set[int]:
    """Worker processes of this test's process that are alive."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in _read(task / "children").split():
            if b"controlplane.replay.worker" in _read(Path(f"/proc/{pid.decode()}/cmdline")):
                found.add(int(pid))
    return found


def _read(file: Path) -> bytes:
    """What it says; nothing where the thread or process ended meanwhile."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_replay_is_started_followed_and_read(furnished: Running) -> None:
    started = furnished.post("/v1/replays", {"point": "route", "policy": BOLD}, 202)
    assert started["state"] == "waiting"
    told = streamed(furnished, started["replay_id"])
    assert [name for name, _ in told[:-1]] == ["progress"] * (len(told) - 1)
    states = [data["state"] for _, data in told]
    assert states == sorted(states, key=["waiting", "running", "done"].index)
    name, last = told[-1]
    assert name == last["state"] == "done"
    assert last == furnished.get(f"/v1/replays/{started['replay_id']}")
    assert last["report"]["decisions"] == 60
    assert last["report"]["values"] or last["report"]["refused"]
    assert processes() == set()


def test_the_same_window_and_policy_give_the_same_report(furnished: Running) -> None:
    last = furnished.last_seq
    asked = {"point": "route", "policy": BOLD, "last": last}
    reports = [over(furnished, furnished.post("/v1/replays", asked, 202)["replay_id"])["report"] for _ in range(2)]
    assert reports[0] == reports[1]


def test_without_a_policy_the_one_in_force_is_replayed(furnished: Running) -> None:
    told = over(furnished, furnished.post("/v1/replays", {"decisions": 55}, 202)["replay_id"])
    assert (told["state"], told["report"]["decisions"]) == ("done", 55)


def test_one_at_a_time_and_ended_on_request(furnished: Running) -> None:
    """The first is ended while its process is at work; then there is room for the next."""
    first = furnished.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    refused = furnished.post("/v1/replays", {"policy": BOLD}, 503)
    assert (refused["code"], refused["retryable"]) == ("replay_under_way", True)
    furnished.until(processes)
    assert furnished.client.delete(f"/v1/replays/{first}").status_code == 204
    assert furnished.get(f"/v1/replays/{first}")["state"] == "cancelled"
    furnished.until(lambda: not processes())
    assert streamed(furnished, first)[-1][0] == "cancelled"
    second = furnished.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    assert over(furnished, second)["state"] == "done"
    assert furnished.client.delete(f"/v1/replays/{second}").status_code == 204
    assert furnished.get(f"/v1/replays/{second}", 404)["code"] == "unknown_replay"


def test_calls_are_answered_while_a_replay_is_at_work(furnished: Running) -> None:
    """However long it takes: its process is stopped midway, and goes on later."""
    started = furnished.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    [process] = furnished.until(processes)
    os.kill(process, signal.SIGSTOP)
    try:
        decided = furnished.route("a/1", "b/2")
        assert furnished.feedback(decided["trace_id"], latency_ms=5.0)["updated"] is True
        assert furnished.get(f"/v1/replays/{started}")["state"] == "running"
    finally:
        os.kill(process, signal.SIGCONT)
    assert over(furnished, started)["state"] == "done"


def test_a_stream_is_no_call_under_way_while_it_waits(furnished: Running) -> None:
    intake = furnished.service.intake
    started = furnished.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    with furnished.client.stream("GET", f"/v1/replays/{started}/events") as answer:
        assert next(answer.iter_lines()) == "event: progress"
        assert furnished.until(lambda: intake.under_way == 0 or over(furnished, started))
    furnished.until(lambda: intake.under_way == 0)
    over(furnished, started)


def test_who_leaves_a_stream_leaves_nothing_behind(furnished: Running) -> None:
    started = furnished.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    with furnished.client.stream("GET", f"/v1/replays/{started}/events") as answer:
        next(answer.iter_lines())
    over(furnished, started)

    async def waiting() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if "Events" in repr(task) or "_gone" in repr(task)]

    furnished.until(lambda: furnished.run(waiting()) == [])
    assert furnished.service.intake.under_way == 0


def test_too_few_decisions_are_told_at_once(furnished: Running) -> None:
    told = furnished.post("/v1/replays", {"decisions": 7}, 202)
    assert told["state"] == "failed"
    assert told["why"] == "the log has at most 7 decision(s); a replay needs 50"
    assert processes() == set()
    windowed = over(furnished, furnished.post("/v1/replays", {"first": furnished.last_seq}, 202)["replay_id"])
    assert (windowed["state"], windowed["why"][:19]) == ("failed", "the log has 0 decis")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"policy": {"policy": {"kapa": 1.0}}}, 422, "unusable_policy"),
        ({"policy": {"policy": {"kappa": -1.0}}}, 422, "unusable_policy"),
        ({"policy": {"policy": {"replayed": 10_000_000}}}, 422, "unusable_policy"),
        ({"policy": {"policy": {"step": {"omega": 0.5, "floor": 0.0001}}}}, 422, "unusable_policy"),
        ({"policy": {"weights": {"latency": "much"}}}, 422, "unusable_policy"),
        ({"point": "nowhere"}, 404, "unknown_point"),
        ({"decisions": 0}, 400, "invalid_request"),
        ({"tenant": "other"}, 400, "invalid_request"),
    ],
)
def test_what_cannot_be_replayed_is_refused(furnished: Running, asked: Json, status: int, code: str) -> None:
    assert furnished.post("/v1/replays", asked, status)["code"] == code


def test_old_replays_are_forgotten(furnished: Running) -> None:
    ids = [furnished.post("/v1/replays", {"decisions": 1}, 202)["replay_id"] for _ in range(KEPT + 1)]
    assert furnished.get(f"/v1/replays/{ids[0]}", 404)["code"] == "unknown_replay"
    assert furnished.get(f"/v1/replays/{ids[1]}")["state"] == "failed"
    assert len(kept(Path(furnished.settings.data_dir))) == KEPT


def test_a_tenant_sees_neither_decisions_nor_replays_of_another(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as server:
        assert server.service.first_keys is not None
        server.client.headers["X-API-Key"] = server.service.first_keys.tenant
        busy(server, 55)
        own = server.post("/v1/replays", {}, 202)["replay_id"]
        admin = {"X-Admin-API-Key": server.service.first_keys.admin}
        server.client.post("/v1/admin/tenants", json={"tenant": "acme"}, headers=admin)
        made = server.client.post("/v1/admin/keys", json={"tenant": "acme"}, headers=admin).json()
        other = {"X-API-Key": made["key"]}
        assert (
            server.client.post("/v1/replays", json={}, headers=other).json()["why"].startswith("the log has at most 0")
        )
        for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            answer = server.client.request(method, f"/v1/replays/{own}{path}", headers=other)
            assert answer.json()["code"] == "unknown_replay"
        assert over(server, own)["report"]["decisions"] == 55


def test_a_server_that_stops_ends_its_replays(serve: Serve) -> None:
    server = serve(epsilon=1.0)
    busy(server, 52)
    server.post("/v1/replays", {}, 202)
    server.until(processes)
    server.stop()
    assert processes() == set()


def test_a_process_that_dies_is_told(serve: Callable[..., Any], tmp_path: Path) -> None:
    """Its journal is gone from where the server was told it lies."""
    server = serve(epsilon=1.0)
    busy(server, 52)
    server.service.replays._folder = str(tmp_path / "elsewhere")
    told = over(server, server.post("/v1/replays", {}, 202)["replay_id"])
    assert told["state"] == "failed"
    assert told["why"]


def kept(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / REPLAY_FOLDER).iterdir())


def test_what_is_over_can_be_read_after_a_restart_and_what_was_forgotten_cannot(serve: Serve, tmp_path: Path) -> None:
    server = serve(epsilon=1.0)
    busy(server, 52)
    done = over(server, server.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"])
    failed = server.post("/v1/replays", {"decisions": 7}, 202)
    gone = server.post("/v1/replays", {"decisions": 8}, 202)["replay_id"]
    assert server.client.delete(f"/v1/replays/{gone}").status_code == 204
    ended = server.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    server.until(processes)
    assert server.client.delete(f"/v1/replays/{ended}").status_code == 204
    server.stop()
    assert kept(tmp_path / "data") == [f"{name}.replay" for name in (done["replay_id"], failed["replay_id"], ended)]
    server = serve(epsilon=1.0)
    assert done["done"] == done["of"] == 52
    assert server.get(f"/v1/replays/{done['replay_id']}") == done
    assert server.get(f"/v1/replays/{failed['replay_id']}") == failed
    assert streamed(server, done["replay_id"]) == [("done", done)]
    assert server.get(f"/v1/replays/{ended}")["state"] == "cancelled"
    assert server.get(f"/v1/replays/{gone}", 404)["code"] == "unknown_replay"
    assert processes() == set()


def test_a_replay_that_a_stop_interrupted_goes_on_with_the_window_it_was_asked_for(
    serve: Serve, tmp_path: Path
) -> None:
    """A stop in order does not count as a death."""
    server = serve(epsilon=1.0)
    busy(server, 52)
    whole = over(server, server.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"])
    cut = server.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"]
    server.until(processes)
    server.stop()
    assert processes() == set()
    found = ReplayFiles(tmp_path / "data" / REPLAY_FOLDER).read()[cut]
    assert (found.state, found.begun) == ("running", 0)
    server = serve(epsilon=1.0)
    busy(server, 3)
    assert over(server, cut)["report"] == whole["report"]


def test_a_replay_with_which_the_server_died_again_and_again_is_given_up(serve: Serve, tmp_path: Path) -> None:
    server = serve(epsilon=1.0)
    server.stop()
    files = ReplayFiles(tmp_path / "data" / REPLAY_FOLDER)
    window = Window(tenant="default", point="route", last=1)
    files.write("rp_1", ReplayAtRest(window=window, policy={}, state="running", begun=MOST_BEGUN))
    files.blocks("rp_1").write_bytes(b"left")
    server = serve(epsilon=1.0)
    told = over(server, "rp_1")
    assert (told["state"], told["why"]) == (
        "failed",
        "it was begun 3 times, and each time the server died before it was done",
    )
    assert kept(tmp_path / "data") == ["rp_1.replay"]


def test_a_replay_whose_process_dies_fails_and_the_log_says_of_what(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(epsilon=1.0)
    busy(server, 52)
    monkeypatch.setattr("controlplane.replay.jobs.WORKER", "controlplane.nowhere")
    with structlog.testing.capture_logs() as logged:
        told = over(server, server.post("/v1/replays", {}, 202)["replay_id"])
    assert (told["state"], told["why"]) == ("failed", "the replay's process ended with code 1 before it was done")
    (died,) = [line for line in logged if line["event"] == "replay_died"]
    assert "No module named controlplane.nowhere" in died["error"]


def test_a_replay_that_cannot_be_written_down_is_refused(serve: Serve, tmp_path: Path) -> None:
    server = serve(epsilon=1.0)
    busy(server, 52)
    folder = tmp_path / "data" / REPLAY_FOLDER
    folder.rmdir()
    folder.write_bytes(b"")
    refused = server.post("/v1/replays", {"policy": BOLD}, 503)
    assert (refused["code"], "could not be written" in refused["detail"]) == ("unavailable", True)
    folder.unlink()
    folder.mkdir()
    assert over(server, server.post("/v1/replays", {"policy": BOLD}, 202)["replay_id"])["state"] == "done"


@pytest.mark.parametrize("damaged", [False, True])
def test_finished_blocks_are_not_made_again_unless_they_are_damaged(
    furnished: Running, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], *, damaged: bool
) -> None:
    """A process that dies after its third block; what the next one tells begins with the fourth."""
    blocks = tmp_path / "blocks.part"
    window = Window(tenant="default", point="route", last=furnished.last_seq)
    order = Order(folder=furnished.settings.data_dir, window=window, policy=BOLD, blocks=str(blocks))
    dies = subprocess.run([sys.executable, "-c", DYING], input=msgspec.json.encode(order), check=False)
    assert dies.returncode == -signal.SIGKILL
    if damaged:
        blocks.write_bytes(blocks.read_bytes()[:-1] + b"?")
    capfdbinary.readouterr()
    report = asyncio.run(carry_out(order))
    told = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines() if b"{" in line[:1]]
    replayed = [line["done"] for line in told if line.get("of") == report.decisions]
    assert len(replayed) == (10 if damaged else 7)
    assert not blocks.exists()
    assert report == asyncio.run(carry_out(order))
