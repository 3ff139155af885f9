"""`pointsman backfill` as a command: killed midway it goes on, and it watches until it is told to stop."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import PYTHON, Process, Start, environment

Until = Callable[[Callable[[], Any]], Any]
Cli = Callable[..., subprocess.CompletedProcess[str]]
ORIGIN = '[[origin]]\nname = "errors"\npath = "errors.jsonl"\nkey = "id"\ntext = ["said"]\n'
MANY = 700


def described(folder: Path, records: int) -> None:
    (folder / "origins.toml").write_text(ORIGIN, "utf-8")
    lines = (json.dumps({"id": f"r{n}", "said": f"error {n} of the quota"}) for n in range(records))
    (folder / "errors.jsonl").write_text("\n".join(lines), "utf-8")


def kept(server: Process) -> int:
    return int(server.get("/status")["memory"]["documents"])


def begun(folder: Path, server: Process, *arguments: str) -> "subprocess.Popen[str]":
    """The command in a process of its own."""
    return subprocess.Popen(
        [*PYTHON, "backfill", "--url", server.url, *arguments],
        cwd=folder,
        env=environment(folder / "data"),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_backfill_that_was_killed_goes_on_and_keeps_nothing_twice(
    start: Start, cli: Cli, until: Until, tmp_path: Path
) -> None:
    server = start()
    described(tmp_path, MANY)
    doomed = begun(tmp_path, server)
    until(lambda: kept(server) > 0)
    doomed.kill()
    doomed.communicate()
    begun_with = kept(server)
    done = cli("backfill", "--url", server.url, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    [passed] = told["origins"]
    assert passed["kept"] + passed["unchanged"] == MANY
    assert passed["unchanged"] >= begun_with > 0
    assert (kept(server), told["stale_vectors"]) == (MANY, 0)
    assert server.get("/status")["journal"]["last_seq"] <= MANY + 3, "one event each, the origin's and the start's"


def test_a_watcher_takes_in_what_changes_and_ends_when_it_is_told(start: Start, until: Until, tmp_path: Path) -> None:
    server = start()
    described(tmp_path, 3)
    watcher = begun(tmp_path, server, "--watch", "--interval", "0.2", "--db", "errors")
    until(lambda: kept(server) == 3)
    described(tmp_path, 5)
    until(lambda: kept(server) == 5)
    described(tmp_path, 1)
    until(lambda: kept(server) == 1)
    watcher.send_signal(signal.SIGTERM)
    said, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert "errors: 5 records, 2 kept, 3 unchanged, 0 dropped, 0 skipped, 0 licence violations" in said
    assert "errors: 1 records, 0 kept, 1 unchanged, 4 dropped" in said


def test_a_watcher_says_once_that_an_origin_fails_and_that_it_is_back(
    start: Start, until: Until, tmp_path: Path
) -> None:
    server = start()
    (tmp_path / "origins.toml").write_text(ORIGIN, "utf-8")
    watcher = begun(tmp_path, server, "--watch", "--interval", "0.05")
    until(lambda: server.client.get("/readyz").status_code == 200 and server.get("/v1/origins"))
    time.sleep(0.5)  # several passes
    described(tmp_path, 2)
    until(lambda: kept(server) == 2)
    watcher.send_signal(signal.SIGTERM)
    said, _ = watcher.communicate(timeout=60)
    assert said.count("No such file") == 1
    assert "2 records" in said


def test_a_backfill_that_cannot_says_why(start: Start, cli: Cli, tmp_path: Path) -> None:
    nothing = cli("backfill")
    assert (nothing.returncode, "origins.toml cannot be read" in nothing.stderr) == (1, True)
    (tmp_path / "origins.toml").write_text(ORIGIN, "utf-8")
    server = start()
    failed = cli("backfill", "--url", server.url)
    assert failed.returncode == 1
    assert "errors.jsonl: No such file" in failed.stderr
    for interval in ("inf", "1e12"):
        refused = cli("backfill", "--watch", "--interval", interval)
        assert (refused.returncode, "Must be" in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)
    unknown = cli("backfill", "--db", "none")
    assert (unknown.returncode, "no origin 'none'" in unknown.stderr) == (1, True)
