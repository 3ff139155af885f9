"""`pointsman demo`: real servers, real commands, figures that add up."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import tuning
from benchmarks.demo import Difference
from benchmarks.remembered import Cases, RememberedGround
from benchmarks.tuning import GRID, SEEDS, meaning
from controlplane import settings
from controlplane.data_folder import lock_folder
from controlplane.demo.agent import Errand, Step, work
from controlplane.demo.gate import Advice, Answer, NoGate, Question
from controlplane.demo.memories import Memories
from controlplane.demo.purse import Purse
from controlplane.demo.report import Figures, Latency, Report, show
from controlplane.demo.run import TUNED
from controlplane.demo.stream import Task, stream
from controlplane.demo.world import NEEDED, World, lay_out_tools

SEED, TASKS, FOLLOW = 7, 12, 0.25
ASKED = ("fixed", "fixed_tuned", "learned")
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
        [*COMMAND, "--json", "--seed", str(SEED), "--tasks", str(TASKS), "--follow", str(FOLLOW)],
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
    assert set(report) == {"seed", "tasks", "runs", "purse", "memories"}
    assert (report["seed"], report["tasks"]) == (SEED, TASKS)
    assert [run["gate"] for run in report["runs"]] == ["none", *ASKED]
    for run in report["runs"]:
        assert set(run) == FIGURES
        assert set(run["latency_ms"]) == {"p50", "p99"}
        assert run["follow"] == FOLLOW


def test_demo_plays_every_task_with_every_gate(report: dict[str, Any]) -> None:
    for run in report["runs"]:
        assert run["solved"] <= TASKS <= run["steps"]
    assert run_of(report, "none")["latency_ms"] == {"p50": None, "p99": None}
    for gate in ASKED:
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


def test_demo_refuses_a_share_that_is_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--follow", "1.5"], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "--follow takes a probability, 0 to 1, not 1.5" in done.stderr


def test_demo_ends_with_the_first_error_and_shows_it(tmp_path: Path) -> None:
    """The servers fall over a package of the same name that stands in their way; no run is played to its end."""
    (tmp_path / "litestar.py").write_text("raise RuntimeError('not today')\n")
    done = subprocess.run(
        [*COMMAND, "--tasks", "10000"],
        env=environment(tmp_path, PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path)))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: not today" in done.stderr
    assert "pointsman serve" in done.stderr


@pytest.mark.parametrize(("sent", "times"), [(signal.SIGINT, 5), (signal.SIGTERM, 1)], ids=["impatient", "told once"])
def test_demo_ends_its_servers_when_it_is_interrupted(tmp_path: Path, sent: signal.Signals, times: int) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--keep", "--tasks", "10000"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        serving = wait_for_two_players(tmp_path)
        for _ in range(times):
            demo.send_signal(sent)
            time.sleep(0.3)
        output, said = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode != 0
    assert "kept in" in said
    assert output == ""
    for data in serving:
        os.close(lock_folder(data))  # refused while a server still holds it


def test_demo_without_room_for_its_scratch_folder_says_so(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that is full."""
    done = subprocess.run(
        [*COMMAND, "--tasks", "2"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)),
    )
    assert done.returncode == 1
    assert "point TMPDIR to one with some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("pointsman-demo-*")) == []


