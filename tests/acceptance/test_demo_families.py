"""The demo's families: real commands, each in a world of its own, that fail and succeed as often as is promised."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import pytest

from controlplane.demo.families import FAMILIES, Family, Job, Lock, Port, Scene
from controlplane.demo.holding import LOOPBACK
from controlplane.demo.stream import HOSTS, Task, stream
from controlplane.demo.world import CannotPlay, Ran, World, lay_out_tools

SEED, TASKS = 11, 20 * len(FAMILIES)
SURROUNDINGS = {"HOSTNAME": HOSTS[0], "CI": "true"}

Result = TypeVar("Result")


class Way(NamedTuple):
    """What a troubleshooting script would try: in a folder as it was found, or after the command failed in it."""

    text: str
    ran: Ran


class Trial(NamedTuple):
    """A job's command, really run in one of its scenes: as it is, and with all around it that decides nothing."""

    family: Family
    job: Job
    weight: int
    command: str
    environment: str
    worked: bool
    worked_surrounded: bool
    ways: list[Way]


@pytest.fixture(scope="module")
def readme() -> str:
    return " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out_tools(tmp_path_factory.mktemp("tools") / "python")


def for_every_family(work: Callable[[Family], Iterable[Result]]) -> list[Result]:
    """What the work gives for each family, two families at a time."""
    with ThreadPoolExecutor(2) as both:
        return [result for results in both.map(lambda family: list(work(family)), FAMILIES) for result in results]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> list[Trial]:
    """Every scene of every job."""
    folder = tmp_path_factory.mktemp("trials")

    def tried(family: Family) -> Iterator[Trial]:
        for job in family.jobs:
            for weight, scene in job.scenes:
                yield trial(family, job, weight, scene)

    def trial(family: Family, job: Job, weight: int, scene: Scene) -> Trial:
        command = job.phrases[0].command
        with World.build(folder / f"bare-{id(scene)}", scene, tools) as world:
            environment = json.dumps(world.probe(family.probe))
            worked, ways = attempt(world, family, command, job.check, family.ways(world.cwd, command))
        with World.build(folder / f"surrounded-{id(scene)}", surrounded(family, scene), tools) as world:
            turned = family.ways(world.cwd, command)[::-1]
            worked_surrounded, more_ways = attempt(world, family, command, job.check, turned)
        return Trial(family, job, weight, command, environment, worked, worked_surrounded, [*ways, *more_ways])

    return for_every_family(tried)


def surrounded(family: Family, scene: Scene) -> Scene:
    """The scene with everything the stream may add to it."""
    files = {f"{scene.cwd}/{name}": text for name, text in family.aside.files.items()}
    variables = {**SURROUNDINGS, **family.aside.variables, **scene.variables}
    return msgspec.structs.replace(scene, files={**scene.files, **files}, variables=variables)


def attempt(world: World, family: Family, command: str, check: str, found: list[str]) -> tuple[bool, list[Way]]:
    """The command; one way in the folder as it was found; where the command fails, both ways afterwards."""
    first, second = found
    ways = [Way(first, beside(world, "found").run(first, check))]
    worked = world.run(command, check).worked
    if not worked:
        assert set(family.ways(world.cwd, command)) == set(found), "a failure hides no way"
        ways.append(Way(first, beside(world, "failed").run(first, check)))
        ways.append(Way(second, world.run(second, check)))
    return worked, ways


def beside(world: World, name: str) -> World:
    return world.copy(world.root.with_name(f"{world.root.name}-{name}"))


def outcomes(folder: Path, tools: Path, tasks: list[Task]) -> list[tuple[str, str, int, bool]]:
    """What came of each task's command: family, command, exit code, whether it worked."""

    def played(family: Family) -> Iterator[tuple[str, str, int, bool]]:
        for task in tasks:
            if task.family == family.name:
                with World.build(folder / task.task_id, task.scene, tools) as world:
                    ran = world.run(task.command, task.check)
                yield task.task_id, family.name, ran.exit_code, ran.worked

    return for_every_family(played)


def phrases(family: Family) -> list[tuple[str, str, bool]]:
    return [tuple(phrase) for job in family.jobs for phrase in job.phrases]


def scenes_with(what: str) -> list[Scene]:
    """Every scene that holds ports, or locks."""
    every = [scene for family in FAMILIES for job in family.jobs for _, scene in job.scenes]
    return [scene for scene in every if getattr(scene, what)]


