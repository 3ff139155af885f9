"""A backup under load holds everything acknowledged before it began; a restore puts nothing unverified in place."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.backups import MANIFEST, STAGING, Manifest, back_up, restore
from controlplane.clock import FixedClock
from controlplane.errors import PointsmanError

from ..integration.conftest import Running, chosen
from .crowd import REPORTS, Crowd, verified

Start = Callable[..., Any]
Cli = Callable[..., Any]


def test_a_backup_under_load_holds_all_that_was_acknowledged_before_it_began(
    start: Start, cli: Cli, tmp_path: Path, seed: int
) -> None:
    crowd, server, kept = Crowd(seed), start(), tmp_path / "kept" / "monday"
    crowd.visit(server.url, 300)
    acknowledged = crowd.acknowledged.copy()
    load = threading.Thread(target=crowd.visit, args=(server.url, 500))
    load.start()
    made = cli("backup", str(kept), "--json")
    load.join()
    assert made.returncode == 0, made.stderr
    again = cli("backup", str(kept))
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert [path.name for path in kept.parent.iterdir()] == ["monday"], "nothing half-made is left beside it"
    server.end()

    restored = tmp_path / "restored"
    put_back = cli("restore", str(kept), "--data-dir", str(restored), "--json")
    assert put_back.returncode == 0, put_back.stderr
    assert json.loads(put_back.stdout)["seq"] == json.loads(made.stdout)["seq"]
    assert {path.name for path in restored.iterdir()} == {"journal.db", "checkpoints", "lock", "pepper"}
    there = crowd.facts(restored)
    assert {fact: n for fact, n in acknowledged.items() if there[fact] < n} == {}
    assert all(there[fact] <= n for fact, n in crowd.sent.items())
    with Running(chosen(restored)) as living:
        assert living.get("/v1/checkpoints")[-1]["checkpoint_id"] in crowd.checkpoints
        crowd.visit(living.url, 30, weights=REPORTS)
    verified(restored)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a small data folder with a checkpoint."""
    place = tmp_path_factory.mktemp("kept")
    with Running(chosen(place / "data")) as server:
        server.gate()
        server.post("/v1/checkpoints", {"name": "one"}, 201)
        server.gate()
    back_up(place / "data", place / "backup", FixedClock(), lambda done, of: None)
    return place / "backup"


def put_back(backup: Path, folder: Path) -> Manifest:
    return restore(backup, folder, lambda done, of: None)


def test_a_backup_can_be_read_by_its_owner_only_and_says_what_it_holds(kept: Path, tmp_path: Path) -> None:
    assert kept.stat().st_mode & 0o077 == 0
    manifest = json.loads((kept / MANIFEST).read_text())
    assert sorted(manifest["files"]) == sorted(
        str(p.relative_to(kept)) for p in kept.rglob("*") if p.is_file() and p.name != MANIFEST
    )
    assert put_back(kept, tmp_path / "data").seq == manifest["seq"]


def test_what_a_command_writes_is_read_by_its_owner_only_even_out_of_a_backup_that_others_could_read(
    start: Start, cli: Cli, tmp_path: Path, seed: int
) -> None:
    server = start()
    server.post("/v1/decisions", {"planned_action": "ls"})
    server.post("/v1/checkpoints", {"name": "one"}, 201)
    server.end()
    restored, before = tmp_path / "restored", os.umask(0o022)
    try:
        assert cli("backup", str(tmp_path / "backup")).returncode == 0
        for path in (*tmp_path.joinpath("backup").rglob("*"), tmp_path / "backup"):
            assert path.stat().st_mode & 0o077 == 0, path
            path.chmod(0o755 if path.is_dir() else 0o644)
        assert cli("restore", str(tmp_path / "backup"), "--data-dir", str(restored)).returncode == 0
        assert cli("rebuild", POINTSMAN_DATA_DIR=str(restored)).returncode == 0
    finally:
        os.umask(before)
    written = [restored, *restored.rglob("*")]
    assert {"journal.db", "pepper", "checkpoints", "recovery"} <= {path.name for path in written}
    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_a_backup_within_the_data_folder_is_refused_for_the_next_one_would_hold_it(kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    put_back(kept, folder)
    (tmp_path / "link").symlink_to(folder)
    for target in (folder / "monday", folder / "backups" / "monday", tmp_path / "link" / "monday"):
        with pytest.raises(PointsmanError, match="lies in the data folder"):
            back_up(folder, target, FixedClock(), lambda done, of: None)
    assert {path.name for path in folder.iterdir()} & {"monday", "backups"} == set()
    back_up(folder, tmp_path / "data-monday", FixedClock(), lambda done, of: None)


def test_a_folder_in_use_or_not_empty_is_not_restored_into(kept: Path, tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "used")) as server:
        server.gate()
        with pytest.raises(PointsmanError, match="another Pointsman uses the data folder"):
            put_back(kept, tmp_path / "used")
    with pytest.raises(PointsmanError, match="is not empty"):
        put_back(kept, tmp_path / "used")
    with Running(chosen(tmp_path / "used")) as server:
        assert server.last_seq == 3, "what was there is there"


