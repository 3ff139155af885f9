"""The doctor on data folders that are well, worn and broken."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..tampering import SEAL, tamper
from .conftest import Start

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


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    assert looked(cli)["data folder"]["state"] == "fine"
    assert not (tmp_path / "data").exists()


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


@pytest.mark.parametrize(("setting", "state"), [("minilm", "fine"), ("hashing", "fine")])
def test_the_models_weights_are_compared(start: Start, cli: Cli, setting: str, state: str) -> None:
    start()
    assert looked(cli, POINTSMAN_EMBEDDER=setting)["model"]["state"] == state
