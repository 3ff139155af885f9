"""`pointsman archive`: an old stretch of the journal becomes a base and a file, and nothing that is learnt changes."""

import asyncio
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from auditor.events import AnyEvent
from controlplane.backups import back_up, restore
from controlplane.clock import FixedClock, SystemClock
from controlplane.doctor import examine
from controlplane.errors import BadSetting, JournalDamaged, PointsmanError
from controlplane.journal import SqliteJournal, connect
from controlplane.journal.port import STAYING_KINDS
from controlplane.origin import find
from controlplane.rebuilding import rebuild
from controlplane.refold import refold
from controlplane.retention import Moved, archive
from controlplane.service import Service
from controlplane.settings import Settings

from .conftest import Running, chosen
from .test_rebuild import live

Row = tuple[Any, ...]
LEAVING = {
    "decision", "feedback", "validation", "purged", "window_closed", "trajectory_closed",
    "configured", "receipt", "answered", "reserved", "settled", "released", "reuse_checked",
    "query", "session_outcome",
}  # fmt: skip
SECRET = "the-canary-7be1"


class Lived:
    """A stopped server's folder, and what it went through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with Running(settings_of(folder)) as server:
            self.first = server.post("/v1/checkpoints", {"name": "empty"}, 201)["checkpoint_id"]
            self.closed = server.route("a/1")["trace_id"]
            server.feedback(self.closed, latency_ms=20.0)
            self.purged = server.capture(goal="gone", custom={"note": "another canary"})["episode_id"]
            server.client.delete(f"/v1/episodes/{self.purged}").raise_for_status()
            live(server)
            self.open = server.route("a/1", "b/2")["trace_id"]
            self.second = server.post("/v1/checkpoints", {"name": "one"}, 201)["checkpoint_id"]
            live(server)
            server.post(f"/v1/checkpoints/{self.first}/restore")
            live(server)
            server.post(f"/v1/checkpoints/{self.second}/restore")
            self.capture = server.capture(goal="later", custom={"note": SECRET})["episode_id"]
            live(server, 3)
            self.last = server.last_seq
        self.rows = rows_of(folder / "journal.db")

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.folder, to))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return Lived(tmp_path_factory.mktemp("lived") / "data")


@pytest.fixture
def data(lived: Lived, tmp_path: Path) -> Path:
    return lived.copy(tmp_path / "data")


def settings_of(folder: Path) -> Settings:
    return chosen(folder, epsilon=0.3)


def rows_of(file: Path) -> list[Row]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT * FROM events ORDER BY seq").fetchall()


def moved(folder: Path, keep: int, later_s: float = 172_800.0) -> Moved:
    """Archive as if it were two days later, unless said otherwise."""
    return asyncio.run(archive(folder, keep, FixedClock(time.time() + later_s), lambda done, of: None))


def folded(folder: Path) -> bytes:
    """What the journal folds to from where folding begins."""

    async def fold() -> bytes:
        journal = await SqliteJournal.open(connect(folder / "journal.db"))
        try:
            return (await refold(journal, journal.last_seq, origin=find(folder, journal.archives))).state.dump()
        finally:
            await journal.close()

    return asyncio.run(fold())


def opened(folder: Path) -> bytes:
    """Start and stop; the learnt state it started with."""

    async def start() -> bytes:
        service = await Service.open(settings_of(folder))
        learnt = service.learner.state.dump()
        await service.close()
        return learnt

    return asyncio.run(start())


def verify(folder: Path) -> list[str]:
    return asyncio.run(rebuild(settings_of(folder), verify=True, progress=lambda n, of: None)).differences


def made_again(folder: Path) -> None:
    asyncio.run(rebuild(settings_of(folder), verify=False, progress=lambda n, of: None))


def state_of(folder: Path) -> str:
    [journal] = [finding for finding in examine(settings_of(folder), SystemClock()) if finding.about == "journal"]
    return journal.state


def files_of(folder: Path) -> list[Path]:
    return sorted((folder / "archive").iterdir())


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at % len(content)] ^= 1
    file.write_bytes(content)


def test_every_kind_of_event_says_whether_it_leaves_the_log() -> None:
    """Memory, access and checkpoints are folds of what stays; whatever else is folded is part of the base."""
    assert LEAVING.isdisjoint(STAYING_KINDS)
    assert {event.__struct_config__.tag for event in get_args(AnyEvent)} == LEAVING | set(STAYING_KINDS)


@pytest.mark.parametrize("places", [2, pytest.param(60, marks=pytest.mark.nightly)])
def test_the_fold_from_a_base_is_the_fold_of_everything_bit_for_bit(
    lived: Lived, tmp_path: Path, places: int, seed: int
) -> None:
    """Archived at places that are drawn, a second time too, restores before and after each of them."""
    rng, whole = random.Random(seed), folded(lived.folder)
    for place in range(places):
        data = lived.copy(tmp_path / f"data-{place}")
        later, sooner = sorted(rng.sample(range(1, lived.last), 2), reverse=True)
        for keep in (later, sooner):
            assert moved(data, keep).seq == lived.last - keep
            assert folded(data) == whole
            assert verify(data) == []
        shutil.rmtree(data / "recovery")
        assert opened(data) == whole, "a start without recovery files begins with the base"


def test_what_leaves_the_log_is_in_the_archive_and_nothing_else_is_row_by_row(lived: Lived, data: Path) -> None:
    took = moved(data, 10)
    stayed, left = rows_of(data / "journal.db"), rows_of(data / "archive" / str(took.file))
    assert sorted(stayed + left) == lived.rows
    assert len(left) == took.events
    assert {row[2] for row in left} <= LEAVING
    old = [row for row in stayed if row[0] <= took.seq]
    assert {row[3] for row in old if row[2] not in STAYING_KINDS} >= {lived.open}, "what is about open decisions stays"
    assert not any(row[3] == lived.closed for row in old)
    assert (data / "journal.db").stat().st_size < (lived.folder / "journal.db").stat().st_size


def test_decisions_that_were_archived_are_not_found_and_those_still_open_are_learnt(lived: Lived, data: Path) -> None:
    moved(data, 10)
    with Running(settings_of(data)) as server:
        assert server.get(f"/v1/decisions/{lived.closed}", 404)["code"] == "unknown_trace"
        late = server.client.post("/v1/feedback", json={"trace_id": lived.closed, "outcome": {"latency_ms": 1}})
        assert late.status_code == 404
        assert server.get(f"/v1/decisions/{lived.open}")["trace_id"] == lived.open
        assert server.feedback(lived.open, latency_ms=10)["updated"] is True
        assert server.get(f"/v1/episodes/{lived.capture}")["episode"]["goal"] == "later"
        live(server, 2)
    assert verify(data) == []


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_restore_goes_back_behind_a_base(lived: Lived, data: Path, tmp_path: Path, name: str) -> None:
    """The same as where nothing was archived, also when the checkpoint's file was gone before."""
    checkpoint_id, learnt = getattr(lived, name), []
    shutil.rmtree(data / "checkpoints")
    moved(data, 10)
    for folder in (data, lived.copy(tmp_path / "whole")):
        with Running(settings_of(folder)) as server:
            server.post(f"/v1/checkpoints/{checkpoint_id}/restore")
            learnt.append(server.service.learner.state.dump())
            live(server, 2)
        assert verify(folder) == []
        shutil.rmtree(folder / "recovery")
        assert opened(folder) == folded(folder)
    assert learnt[0] == learnt[1]


