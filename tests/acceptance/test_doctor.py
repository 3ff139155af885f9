"""The doctor on data folders that are well, worn and broken."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ..tampering import SEAL, tamper
from .conftest import Start
from .test_first_keys import Keyed

Cli = Callable[..., subprocess.CompletedProcess[str]]


def looked(cli: Cli, **variables: str) -> dict[str, dict[str, Any]]:
    done = cli("doctor", "--json", **variables)
    return {finding["about"]: finding for finding in json.loads(done.stdout)}


def test_a_server_at_work_is_found_well(start: Start, cli: Cli) -> None:
    server = start()
    server.post("/v1/decisions", {"planned_action": "ls"})
    found = looked(cli)
    assert {about for about, finding in found.items() if finding["state"] == "broken"} == set()
    assert found["journal"]["said"].startswith("whole, ")
    assert "on disk after" in found["syncs"]["said"]
    assert found["permissions"]["state"] == "fine"
    assert cli("doctor").returncode == 0


def test_a_redis_that_does_not_answer_is_a_warning_and_one_that_cannot_be_asked_is_broken(cli: Cli) -> None:
    assert looked(cli)["redis"]["state"] == "fine"
    for url, state in (("redis://127.0.0.1:1/0", "warning"), ("redis://127.0.0.1:1/0?colour=red", "broken")):
        found = looked(cli, POINTSMAN_REDIS_URL=url)["redis"]
        assert found["state"] == state
        assert "127.0.0.1" not in found["said"]


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    before = list(tmp_path.iterdir())
    found = looked(cli, POINTSMAN_EMBEDDER="minilm", POINTSMAN_DATA_DIR=str(tmp_path / "deep" / "data"))
    assert {about for about, finding in found.items() if finding["state"] == "broken"} == set()
    assert {"data folder", "file system", "permissions", "space", "syncs", "model"} < found.keys()
    assert str(tmp_path) in found["permissions"]["said"], "the nearest folder that is there"
    assert "byte for byte" in found["model"]["said"]
    assert list(tmp_path.iterdir()) == before


def test_a_damaged_journal_is_named_with_what_to_do(start: Start, cli: Cli, tmp_path: Path) -> None:
    start().end()
    journal = tmp_path / "data" / "journal.db"
    journal.write_bytes(journal.read_bytes()[:4000] + bytes(len(journal.read_bytes()) - 4000))
    done = cli("doctor")
    assert done.returncode == 1
    assert "restore a backup" in done.stdout


def test_damage_that_a_start_does_not_read_is_found(start: Start, cli: Cli, tmp_path: Path) -> None:
    start().end()
    tamper(tmp_path / "data", "UPDATE events SET at = at + 1 WHERE seq = 1")
    assert start().end() == 0, "the recovery file is newer than the damage"
    assert "event 1 is not what was written" in looked(cli)["journal"]["said"]


def test_a_clock_behind_the_journal_and_open_files_are_warned_of(start: Start, cli: Cli, tmp_path: Path) -> None:
    start().end()
    journal = tmp_path / "data" / "journal.db"
    tamper(tmp_path / "data", "UPDATE events SET at = ?", time.time() + 3600)
    tamper(tmp_path / "data", SEAL)
    journal.chmod(0o644)
    found = looked(cli)
    assert "set this machine's clock" in found["journal"]["said"]
    assert "chmod -R go=" in found["permissions"]["said"]


@pytest.mark.parametrize("content", [None, b"half of it"])
def test_what_the_start_refuses_of_the_pepper_is_found_first(cli: Cli, tmp_path: Path, content: bytes | None) -> None:
    Keyed(tmp_path / "data").close()
    pepper = tmp_path / "data" / "pepper"
    assert looked(cli)["pepper"]["state"] == "fine"
    pepper.unlink()
    if content is not None:
        pepper.write_bytes(content)
    refused = cli("serve", "--port", "0")
    assert refused.returncode == 1
    found = looked(cli)["pepper"]
    assert found["state"] == "broken"
    assert found["said"] in refused.stderr


def test_a_journal_that_is_gone_beside_recovery_files_is_none_to_be_made(
    start: Start, cli: Cli, tmp_path: Path
) -> None:
    start().end()
    (tmp_path / "data" / "journal.db").unlink()
    for _ in range(2):  # what the refused start leaves is no journal, either
        found, refused = looked(cli)["journal"], cli("serve", "--port", "0")
        assert (found["state"], refused.returncode) == ("broken", 1)
        assert "it is empty, but there are recovery files and a pepper; to begin anew, move them" in found["said"]
        assert found["said"] in refused.stderr


def test_another_programs_database_is_none_of_ours(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as database:
        database.execute("CREATE TABLE places (url TEXT)")
    found, refused = looked(cli)["journal"], cli("serve", "--port", "0")
    assert (found["state"], refused.returncode) == ("broken", 1)
    assert found["said"] in refused.stderr
    assert "journal.db is another program's database" in found["said"]


def test_a_journal_that_lost_its_end_is_found(start: Start, cli: Cli, tmp_path: Path) -> None:
    server = start()
    for _ in range(3):
        server.post("/v1/decisions", {"planned_action": "ls"})
    server.end()
    tamper(tmp_path / "data", "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
    found = looked(cli)["journal"]
    assert found["state"] == "broken"
    assert "knows of more" in found["said"]


def test_what_cannot_be_read_is_not_called_damaged(cli: Cli, tmp_path: Path) -> None:
    """A folder where the journal should be, and a file where the folder should be: as another user's, and as root."""
    (tmp_path / "data" / "journal.db").mkdir(parents=True)
    assert "cannot be read" in looked(cli)["journal"]["said"]
    found = looked(cli, POINTSMAN_DATA_DIR=str(tmp_path / "data" / "journal.db" / ".." / ".." / "file"))
    assert found["data folder"]["state"] == "fine"
    (tmp_path / "file").touch()
    found = looked(cli, POINTSMAN_DATA_DIR=str(tmp_path / "file"))
    assert (found["permissions"]["state"], "journal" in found) == ("broken", False)
    assert "cannot be looked into" in found["permissions"]["said"]


@pytest.mark.parametrize(("setting", "state"), [("minilm", "fine"), ("hashing", "fine")])
def test_the_models_weights_are_compared(start: Start, cli: Cli, setting: str, state: str) -> None:
    start()
    assert looked(cli, POINTSMAN_EMBEDDER=setting)["model"]["state"] == state
