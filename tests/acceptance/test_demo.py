"""`pointsman demo`: real servers, real commands, figures that add up."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from controlplane.demo.stream import Task, stream
from controlplane.demo.world import NEEDED, World, lay_out_tools
from controlplane.service import lock_folder

SEED, TASKS = 7, 12
FIGURES = {
    "gate", "wasted", "solved", "false_blocks", "exploration_interventions", "follow", "steps", "latency_ms",
    "wasted_by_tenth",
}  # fmt: skip
COMMAND = [sys.executable, "-m", "controlplane", "demo"]
ROOT = Path(__file__).resolve().parents[2]


def environment(scratch: Path, **more: str) -> dict[str, str]:
    """The caller's, with a quick embedder and a scratch folder of the test's own."""
    paths = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "POINTSMAN_EMBEDDER": "hashing", "TMPDIR": str(scratch), "PYTHONPATH": paths, **more}


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out_tools(tmp_path_factory.mktemp("tools") / "bin")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A whole demo, started elsewhere, on a machine whose own git knows somebody."""
    scratch = tmp_path_factory.mktemp("demo")
    (scratch / ".gitconfig").write_text("[user]\n\tname = Machine\n\temail = machine@example.invalid\n")
    machine = {
        "HOME": str(scratch),
        "GIT_AUTHOR_NAME": "Machine",
        "GIT_AUTHOR_EMAIL": "machine@example.invalid",
        "GIT_COMMITTER_NAME": "Machine",
        "GIT_COMMITTER_EMAIL": "machine@example.invalid",
        "MAKEFLAGS": "-n",
    }
    done = subprocess.run(
        [*COMMAND, "--json", "--seed", str(SEED), "--tasks", str(TASKS)],
        env=environment(scratch, **machine),
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in scratch.iterdir()] == [".gitconfig"], "the scratch folder is removed"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_of(report: dict[str, Any], gate: str) -> dict[str, Any]:
    return next(run for run in report["runs"] if run["gate"] == gate)


def tried(task: Task, folder: Path, tools: Path) -> bool:
    """Whether the command as planned, really run, reaches the goal."""
    with World.build(folder / task.task_id, task.scene, tools) as world:
        return world.run(task.command, task.check).worked


def test_demo_prints_the_contract_and_nothing_else(report: dict[str, Any]) -> None:
    assert set(report) == {"seed", "tasks", "runs"}
    assert (report["seed"], report["tasks"]) == (SEED, TASKS)
    assert [run["gate"] for run in report["runs"]] == ["none", "fixed", "learned"]
    for run in report["runs"]:
        assert set(run) == FIGURES
        assert set(run["latency_ms"]) == {"p50", "p99"}
        assert run["follow"] == 0.5


def test_demo_plays_every_task_with_every_gate(report: dict[str, Any]) -> None:
    for run in report["runs"]:
        assert run["solved"] <= TASKS <= run["steps"]
    assert run_of(report, "none")["latency_ms"] == {"p50": None, "p99": None}
    for gate in ("fixed", "learned"):
        latency_ms = run_of(report, gate)["latency_ms"]
        assert 0.0 < latency_ms["p50"] <= latency_ms["p99"]


def test_demo_solves_no_less_with_the_learned_gate(report: dict[str, Any]) -> None:
    assert run_of(report, "learned")["solved"] >= run_of(report, "none")["solved"] == TASKS


def test_demo_counts_waste_once(report: dict[str, Any]) -> None:
    for run in report["runs"]:
        assert len(run["wasted_by_tenth"]) == 10
        assert sum(run["wasted_by_tenth"]) == run["wasted"]
        assert run["false_blocks"] <= run["wasted"] <= run["steps"]


def test_demo_wastes_without_a_gate_what_really_fails(report: dict[str, Any], tmp_path: Path, tools: Path) -> None:
    failing = sum(not tried(task, tmp_path, tools) for task in stream(SEED, TASKS))
    none = run_of(report, "none")
    assert none["wasted"] == failing, "the machine's own git settings decide nothing"
    assert none["steps"] == TASKS + failing
    assert none["false_blocks"] == none["exploration_interventions"] == 0


def test_demo_says_what_is_missing(tmp_path: Path) -> None:
    shells = tmp_path / "bin"
    shells.mkdir()
    for program in set(NEEDED) - {"git", "cc"}:
        (shells / program).symlink_to(shutil.which(program) or program)
    done = subprocess.run(
        COMMAND, env=environment(tmp_path, PATH=str(shells)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "git, cc cannot be found; install them first" in done.stderr
    assert done.stdout == ""


def test_demo_shows_why_a_server_did_not_start(tmp_path: Path) -> None:
    """The servers fall over a package of the same name that stands in their way."""
    (tmp_path / "litestar.py").write_text("raise RuntimeError('not today')\n")
    done = subprocess.run(
        [*COMMAND, "--tasks", "1"],
        env=environment(tmp_path, PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path)))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: not today" in done.stderr
    assert "pointsman serve" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_demo_ends_its_servers_when_it_is_interrupted(tmp_path: Path, sent: signal.Signals) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--keep", "--tasks", "10000"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        serving = wait_for_servers(tmp_path)
        demo.send_signal(sent)
        output, said = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode != 0
    assert "kept in" in said
    assert output == ""
    for data in serving:
        os.close(lock_folder(data))  # refused while a server still holds it


def wait_for_servers(scratch: Path) -> list[Path]:
    """The data folders of both servers, once both hold theirs."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = sorted(scratch.glob("pointsman-demo-*/*/data/journal.db"))
        if len(found) == 2:
            return [path.parent for path in found]
        time.sleep(0.05)
    raise AssertionError("the servers did not start")