def test_a_checkpoint_behind_a_base_whose_file_is_damaged_is_refused_and_made_again(lived: Lived, data: Path) -> None:
    moved(data, 10)
    flip(data / "checkpoints" / f"{lived.second}.fold", 90)
    with Running(settings_of(data)) as server:
        refused = server.post(f"/v1/checkpoints/{lived.second}/restore", status=500)
        assert refused["code"] == "journal_damaged"
    assert state_of(data) == "broken"
    made_again(data)
    with Running(settings_of(data)) as server:
        server.post(f"/v1/checkpoints/{lived.second}/restore")


@pytest.mark.parametrize("first", ["pruned", "archived"])
def test_a_checkpoint_that_an_archive_rests_on_is_not_pruned_and_a_pruned_one_is_not_archived(
    data: Path, first: str
) -> None:
    with Running(settings_of(data)) as server:
        old = server.post("/v1/checkpoints", {"name": "old"}, 201)["checkpoint_id"]
        live(server)
        server.post("/v1/checkpoints", {"name": "new"}, 201)
        pruned = server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] if first == "pruned" else []
        live(server, 2)
    moved(data, 2)
    with Running(settings_of(data)) as server:
        assert server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] == []
        file = data / "checkpoints" / f"{old}.fold"
        assert (pruned, file.exists()) == (([old], False) if first == "pruned" else ([], True))
        server.post(f"/v1/checkpoints/{old}/restore", status=404 if first == "pruned" else 200)
    assert state_of(data) == "fine"
    assert verify(data) == []