def test_families_are_many_and_put_in_many_words() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 13
    for family in FAMILIES:
        said = phrases(family)
        assert len({goal for goal, _, _ in said}) == len(said) >= 5
        assert any(late for _, _, late in said)
        for job in family.jobs:
            assert not all(phrase.late for phrase in job.phrases), "every job can be drawn from the beginning"


def test_stream_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert stream(3, 60) == stream(3, 60)
    assert stream(3, 60) != stream(4, 60)


def test_stream_draws_families_evenly() -> None:
    assert set(Counter(task.family for task in stream(SEED, TASKS)).values()) == {20}


def test_stream_keeps_some_phrasings_for_its_second_half() -> None:
    late = {goal for family in FAMILIES for goal, _, late in phrases(family) if late}
    half = 100 * len(FAMILIES)
    tasks = stream(1, 2 * half)
    assert not late & {task.goal for task in tasks[:half]}
    assert late <= {task.goal for task in tasks[half:]}


def test_stream_draws_what_surrounds_a_task_apart_from_its_scene() -> None:
    """Every family meets every host, in continuous integration and out of it."""
    seen: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
    for task in stream(SEED, 500 * len(FAMILIES)):
        variables = task.scene.variables
        seen[task.family].add((variables["HOSTNAME"], variables.get("CI")))
    for around in seen.values():
        assert around == {(host, ci) for host in HOSTS for ci in (None, "true")}


def test_family_succeeds_in_some_draws_and_fails_in_others(tmp_path: Path, tools: Path) -> None:
    """A gate that blocks everything, or nothing, is wrong in every family; any stream of one seed ends alike."""
    tasks = stream(SEED, TASKS)
    worked = defaultdict(list)
    for _, family, _, success in outcomes(tmp_path / "once", tools, tasks):
        worked[family].append(success)
    assert set(worked) == {family.name for family in FAMILIES}
    for family, successes in worked.items():
        assert 0.3 <= sum(successes) / len(successes) <= 0.7, f"{family}: {sum(successes)} of {len(successes)}"


def test_same_seed_ends_the_same_way(tmp_path: Path, tools: Path) -> None:
    tasks = stream(SEED + 1, 3 * len(FAMILIES))
    assert outcomes(tmp_path / "once", tools, tasks) == outcomes(tmp_path / "again", tools, tasks)


def test_environment_never_tells_the_outcome(trials: list[Trial]) -> None:
    """For every command there is one environment, as the agent sees it, in which it fails and in which it succeeds."""
    seen: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for trial in trials:
        seen[trial.command, trial.environment].add(trial.worked)
    told = {command for command, _ in seen}
    assert told == {command for (command, _), worked in seen.items() if worked == {True, False}}


def test_environment_is_right_in_nine_of_ten_draws_as_the_readme_says(trials: list[Trial], readme: str) -> None:
    """How often somebody who knew what each environment goes with would guess the outcome: no more is learnable."""
    assert "goes with the outcome in nine of ten draws" in readme
    dealt: dict[str, dict[str, Counter[bool]]] = defaultdict(lambda: defaultdict(Counter))
    for trial in trials:
        dealt[trial.command][trial.environment][trial.worked] += trial.weight
    for command, environments in dealt.items():
        right = sum(max(counts.values()) for counts in environments.values())
        assert 0.85 <= right / sum(sum(counts.values()) for counts in environments.values()) <= 0.95, command


def test_environment_tells_what_every_agent_sees_and_what_its_job_suggests(trials: list[Trial]) -> None:
    for trial in trials:
        facts = json.loads(trial.environment)
        assert {"cwd", "host", "ci"} < set(facts), trial.family.name
        assert len(facts) <= 12, "more would not fit a signature"


def test_what_lies_around_decides_nothing(trials: list[Trial]) -> None:
    assert [trial.command for trial in trials if trial.worked != trial.worked_surrounded] == []


def test_troubleshooting_finds_a_way_in_every_scene(trials: list[Trial]) -> None:
    """At once, and after the command has failed."""
    for trial in trials:
        assert len(trial.ways) >= 2
        for way in trial.ways:
            assert way.ran.worked, f"{way.text!r} for {trial.command!r} in {trial.environment}: {way.ran.trace}"


