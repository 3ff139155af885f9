"""The shipped connection syncs in the order that the power cuts rest on, and before each answer (needs strace)."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .answers import Watch
from .connection import connect
from .errand import errand
from .recorder import Recorder
from .steps import steps_of_calls, steps_of_log
from .system_calls import INSTALL, STRACE, SYNCS, Call, calls

ROOT, PATIENCE_S = Path(__file__).parents[2], 120.0
WORKERS, ROUNDS, POSTS = 32, 11, 3  # a worker makes so many rounds of a decision, a report and a capture
SETTINGS = {"POINTSMAN_EMBEDDER": "hashing", "POINTSMAN_LOG_LEVEL": "warning", "HF_HUB_OFFLINE": "1"}
pytestmark = pytest.mark.nightly


class Traced:
    """A process of ours under strace, which runs beside it (-D) so that signals reach the process itself."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._trace = folder / "trace"
        self.process = subprocess.Popen(
            [*STRACE, str(self._trace), sys.executable, "-m", *arguments],
            env={**os.environ, **SETTINGS, "POINTSMAN_DATA_DIR": str(folder / "data")},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def calls(self) -> list[Call]:
        """All its system calls, once it is over and strace has written the last of them."""
        assert self.process.wait(PATIENCE_S) == 0
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_whole():
            assert time.monotonic() < deadline, "strace did not finish its trace"
            time.sleep(0.2)
        with self._trace.open(encoding="utf-8") as trace:
            made = calls(trace)
        self._trace.unlink()  # tens of megabytes
        return made

    def _is_whole(self) -> bool:
        end = self._trace.read_bytes()[-500:].decode("utf-8", "replace")
        return re.search(rf"^{self.process.pid} +\+\+\+ exited", end, re.MULTILINE) is not None


@pytest.fixture(autouse=True)
def _strace() -> None:
    if not shutil.which("strace"):
        pytest.fail(INSTALL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Traced]:
    traced = Traced(tmp_path, "controlplane", "serve", "--port", "0", "--insecure-local")
    yield traced
    traced.process.kill()
    traced.process.communicate()


async def post_marked(url: str) -> None:
    """Each request with a mark that stands in the event it makes, and in no other."""

    async def work(client: httpx.AsyncClient, worker: int) -> None:
        for turn in range(ROUNDS):
            first = (worker * ROUNDS + turn) * POSTS
            one, two, three = (f"mark-{first + i:06d}" for i in range(POSTS))
            asked = await client.post("/v1/decisions", json={"planned_action": f"make t{turn}", "task_id": one})
            outcome = {"success": False, "custom": {two: 1.0}}
            report = {"trace_id": asked.json()["trace_id"], "outcome": outcome}
            reported = await client.post("/v1/feedback", json=report)
            captured = await client.post("/v1/capture", json={"goal": three, "error_trace": "Error: it failed"})
            assert (asked.status_code, reported.status_code, captured.status_code) == (200, 200, 201)

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        await asyncio.gather(*(work(client, worker) for worker in range(WORKERS)))


def test_no_answer_leaves_before_the_log_that_holds_its_event_is_synced(server: Traced) -> None:
    assert server.process.stdout is not None
    asyncio.run(post_marked(server.process.stdout.readline().split()[-1]))
    server.process.terminate()
    made = server.calls()
    watched = Watch().follow(made)
    print(f"{len(watched.answered)} answers watched, {len(watched.too_early)} of them too early")
    assert len(set(watched.answered)) == WORKERS * ROUNDS * POSTS > 1000
    assert watched.too_early == []

    without = [call for call in made if not (call.name in SYNCS and call.file.endswith("-wal"))]
    assert Watch().follow(without).too_early == watched.answered, (
        "were the log never synced, every answer would be too early"
    )


async def test_the_shipped_connection_takes_the_steps_that_the_recorder_wrote_down(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    traced = Traced(tmp_path, "tests.durability.errand", str(tmp_path / "shipped" / "journal.db"))
    taken = steps_of_calls(await asyncio.to_thread(traced.calls), tmp_path / "shipped")
    traced.process.communicate()
    with Recorder() as recorder:
        await errand(connect(tmp_path / "journal.db", recorder.vfs_name, {}))
    assert taken == steps_of_log(recorder.log)
    print(f"{len(taken)} steps, one by one the same")
    assert {kind for kind, _ in taken} == {"create", "write", "truncate", "sync", "unlink"}
    assert ("sync", "the folder") in taken