def wait_for_two_players(scratch: Path) -> list[Path]:
    """The data folders of all servers, once two runs are being played."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = sorted(scratch.glob("pointsman-demo-*/*/data/journal.db"))
        playing = list(scratch.glob("pointsman-demo-*/*/steps.jsonl"))
        if (len(found), len(playing)) == (len(ASKED), 2):
            return [path.parent for path in found]
        time.sleep(0.05)
    raise AssertionError("two runs were not played at once")


class Hinting(NoGate):
    """Has the same advice about everything."""

    def __init__(self, command: str) -> None:
        self._command = command

    def ask(self, question: Question) -> Answer:
        return Answer(verdict="HINT", advice=Advice(self._command, None))


@pytest.mark.parametrize(("follow", "least", "most"), [(0.0, 0, 0), (0.5, 5, 15), (1.0, 20, 20)])
def test_agent_follows_hints_as_often_as_it_is_told(
    tmp_path: Path, tools: Path, follow: float, least: int, most: int
) -> None:
    tasks = stream(SEED, 20)
    first = [
        work(0, task, folder=tmp_path, tools=tools, gate=Hinting("exit 3"), seed=SEED, follow=follow)[0]
        for task in tasks
    ]
    assert all(step.ran == "exit 3" or step.ran == task.command for step, task in zip(first, tasks, strict=True))
    assert least <= sum(step.ran == "exit 3" for step in first) <= most


def figures(gate: str, by_tenth: list[int], solved: int) -> Figures:
    return Figures(
        gate=gate,
        wasted=sum(by_tenth),
        solved=solved,
        false_blocks=0,
        exploration_interventions=0,
        follow=0.5,
        steps=500,
        latency_ms=Latency(),
        wasted_by_tenth=by_tenth,
    )


RUNS = [
    figures("none", [16, 8, 8, 8, 8, 8, 8, 8, 8, 0], 400),
    figures("fixed", [10] * 10, 390),
    figures("fixed_tuned", [5] * 10, 400),
    figures("learned", [6] * 10, 399),
]


TOLD = {
    "spent_usd": 0.004,
    "calls": 33,
    "savings": [
        {"baseline": "always_cheap", "would_have_cost_usd": 0.004, "saved_usd": 0.0},
        {"baseline": "always_premium", "would_have_cost_usd": 0.021, "saved_usd": 0.017},
    ],
}
PURSE = Purse.of({"cheap": 33, "cached": 7}, TOLD)


def remembered(episode_id: int, uplift: float, *, withheld: int = 9) -> dict[str, Any]:
    """A server's account of an episode."""
    status = "helps" if uplift > 0.5 else "harms" if uplift < -0.5 else "unproven"
    worth = {"status": status, "uplift": uplift, "low": -1.0, "high": 1.0, "offered": 123, "withheld": withheld}
    command = f"a command of episode {episode_id}\nthat is far too long for a table"
    return {"episode_id": episode_id, "episode": {"planned_action": command, "resolution": command}, "worth": worth}


UPLIFTS = (0.1, -0.6, 0.9, 0.3, -0.2, 0.0, 0.2, 0.7)
TOLD_MEMORIES = [remembered(n, uplift) for n, uplift in enumerate(UPLIFTS)]
MEMORIES = Memories.of([*TOLD_MEMORIES, remembered(99, 0.95, withheld=0)])


def test_report_shows_the_best_and_the_worst_memories_of_which_both_sides_are_known() -> None:
    assert [memory.uplift for memory in MEMORIES.best] == [0.9, 0.7, 0.3]
    assert [memory.uplift for memory in MEMORIES.worst] == [0.0, -0.2, -0.6]
    assert MEMORIES.sentence == (
        "Of 9 memories 8 were both offered and withheld: 3 helps, 5 unproven, 0 inert, 1 harms."
    )
    few = Memories.of(TOLD_MEMORIES[:2])
    assert [memory.uplift for memory in (*few.best, *few.worst)] == [0.1, -0.6], "none twice"


def test_demo_tells_what_its_memories_are_worth(report: dict[str, Any]) -> None:
    memories = report["memories"]
    assert memories["remembered"] == sum(memories["statuses"].values()) > 0
    assert memories["compared"] >= len(memories["best"]) + len(memories["worst"])


def test_report_says_what_reflections_cost_beside_the_premium_model() -> None:
    assert PURSE.tiers == {"cached": 7, "cheap": 33, "premium": 0}
    assert PURSE.sentence == (
        "For 40 failures a reflection by played models was chosen (7 cached, 33 cheap, 0 premium) and 0.0040 USD spent "
        "at published prices; on the premium model the 33 calls would have cost 0.0210 USD, and each cached one asked "
        "nobody."
    )


def test_demo_pays_for_reflections_and_tells_the_sum(report: dict[str, Any]) -> None:
    purse = report["purse"]
    assert sum(purse["tiers"].values()) > 0
    assert purse["calls"] > 0
    assert 0.0 < purse["spent_usd"] < purse["always_premium_usd"]
    assert purse["saved_usd"] == pytest.approx(purse["always_premium_usd"] - purse["spent_usd"])


