"""A full disk: writes are refused, everything else goes on, and it heals by itself once there is space again."""

import shutil
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from .crowd import Crowd, verified
from .disks import Disk, small_disk

Start = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Any]
HEALED_S = 5.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = small_disk(tmp_path / "data", "8m")
    print(f"the disk: {made.name}")
    yield made
    made.close()


def digests(disk: Disk) -> dict[str, bytes]:
    return {path.name: blake2b(path.read_bytes()).digest() for path in (disk.folder / "recovery").glob("*.fold")}


def _complete(crowd: Crowd, disk: Disk, tmp_path: Path) -> None:
    """Nothing acknowledged is missing; looked at in a copy, because SQLite does not follow /proc into a namespace."""
    copy = shutil.copytree(disk.folder, tmp_path / "copy")
    crowd.check(copy)
    verified(copy)


def test_a_full_disk_refuses_writes_only_and_heals_without_a_restart(
    start: Start, disk: Disk, until: Until, tmp_path: Path, seed: int
) -> None:
    crowd = Crowd(seed)
    server = start(disk.within)
    crowd.visit(server.url, 200)
    known = server.post("/v1/decisions", {"goal": "known", "planned_action": "ls"})["trace_id"]
    crowd.sent["decision", "known"] += 1
    captured = next(iter(crowd.episodes))

    disk.fill(server.process.pid)
    crowd.visit(server.url, refusals=30)
    refused = server.client.post("/v1/feedback", json={"trace_id": known, "outcome": {"success": True}})
    assert refused.headers["content-type"] == "application/problem+json"
    code = refused.json()["code"]
    assert (refused.status_code, code) in ((507, "storage_full"), (503, "journal_unavailable"))
    assert code == "storage_full" or disk.name == "RLIMIT_FSIZE", "SQLite tells that limit from a full disk"
    assert refused.headers["retry-after"] == "1"

    for path in ("/livez", "/healthz", "/startupz", "/status", "/v1/checkpoints", "/v1/skills", "/v1/points"):
        server.get(path)
    assert server.get(f"/v1/decisions/{known}")["feedback"] == []
    assert server.get(f"/v1/episodes/{captured}")["episode_id"] == captured
    assert server.post("/v1/search", {"goal": "goal 1", "min_similarity": -1})["results"]
    ready = server.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"], ready.json()["journal"]) == (503, "degraded", code)

    disk.free(server.process.pid)
    freed = time.monotonic()
    until(lambda: server.client.get("/readyz").json()["status"] == "ready")
    took = time.monotonic() - freed
    print(f"healed after {took:.2f} s")
    assert took < HEALED_S
    assert server.get("/status")["journal"]["trouble"] is None
    crowd.visit(server.url, 100)
    assert server.end() == 0
    _complete(crowd, disk, tmp_path)


def test_a_disk_that_is_full_when_the_server_stops_costs_no_file_that_was_there(
    start: Start, disk: Disk, tmp_path: Path, seed: int
) -> None:
    crowd = Crowd(seed + 1)
    first = start(disk.within)
    crowd.visit(first.url, 60)
    assert first.end() == 0
    before = digests(disk)
    assert before
    server = start(disk.within)
    crowd.visit(server.url, 60)
    disk.fill(server.process.pid)
    assert server.end() == 0
    assert "recovery_file_not_written" in server.errors
    assert "Traceback" not in server.errors
    assert before.items() <= digests(disk).items()
    assert list(disk.folder.rglob("*.tmp")) == []

    disk.free(server.process.pid)
    again = start(disk.within)
    assert again.get("/status")["recovery"]["damaged"] == []
    crowd.visit(again.url, 60)
    assert again.end() == 0
    _complete(crowd, disk, tmp_path)


def test_a_disk_that_fills_up_while_recovery_files_are_written_leaves_the_older_ones(
    start: Start, disk: Disk, until: Until, tmp_path: Path, seed: int
) -> None:
    crowd = Crowd(seed + 2)
    server = start(disk.within, POINTSMAN_RECOVERY_INTERVAL_S="0.1")
    crowd.visit(server.url, 60)
    until(lambda: server.get("/status")["recovery"]["files"])
    crowd.visit(server.url, 20)
    disk.fill(server.process.pid)
    crowd.visit(server.url, refusals=10)
    until(lambda: _in_trouble(server.get("/status")))
    before = digests(disk)
    assert before
    time.sleep(2.5)  # two more attempts
    assert digests(disk) == before
    disk.free(server.process.pid)
    until(lambda: not _in_trouble(server.get("/status")))
    crowd.visit(server.url, 60)
    newest = max(before)
    until(lambda: max(server.get("/status")["recovery"]["files"]) > newest)
    assert server.end() == 0
    _complete(crowd, disk, tmp_path)


def _in_trouble(status: dict[str, Any]) -> bool:
    return bool(status["journal"]["trouble"] or status["recovery"]["trouble"])