@pytest.mark.parametrize("name", ["missing module", "malformed JSON", "command not found", "connection refused"])
def test_fix_of_one_scene_fails_in_another(trials: list[Trial], tmp_path: Path, tools: Path, name: str) -> None:
    """What helped once is a memory, not a law."""
    job = next(family for family in FAMILIES if family.name == name).jobs[0]
    fixes = {trial.ways[0].text for trial in trials if trial.job is job and not trial.worked}
    failed = set()
    for place, (_, scene) in enumerate(job.scenes):
        for number, fix in enumerate(sorted(fixes)):
            with World.build(tmp_path / f"{place}-{number}", scene, tools) as world:
                if not world.run(fix, job.check).worked:
                    failed.add(fix)
    assert failed == fixes


def test_copy_is_a_world_of_its_own(tmp_path: Path, tools: Path) -> None:
    """What is pushed from a copy does not reach the original's remote."""
    family = next(family for family in FAMILIES if "upstream" in family.name)
    push = next(job for job in family.jobs if job.phrases[0].command == "git push")
    with World.build(tmp_path / "original", push.scenes[0][1], tools) as original:
        assert original.copy(tmp_path / "copy").run("git push -u origin HEAD", push.check).worked
        assert not original.run("true", push.check).reached


def test_copy_is_locked_like_the_original(tmp_path: Path, tools: Path) -> None:
    """And copying it unlocks nothing."""
    for place, scene in enumerate(scenes_with("locks")):
        with World.build(tmp_path / str(place), scene, tools) as original:
            copy = original.copy(tmp_path / f"{place}-copy")
            for world in (original, copy, original):
                assert not may_be_written(world.root / scene.locks[0].database)


def test_ports_are_as_the_scene_says_while_it_lasts_and_given_back(tmp_path: Path, tools: Path) -> None:
    for place, scene in enumerate(scenes_with("ports")):
        with World.build(tmp_path / str(place), scene, tools) as world:
            told = (world.root / scene.ports[0].file).read_text("utf-8").split()
            numbers = {name: int(number) for name, number in (line.split("=") for line in told)}
            assert set(numbers) == {port.name for port in scene.ports}
            for port in scene.ports:
                assert answer_on(numbers[port.name]) == port.answer
        for number in numbers.values():
            assert answer_on(number) is None
            socket.create_server((LOOPBACK, number)).close()
    assert services() == []


def test_locks_are_given_back(tmp_path: Path, tools: Path) -> None:
    for place, scene in enumerate(scenes_with("locks")):
        with World.build(tmp_path / str(place), scene, tools) as world:
            copy = world.copy(tmp_path / f"{place}-copy")
        for root in (world.root, copy.root):
            assert may_be_written(root / scene.locks[0].database)
            assert not list(root.rglob("*-journal"))


def test_world_that_cannot_be_made_holds_nothing(tmp_path: Path, tools: Path) -> None:
    scene = Scene(
        cwd="desk",
        files={"desk/no.db": "this is not a database" * 100},
        ports=(Port(name="WEB", file="desk/ports", answer="hello"),),
        locks=(Lock(database="desk/no.db", kind="exclusive"),),
    )
    with pytest.raises(sqlite3.DatabaseError):
        World.build(tmp_path / "desk", scene, tools)
    assert services() == []


def test_setup_is_run_once_for_all_tasks_in_the_same_scene(tmp_path: Path, tools: Path) -> None:
    """Each of them has a folder of its own nevertheless."""
    scene = Scene(cwd="desk", files={"desk/note": "read me\n"}, setup="mktemp desk/made-XXXXXX")
    with World.build(tmp_path / "one", scene, tools) as one, World.build(tmp_path / "two", scene, tools) as two:
        assert one.run("rm note", "true").worked
        made = [{path.name for path in world.cwd.iterdir()} for world in (one, two)]
    assert made[1] - made[0] == {"note"}
    assert len(made[0]) == 1


def test_setup_that_fails_is_quoted(tmp_path: Path, tools: Path) -> None:
    scene = Scene(cwd="desk", files={"desk/note": ""}, setup="cd nowhere")
    with pytest.raises(CannotPlay, match="nowhere"):
        World.build(tmp_path / "desk", scene, tools)


def may_be_written(database: Path) -> bool:
    """Tried by another process: looked at in this one, a lock would be gone."""
    trying = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('begin immediate')"
    done = subprocess.run([sys.executable, "-c", trying, str(database)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "database is locked" in done.stderr
    return done.returncode == 0


def answer_on(port: int) -> str | None:
    """What is said to a visitor; None where the connection is refused."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=10) as visitor:
            return visitor.makefile(newline="").read()
    except ConnectionRefusedError:
        return None


def services() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("demo")]
