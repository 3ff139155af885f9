"""A replay that was asked for over HTTP outlives the server that took it."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controlplane.replay.run import LEAST

from .conftest import Start

UNDER_WAY = ("waiting", "running")
Until = Callable[[Callable[[], Any]], Any]


def workers(folder: Path) -> list[int]:
    """Processes that replay something of the data folder, whoever's children they are by now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (process / "environ").read_bytes()
            if b"controlplane.replay.worker" in (process / "cmdline").read_bytes() and os.fsencode(folder) in variables:
                found.append(int(process.name))
    return found


def test_a_replay_under_way_when_the_server_is_killed_goes_on_under_its_id(start: Start, until: Until) -> None:
    """Its process finds nobody to tell and ends; the next server begins another."""
    server = start(POINTSMAN_EPSILON="1.0")
    for _ in range(LEAST):
        candidates = [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": "2"}]
        decided = server.post("/v1/decisions", {"candidates": candidates})
        server.post("/v1/feedback", {"trace_id": decided["trace_id"], "outcome": {"latency_ms": 20.0}})
    started = server.post("/v1/replays", {}, 202)["replay_id"]
    [worker] = until(lambda: workers(server.folder))
    os.kill(worker, signal.SIGSTOP)
    assert server.get(f"/v1/replays/{started}")["state"] == "running"
    server.end(signal.SIGKILL)
    os.kill(worker, signal.SIGCONT)
    until(lambda: not workers(server.folder))
    server = start(POINTSMAN_EPSILON="1.0")
    told = until(lambda: (told := server.get(f"/v1/replays/{started}"))["state"] not in UNDER_WAY and told)
    assert (told["state"], told["report"]["decisions"]) == ("done", LEAST)
    folder = server.folder / "replays"
    assert [file.name for file in folder.iterdir()] == [f"{started}.replay"]
    assert {file.stat().st_mode & 0o777 for file in (folder, *folder.iterdir())} == {0o700, 0o600}