def test_a_challenger_that_began_with_a_pruned_checkpoint_outlives_an_archive(data: Path) -> None:
    """Its event stays, what it began with was learnt before: the base keeps that."""
    with Running(settings_of(data)) as server:
        live(server)
        old = server.post("/v1/checkpoints", {"name": "old"}, 201)["checkpoint_id"]
        live(server)
        server.post("/v1/checkpoints", {"name": "new"}, 201)
        server.post("/v1/points/route/challenger", {"why": "try", "checkpoint_id": old}, 201)
        assert server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] == [old]
        live(server, 1)
        since = server.get("/v1/points/route/policy")["challenger"]["since"]
        last = server.service.journal.last_seq
    took = moved(data, last - since + 1)
    assert took.seq < since
    assert verify(data) == []
    with Running(settings_of(data)) as server:
        assert server.get("/v1/points/route/policy")["challenger"]["since"] == since


def test_what_was_pruned_before_an_archive_can_be_learnt_and_kept_anew_after_it(lived: Lived, data: Path) -> None:
    """The same content has the same id, and the base knows nothing of its first life."""

    def kept_anew(server: Running) -> str:
        server.post(f"/v1/checkpoints/{lived.second}/restore")
        server.feedback(server.route("a/1")["trace_id"], latency_ms=20.0)
        found: str = server.post("/v1/checkpoints", {}, 201)["checkpoint_id"]
        return found

    with Running(settings_of(data)) as server:
        once = kept_anew(server)
        server.post(f"/v1/checkpoints/{lived.second}/restore")
        live(server)
        server.post("/v1/checkpoints", {"name": "newest"}, 201)
        assert server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] == [once]
        live(server, 2)
    moved(data, 2)
    with Running(settings_of(data)) as server:
        assert kept_anew(server) == once
        live(server, 2)
    moved(data, 2)
    assert state_of(data) == "fine"
    with Running(settings_of(data)) as server:
        server.post(f"/v1/checkpoints/{once}/restore")
    assert verify(data) == []


def test_a_purge_after_archiving_leaves_nothing_of_the_episode(lived: Lived, data: Path) -> None:
    took = moved(data, 1)
    assert took.seq > lived.capture
    with Running(settings_of(data)) as server:
        server.client.delete(f"/v1/episodes/{lived.capture}").raise_for_status()
        assert server.get(f"/v1/episodes/{lived.capture}", 404)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert verify(data) == []


def test_a_backup_of_an_archived_folder_has_base_and_archives(lived: Lived, data: Path, tmp_path: Path) -> None:
    moved(data, 40)
    moved(data, 10)
    back_up(data, tmp_path / "backup", FixedClock(), lambda done, of: None)
    restore(tmp_path / "backup", tmp_path / "again", lambda done, of: None)
    assert [path.name for path in files_of(tmp_path / "again")] == [path.name for path in files_of(data)]
    assert opened(tmp_path / "again") == folded(lived.folder)
    assert verify(tmp_path / "again") == []


