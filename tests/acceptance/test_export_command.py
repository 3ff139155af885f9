"""`pointsman export` and a replay of what it made, by the command line and beside a running server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]
DONE, REFUSED = 0, 1


def test_what_was_exported_beside_a_server_is_replayed_on_other_engines(start: Any, cli: Run, tmp_path: Path) -> None:
    server = start(POINTSMAN_EPSILON="1.0", POINTSMAN_SEED="3")
    candidates = [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": "2"}]
    for number in range(100):
        decided = server.post("/v1/decisions", {"candidates": candidates})
        if number < 99:
            outcome = {"latency_ms": 10.0 if decided["action"] == "a/1" else 390.0, "cost": 0.1}
            server.post("/v1/feedback", {"trace_id": decided["trace_id"], "outcome": outcome})
    told = cli("export", "out", "--json")
    assert (told.returncode, told.stderr) == (DONE, "")
    made = json.loads(told.stdout)
    assert (made["decisions"], made["files"], made["folder"]) == (99, 1, "out")
    assert made["parts"][0]["left_out"] == [
        "1 decision(s) are left out: they still wait for their reward or their successor"
    ]
    [file] = (tmp_path / "out").rglob("*.parquet")
    assert file.stat().st_mode & 0o077 == 0, "nobody else reads it"
    here = cli("replay", "--log", "out", "--json")
    assert (here.returncode, here.stderr) == (DONE, "")
    there = cli("replay", "--log", "out/tenant=*/point=route", "--engine", "process", "--json")
    assert there.stdout == here.stdout
    [group] = json.loads(here.stdout)["groups"]
    assert (group["report"]["decisions"], sorted(group["report"]["values"])[0]) == (99, "dm")
    people = cli("replay", "--log", "out", COLUMNS="120")
    assert [said for said in ("default", "the log itself", "switch-dr") if said not in people.stdout] == []
    shown = cli("export", "other", COLUMNS="120")
    assert "other holds 99 decision(s) in 1 file(s)" in shown.stdout
    assert "default, route: 1 decision(s) are left out" in shown.stdout


def test_what_cannot_be_done_is_refused(cli: Run, tmp_path: Path) -> None:
    assert "there is no journal" in cli("export", "out").stderr
    (tmp_path / "none").mkdir()
    (tmp_path / "log.jsonl").touch()
    (tmp_path / "grid.toml").touch()
    for asked, said in (
        (("--log", "none"), "none has no exported decisions"),
        (("--log", "none", "--grid", "grid.toml"), "are for one log"),
        (("--log", "log.jsonl", "--engine", "process"), "--engine works on exported decisions"),
    ):
        refused = cli("replay", *asked)
        assert (refused.returncode, refused.stdout) == (REFUSED, "")
        assert said in refused.stderr.replace("\n", " ")