def test_an_interrupted_restore_is_begun_again(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / STAGING).mkdir(parents=True)
    (tmp_path / "data" / STAGING / "journal.db").write_bytes(b"half")
    put_back(kept, tmp_path / "data")
    assert not (tmp_path / "data" / STAGING).exists()


@pytest.mark.parametrize("name", ["journal.db", "checkpoints", MANIFEST])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_backup_is_refused_and_nothing_is_put_in_place(
    kept: Path, tmp_path: Path, name: str, harm: str
) -> None:
    copy = shutil.copytree(kept, tmp_path / "copy")
    [file] = (copy / name).iterdir() if (copy / name).is_dir() else [copy / name]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(content if harm == "flipped" else content[: len(content) // 2])
    with pytest.raises(PointsmanError, match=r"damaged|is no backup"):
        put_back(copy, tmp_path / "data")
    assert {path.name for path in (tmp_path / "data").glob("*")} <= {"lock"}
    assert put_back(kept, tmp_path / "data").seq, "the same folder takes a good one"


def test_a_manifest_cannot_name_files_outside_of_its_backup(kept: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(kept, tmp_path / "copy")
    (tmp_path / "outside").write_text("x")
    manifest = json.loads((copy / MANIFEST).read_text())
    for name in ("../outside", str(tmp_path / "outside")):
        manifest["files"][name] = {"size": 1, "digest": ""}
        (copy / MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(PointsmanError, match="is missing"):
            put_back(copy, tmp_path / "data")


def test_a_backup_of_a_newer_schema_is_refused(kept: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(kept, tmp_path / "copy")
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**manifest, "schema": 99, "version": "9.9"}))
    with pytest.raises(PointsmanError, match=r"made by Pointsman 9\.9"):
        put_back(copy, tmp_path / "data")


def test_people_are_told_what_a_backup_holds_and_what_is_wrong(cli: Cli, kept: Path, tmp_path: Path) -> None:
    nothing = cli("backup", str(tmp_path / "b"))
    assert (nothing.returncode, "there is no journal in" in nothing.stderr) == (1, True)
    no_backup = cli("restore", str(tmp_path))
    assert (no_backup.returncode, "is no backup" in no_backup.stderr) == (1, True)
    restored = cli("restore", str(kept))
    assert (restored.returncode, "holds events up to" in restored.stdout) == (0, True), restored.stderr
    made = cli("backup", str(tmp_path / "b"))
    assert (made.returncode, "holds events up to" in made.stdout) == (0, True), made.stderr


def test_a_damaged_journal_is_not_backed_up(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "data")
    with (tmp_path / "data" / "journal.db").open("r+b") as journal:
        journal.seek(16_384 * 2)
        journal.write(b"\xff" * 16_384)
    with pytest.raises(PointsmanError, match=r"damaged|malformed"):
        back_up(tmp_path / "data", tmp_path / "b", FixedClock(), lambda done, of: None)
    assert not (tmp_path / "b").exists()