def test_report_says_so_where_the_learned_gate_does_not_win() -> None:
    wasted, solved, *_ = Report(seed=1, tasks=400, runs=RUNS, purse=PURSE, memories=MEMORIES).sentences
    assert wasted == (
        "Over 400 tasks the learned gate wasted 60 steps: 25% fewer than no gate (80), "
        "40% fewer than the fixed rule (100) and 20% more than the fixed rule at its best thresholds (50)."
    )
    assert solved == (
        "It solved 399 tasks: 1 fewer than no gate, 9 more than the fixed rule "
        "and 1 fewer than the fixed rule at its best thresholds."
    )


def test_report_fits_a_plain_terminal_and_draws_one_bar_row_per_gate() -> None:
    printed = StringIO()
    report = Report(seed=1, tasks=400, runs=RUNS, purse=PURSE, memories=MEMORIES)
    show(report, Console(file=printed, width=80, color_system=None))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "  none        ██ 16 ▄▄  8 ▄▄  8 ▄▄  8 ▄▄  8 ▄▄  8 ▄▄  8 ▄▄  8 ▄▄  8     0" in lines
    assert "  learned     ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6 ▃▃  6" in lines
    assert "…" not in printed.getvalue(), "nothing is cut off"


@pytest.fixture
def tuned() -> dict[str, Any]:
    return tomllib.loads(TUNED.read_text("utf-8"))


def test_tuned_rule_is_the_best_of_what_was_tried_on_the_grid(tuned: dict[str, Any]) -> None:
    tried, grid = tuned["search"]["tried"], tuned["search"]["grid"]
    assert all(trial[name] in values for trial in tried for name, values in grid.items())
    (found,) = (trial for trial in tried if {name: trial[name] for name in grid} == tuned["thresholds"])
    assert (found["wasted"], -found["solved"]) == min((trial["wasted"], -trial["solved"]) for trial in tried)


def test_tuned_rule_was_left_only_when_no_single_threshold_made_it_better(tuned: dict[str, Any]) -> None:
    tried = {meaning({name: trial[name] for name in GRID}) for trial in tuned["search"]["tried"]}
    beside = [tuned["thresholds"] | {name: value} for name, values in GRID.items() for value in values]
    assert [at for at in beside if meaning(at) not in tried] == []


def test_tuned_rule_is_what_the_search_of_today_would_look_for(tuned: dict[str, Any]) -> None:
    search = tuned["search"]
    assert search["grid"] == {name: list(values) for name, values in GRID.items()}
    assert (search["seeds"], search["tasks"], search["follow"]) == (list(SEEDS), tuning.TASKS, tuning.FOLLOW)
    thresholds = {f"rule_{name}": value for name, value in tuned["thresholds"].items()}
    assert {row.name for row in settings.table() if row.name.startswith("rule_")} == thresholds.keys()
    assert settings.load({}, overrides=thresholds).rule_hint == tuned["thresholds"]["hint"]


def test_remembered_ground_ends_as_the_real_one_and_runs_a_case_once(tmp_path: Path, tools: Path) -> None:
    """Tuning rests on it."""
    cases = Cases(tmp_path / "cases")

    def remembered(place: int, task: Task) -> list[Step]:
        return Errand(place, task, RememberedGround(task, cases), NoGate(), seed=SEED, follow=FOLLOW).run()

    tasks = [task for task in stream(SEED, TASKS) if not task.scene.ports]
    folder = tmp_path / "real"
    folder.mkdir()
    real = [
        work(place, task, folder=folder, tools=tools, gate=NoGate(), seed=SEED, follow=FOLLOW)
        for place, task in enumerate(tasks)
    ]
    assert [remembered(place, task) for place, task in enumerate(tasks)] == real
    known = len(cases)
    assert [remembered(place, task) for place, task in enumerate(tasks)] == real
    assert len(cases) == known


def test_comparison_takes_the_mean_of_pairs_and_a_student_interval() -> None:
    """By hand: mean -2, standard deviation 1, half width 4.303 / sqrt(3)."""
    difference = Difference.of([-1, -2, -3])
    assert difference.mean == -2
    assert (difference.low, difference.high) == pytest.approx((-4.484, 0.484), abs=1e-3)
    assert Difference.of([4]) == Difference(4, None, None)