def test_a_folder_with_a_damaged_base_or_archive_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    moved(data, 10)
    for file in files_of(data):
        sound = file.read_bytes()
        flip(file, len(sound) // 2)
        with pytest.raises(PointsmanError, match="damaged"):
            back_up(data, tmp_path / "backup", FixedClock(), lambda done, of: None)
        assert state_of(data) == "broken"
        file.write_bytes(sound)
    assert state_of(data) == "fine"


@pytest.mark.parametrize("flips", [12, pytest.param(400, marks=pytest.mark.nightly)])
def test_a_damaged_base_ends_the_start_and_is_made_again_from_the_archives(
    lived: Lived, data: Path, flips: int, seed: int
) -> None:
    moved(data, 40)
    moved(data, 10)
    [base, *_] = files_of(data)
    rng, sound = random.Random(seed), base.read_bytes()
    for _ in range(flips):
        flip(base, rng.randrange(len(sound)))
        with pytest.raises(JournalDamaged, match="pointsman rebuild"):
            opened(data)
        base.write_bytes(sound)
    base.unlink()
    made_again(data)
    assert base.read_bytes() == sound
    assert opened(data) == folded(lived.folder)


def test_a_base_that_another_version_wrote_is_made_again_from_the_archives(
    lived: Lived, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(data, 10)
    for name, later in {"FORMAT": 99, "READABLE": (99,)}.items():
        monkeypatch.setattr(f"auditor.state.{name}", later)
    shutil.rmtree(data / "recovery")
    with pytest.raises(JournalDamaged, match="has format"):
        opened(data)
    made_again(data)
    assert opened(data) == folded(data)
    assert state_of(data) == "fine"


def test_an_archive_may_be_moved_away_and_then_a_damaged_base_cannot_be_made_again(data: Path) -> None:
    took = moved(data, 10)
    (data / "archive" / str(took.file)).unlink()
    with Running(settings_of(data)) as server:
        live(server, 1)
    assert verify(data) == []
    assert state_of(data) == "warning"
    [base] = files_of(data)
    flip(base, 60)
    with pytest.raises(JournalDamaged, match="base-"):
        made_again(data)


@pytest.mark.parametrize("harm", ["DELETE FROM events WHERE kind = 'capture'", "UPDATE archives SET kept = kept + 1"])
def test_what_should_have_stayed_and_is_gone_is_noticed(data: Path, harm: str) -> None:
    moved(data, 10)
    with closing(sqlite3.connect(data / "journal.db")) as database, database:
        assert database.execute(harm).rowcount
    assert state_of(data) == "broken"


def test_a_base_that_is_not_known_of_leaves_a_gap_that_is_noticed(data: Path) -> None:
    moved(data, 10)
    shutil.rmtree(data / "recovery")
    with closing(sqlite3.connect(data / "journal.db")) as database, database:
        database.execute("DELETE FROM archives")
    with pytest.raises(JournalDamaged, match="is missing"):
        opened(data)


def test_the_last_day_and_the_newest_events_stay(lived: Lived, data: Path) -> None:
    assert moved(data, 1, later_s=0.0) == Moved(seq=0, events=0, file=None), "all of it is of the last 24 hours"
    assert moved(data, lived.last) == Moved(seq=0, events=0, file=None)
    assert moved(data, 10).seq == lived.last - 10
    assert moved(data, 10) == Moved(seq=lived.last - 10, events=0, file=None), "that is archived already"


def test_a_folder_in_use_is_not_archived(serve: Callable[..., Any]) -> None:
    server = serve()
    with pytest.raises(BadSetting, match="another Pointsman uses the data folder"):
        moved(Path(server.settings.data_dir), 1)


def test_a_damaged_journal_is_not_archived(data: Path) -> None:
    with closing(sqlite3.connect(data / "journal.db")) as database, database:
        database.execute("UPDATE events SET at = at + 1 WHERE seq = 9")
    with pytest.raises(JournalDamaged, match="event 9 is not what was written"):
        moved(data, 10)
    assert files_of(data) == []
