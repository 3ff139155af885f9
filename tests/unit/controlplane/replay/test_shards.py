"""Many files are worth what one log is, on every engine and in whatever parts; a worker that dies costs nothing."""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet as pq
import pytest

from controlplane.errors import Unavailable, UnusableLog, UnusablePolicy
from controlplane.replay import exported, parquet
from controlplane.replay.engine import Engine, Name
from controlplane.replay.engines import Local, named
from controlplane.replay.exported import groups
from controlplane.replay.ray_workers import SHORT
from controlplane.replay.shards import LargeReport, Shard, estimate, lessons, replay_files, shards, teach
from strategist import PolicySettings, Situation, State
from strategist.evaluation import LoggedDecision, Replay, Sight, Tally, Target, judge
from strategist.features.spec import FeatureSpec, Tiling

from .stalling import dying, stalled

ACTIONS = ("a", "b", "c")
CLOSE = 1e-9
TARGET = Target(settings=PolicySettings(gamma=0.8))
FROZEN = Target(settings=PolicySettings(mode="frozen"))
WEIGHED = Target(settings=PolicySettings(gamma=0.8), weights={"speed": 0.5, "cost": -0.2, "nothing": 1.0})
FEATURED = Target(
    settings=PolicySettings(gamma=0.8),
    spec=FeatureSpec(point="route", version=1, features={}, tilings=(Tiling(name="all", levels=((),)),), own_tilings=1),
)
GATE, ROUTE = ("acme", "gate"), ("bolt & co/eu", "route")


def sight(name: str, hour: int) -> Sight:
    return Sight(Situation(State((("all", f"all/{name}"),)), ACTIONS), own_facts={"hour": hour})


def drawn(seed: int, count: int) -> list[LoggedDecision]:
    """Decisions with propensities of their own, of which some lead to the next; some have no probabilities."""
    rng = random.Random(seed)
    log = []
    for row in range(1, count + 1):
        rest = rng.uniform(0.2, 0.6)
        chances = (1.0 - rest, rest / 2, rest / 2)
        at = rng.choices(range(3), chances)[0]
        log.append(
            LoggedDecision(
                row=row,
                sight=sight(f"place {rng.randrange(7)}", rng.randrange(3)),
                action=ACTIONS[at],
                propensity=chances[at],
                probabilities=chances if rng.random() < 0.9 else None,
                reward=rng.gauss(at, 1.0),
                terms={"speed": rng.random()} | ({"cost": rng.random()} if rng.random() < 0.8 else {}),
                following=sight("after", 1) if rng.random() < 0.3 else None,
            )
        )
    return log


def write(folder: Path, key: tuple[str, str], log: Sequence[LoggedDecision], ends: Sequence[int]) -> None:
    """Files of a log, one for each day, cut at these places."""
    for day, (begin, end) in enumerate(zip([0, *ends], [*ends, len(log)], strict=True), 1):
        file = folder / exported.place(*key, f"2026-01-{day:02}", 0)
        file.parent.mkdir(parents=True)
        file.write_bytes(exported.encoded(log[begin:end]))


@pytest.fixture
def folder(tmp_path: Path, seed: int) -> Path:
    """Two groups of files."""
    write(tmp_path, GATE, drawn(seed, 600), (150, 400))
    write(tmp_path, ROUTE, drawn(seed + 1, 301), (7, 90, 200))
    return tmp_path


def quietly(done: int, of: int) -> None:
    pass


def replayed(folder: Path, engine: Engine, target: Target = TARGET) -> LargeReport:
    return replay_files(groups(folder), lambda point: target, engine, quietly)


def all_shards(folder: Path) -> list[Shard]:
    found = groups(folder)
    targets = [TARGET] * len(found)
    return [s for of in zip(found, targets, map(teach, lessons(found, targets)), strict=True) for s in shards(*of)]


def told(tallies: Sequence[Mapping[int, Tally]]) -> list[Any]:
    """Tallies as what can be compared."""
    return [(block, list(of.stood), of.sums.tobytes()) for each in tallies for block, of in each.items()]


