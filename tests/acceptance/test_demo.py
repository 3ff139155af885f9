"""`pointsman demo`: real servers, real commands, figures that add up."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.demo.families import FAMILIES
from controlplane.demo.stream import Task, family_of, stream
from controlplane.demo.world import World, lay_out_tools
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
    world = World.build(folder / task.task_id, task.scene, tools)
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


def test_stream_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert stream(3, 60) == stream(3, 60)
    assert stream(3, 60) != stream(4, 60)


def test_stream_keeps_some_phrasings_for_its_second_half() -> None:
    for family in FAMILIES:
        phrases = [phrase for job in family.jobs for phrase in job.phrases]
        assert len({(phrase.goal, phrase.command) for phrase in phrases}) == len(phrases) >= 4
        assert {phrase.late for phrase in phrases} == {True, False}
    late = {phrase.goal for family in FAMILIES for job in family.jobs for phrase in job.phrases if phrase.late}
    tasks = stream(1, 400)
    assert not late & {task.goal for task in tasks[:200]}
    assert late <= {task.goal for task in tasks[200:]}


def test_family_succeeds_in_some_draws_and_fails_in_others(tmp_path: Path, tools: Path) -> None:
    outcomes = defaultdict(list)
    for task in stream(11, 72):
        outcomes[task.family].append(tried(task, tmp_path, tools))
    assert set(outcomes) == {family.name for family in FAMILIES}
    for family, worked in outcomes.items():
        assert 0.3 <= sum(worked) / len(worked) <= 0.7, f"{family}: {sum(worked)} of {len(worked)} succeeded"


def scenes() -> Iterator[Task]:
    """Every scene of every job, in its first phrasing."""
    for family in FAMILIES:
        for number, job in enumerate(family.jobs):
            goal, command, _ = job.phrases[0]
            for place, (_, scene) in enumerate(job.scenes):
                yield Task(
                    task_id=f"{family.name}-{number}-{place}",
                    family=family.name,
                    goal=goal,
                    command=command,
                    scene=scene,
                    check=job.check,
                )


def test_environment_never_tells_the_outcome(tmp_path: Path, tools: Path) -> None:
    """For every command there is one environment, as the agent sees it, in which it fails and in which it succeeds."""
    seen: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for task in scenes():
        world = World.build(tmp_path / task.task_id, task.scene, tools)
        environment = json.dumps(world.probe(family_of(task).probe))
        seen[task.command, environment].add(world.run(task.command, task.check).worked)
    commands = {command for command, _ in seen}
    assert commands == {command for (command, _), outcomes in seen.items() if outcomes == {True, False}}


def test_troubleshooting_finds_a_way_in_every_scene(tmp_path: Path, tools: Path) -> None:
    for task in scenes():
        for place in range(2):
            world = World.build(tmp_path / f"{task.task_id}-{place}", task.scene, tools)
            way = family_of(task).ways(world.cwd, task.command)[place]
            ran = world.run(way, task.check)
            assert ran.worked, f"{way!r} in {task.scene.cwd}: {ran.trace}"


def test_copy_is_a_world_of_its_own(tmp_path: Path, tools: Path) -> None:
    """What is pushed from a copy does not reach the original's remote."""
    push = next(task for task in scenes() if task.command == "git push")
    original = World.build(tmp_path / "original", push.scene, tools)
    assert original.copy(tmp_path / "copy").run("git push -u origin HEAD", push.check).worked
    assert not original.run("true", push.check).reached


def test_demo_says_what_is_missing(tmp_path: Path) -> None:
    shells = tmp_path / "bin"
    shells.mkdir()
    for program in ("sh", "make"):
        (shells / program).symlink_to(shutil.which(program) or program)
    done = subprocess.run(
        COMMAND, env=environment(tmp_path, PATH=str(shells)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "git cannot be found; install it first" in done.stderr
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