def listening() -> set[IPv4Address | IPv6Address]:
    """Where processes that this one began take calls."""
    below = {str(os.getpid())}
    began = [
        (file.parent.name, file.read_text().rpartition(")")[2].split()[1]) for file in Path("/proc").glob("[0-9]*/stat")
    ]
    while more := {child for child, parent in began if parent in below} - below:
        below |= more
    sockets = {os.readlink(fd) for pid in below for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    told = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert told
    return {address(text) for text in told}


def address(text: str) -> IPv4Address | IPv6Address:
    """As the kernel writes it: words of four bytes, each the other way round."""
    packed = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    found = ip_address(packed)
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


@contextmanager
def killed(note: Path, wait_s: float = 30.0) -> Iterator[None]:
    """Kills the process whose number comes to stand in a file."""

    def kill() -> None:
        until = time.monotonic() + wait_s
        while time.monotonic() < until and not (note.exists() and note.read_text().endswith("\n")):
            time.sleep(0.02)
        os.kill(int(note.read_text()), signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    yield
    killing.join()


@pytest.mark.parametrize("target", [TARGET, WEIGHED, FEATURED], ids=["logged", "weights", "features"])
def test_files_are_worth_what_one_log_is(folder: Path, seed: int, target: Target) -> None:
    report = replayed(folder, Local(), target)
    assert [(group.tenant, group.point) for group in report.groups] == [GATE, ROUTE]
    for group, log in zip(report.groups, (drawn(seed, 600), drawn(seed + 1, 301)), strict=True):
        whole = judge(log, target, list(Replay(log, target).blocks())[-1].blocks, 1)
        assert whole.values, whole.refused
        found = group.report
        assert (found.decisions, found.learnt_first, found.valued) == (len(log), whole.learnt_first, whole.valued)
        assert {name: value.value for name, value in found.values.items()} == pytest.approx(
            {name: value.value for name, value in whole.values.items()}, abs=CLOSE
        )
        assert [block.learnt for block in found.blocks] == [block.learnt for block in whole.blocks]
        assert [block.dr for block in found.blocks] == pytest.approx([block.dr for block in whole.blocks], abs=CLOSE)
        assert found.diagnostics.effective == pytest.approx(whole.diagnostics.effective)


def test_other_parts_of_the_same_log_teach_the_same_bits_and_are_worth_the_same(tmp_path: Path, seed: int) -> None:
    log = drawn(seed, 500)
    write(tmp_path / "few", GATE, log, ())
    write(tmp_path / "many", GATE, log, range(10, 500, 10))
    [few], [many] = (replayed(tmp_path / name, Local()).groups for name in ("few", "many"))
    assert few.learnt == many.learnt
    for name, value in few.report.values.items():
        assert many.report.values[name].value == pytest.approx(value.value, abs=CLOSE)
        assert many.report.values[name].normal.low == pytest.approx(value.normal.low, abs=CLOSE)


@pytest.mark.parametrize("name", ["process", pytest.param("ray", marks=pytest.mark.services)])
def test_every_engine_gives_the_same_bits_whatever_happens_to_a_worker(folder: Path, name: Name) -> None:
    here, orders = msgspec.json.encode(replayed(folder, Local())), all_shards(folder)
    with named(name) as engine:
        assert msgspec.json.encode(replayed(folder, engine)) == here
        with killed(folder / "worker.pid"):
            assert told(list(engine.map(stalled, orders))) == told(list(map(estimate, orders)))
        orders[1].file.write_bytes(orders[1].file.read_bytes()[:500])
        with pytest.raises(UnusableLog, match="no Parquet file, or cut short"):
            list(engine.map(estimate, orders))
        with pytest.raises(Unavailable, match="died again and again"):
            list(engine.map(dying, orders[:1]))


@pytest.mark.services
def test_where_ray_itself_dies_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raises where its raylet was killed; when it notices is another matter, so that is not waited for."""
    import ray

    def dead(_: object) -> None:
        raise ray.exceptions.LocalRayletDiedError

    with named("ray") as engine:
        monkeypatch.setattr(ray, "get", dead)
        with pytest.raises(Unavailable, match=r"Ray itself failed .*; replay again, or with --engine process"):
            list(engine.map(abs, [-1]))


@pytest.mark.services
def test_ray_listens_on_the_loopback_alone_and_leaves_nothing_behind() -> None:
    with named("ray") as engine:
        assert list(engine.map(abs, [-1])) == [1]
        assert [address for address in listening() if not address.is_loopback] == []
        assert len(left := list(Path(SHORT).glob(f"pointsman-{os.getpid()}-*"))) == 1
    assert not left[0].exists()


def tampered(file: Path, name: str, value: Any) -> None:
    """Another value in the last row of a file."""
    [told] = parquet.lists(file)
    told[name][-1] = value
    kinds = exported.KINDS | {column: parquet.NUMBER for column in told if column.startswith(exported.TERM)}
    file.write_bytes(parquet.encoded(kinds, told))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("propensity", 0.0, "row 300: its propensity is not in"),
        ("propensity", None, "row 300: its propensity is not in"),
        ("reward", None, "row 300: its reward is not known"),
        ("reward", 2.0**54, "row 300: its reward is not known, or more than 2^53"),
        ("action", "nobody", "row 300: its action is not among the eligible ones"),
        ("action", None, "row 300: it has no action"),
        ("situation", None, "row 300: it has no situation"),
        ("situation", "{}", "a situation cannot be read"),
        ("probabilities", [0.5, 0.5], "row 300: it has not one probability for each eligible action"),
    ],
)
def test_a_row_that_contradicts_itself_is_named(tmp_path: Path, seed: int, name: str, value: Any, said: str) -> None:
    """Also where nothing is taught, which would read it as a decision."""
    write(tmp_path, GATE, drawn(seed, 300), ())
    [group] = groups(tmp_path)
    tampered(group.files[0][0], name, value)
    with pytest.raises(UnusableLog, match=re.escape(said)):
        replayed(tmp_path, Local(), FROZEN)
    if said.startswith("row"):
        with pytest.raises(UnusableLog, match="row 300: "):
            replayed(tmp_path, Local())


def test_an_action_that_was_certain_leaves_the_others_without_support(tmp_path: Path, seed: int) -> None:
    sure = [msgspec.structs.replace(d, propensity=1.0, probabilities=None) for d in drawn(seed, 200)]
    write(tmp_path, GATE, sure, (90,))
    [group] = replayed(tmp_path, Local()).groups
    whole = judge(sure, TARGET, list(Replay(sure, TARGET).blocks())[-1].blocks, 1)
    assert group.report.diagnostics.unsupported == pytest.approx(whole.diagnostics.unsupported, abs=CLOSE)
    assert group.report.refused == whole.refused != []


def test_a_group_with_too_few_decisions_is_told(tmp_path: Path, seed: int) -> None:
    write(tmp_path, GATE, drawn(seed, 49), ())
    report = replayed(tmp_path, Local())
    assert (report.groups, report.left_out) == ([], ["acme, gate: 49 decision(s); a replay needs 50"])


def test_a_policy_that_learns_whole_tasks_is_refused(folder: Path) -> None:
    with pytest.raises(UnusablePolicy, match="tree_backup learns whole tasks"):
        replayed(folder, Local(), Target(settings=PolicySettings(update="tree_backup")))


def test_files_are_found_by_folder_and_by_pattern(folder: Path) -> None:
    everything = groups(folder)
    assert [(each.tenant, each.point, each.decisions) for each in everything] == [(*GATE, 600), (*ROUTE, 301)]
    assert groups(Path(f"{folder}/*/point=gate")) == everything[:1]
    [part] = groups(Path(f"{folder}/tenant=acme/*/day=2026-01-02/*.parquet"))
    assert part.decisions == 250


def test_files_that_are_no_export_are_refused(folder: Path) -> None:
    with pytest.raises(UnusableLog, match="has no exported decisions"):
        groups(Path(f"{folder}/tenant=nobody*"))
    (folder / "mine.parquet").write_bytes(exported.encoded(drawn(1, 3)))
    with pytest.raises(UnusableLog, match="does not stand in tenant="):
        groups(folder)


def test_files_that_another_tool_wrote_again_are_read(folder: Path) -> None:
    before = replayed(folder, Local())
    for file in folder.rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        plain = {name: table[name].to_pylist() for name in table.column_names}
        pq.write_table(pyarrow.table(plain, table.schema.set(1, pyarrow.field("action", pyarrow.string()))), file)
    assert replayed(folder, Local()) == before
    file.write_bytes(
        parquet.encoded({**exported.KINDS, "reward": parquet.TEXTS}, plain | {"reward": [["a"]] * len(table)})
    )
    with pytest.raises(UnusableLog, match="reward"):
        replayed(folder, Local(), FROZEN)


def test_a_file_without_a_column_that_is_needed_is_refused(folder: Path) -> None:
    [group, _] = groups(folder)
    [told] = parquet.lists(group.files[-1][0])
    kinds = {name: kind for name, kind in exported.KINDS.items() if name != "propensity"}
    group.files[-1][0].write_bytes(parquet.encoded(kinds, told))
    with pytest.raises(UnusableLog, match="has no column propensity"):
        replayed(folder, Local(), FROZEN)
