"""`pointsman federation`: what one server learnt is a file, and another server starts from it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Process

Run = Callable[..., subprocess.CompletedProcess[str]]
DONE, REFUSED = 0, 1
PLACES = {"candidates": [{"provider": place, "sku": "1"} for place in "abc"]}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    """A server that learnt which place is the best, and one that knows nothing."""
    servers = [Process(tmp_path / name, (), POINTSMAN_EPSILON="0") for name in ("teacher", "pupil")]
    teacher, pupil = servers
    for _ in range(12):
        best = teacher.post("/v1/decisions", {"candidates": PLACES["candidates"][2:]})
        teacher.post("/v1/feedback", {"trace_id": best["trace_id"], "outcome": {"latency_ms": 20}})
    yield teacher, pupil
    for server in servers:
        server.close()


def chosen(server: Process) -> str | None:
    """The place it takes; None where it knows no difference."""
    answer = server.post("/v1/decisions", PLACES)
    return str(answer["action"]) if answer["propensity"] == 1.0 else None


def test_what_is_exported_is_imported_listed_and_forgotten(
    two: tuple[Process, Process], cli: Run, tmp_path: Path
) -> None:
    teacher, pupil = two
    file = tmp_path / "route.json"

    def ask(*arguments: str, server: Process = pupil) -> Any:
        done = cli("federation", *arguments, "--url", server.url, "--json")
        assert done.returncode == DONE, done.stderr
        return json.loads(done.stdout)

    written = ask("export", "--point", "route", "--out", str(file), server=teacher)
    assert (written["file"], written["cells"], written["left_out"]) == (str(file), 4, 0)
    assert json.loads(file.read_text("utf-8")) == ask("export", "--point", "route", server=teacher)
    assert chosen(pupil) is None
    assert ask("import", str(file), "--reason", "to start from")["imported"] is True
    assert chosen(pupil) == "c/1"
    listed = ask("list")
    assert [(one["point"], one["origin"], one["why"]) for one in listed["imported"]] == [
        ("route", written["origin"], "to start from")
    ]
    assert listed["own"] == ask("export", "--point", "gate")["origin"] != written["origin"]
    assert ask("forget", written["origin"], "--reason", "it was wrong")["points"] == ["route"]
    assert (chosen(pupil), ask("list")["imported"]) == (None, [])


def test_people_are_told_what_was_done_and_what_was_not(two: tuple[Process, Process], cli: Run, tmp_path: Path) -> None:
    teacher, pupil = two
    file = tmp_path / "route.json"
    shown = cli("federation", "export", "--point", "route", "--url", teacher.url)
    file.write_text(shown.stdout, "utf-8")
    origin = json.loads(shown.stdout)["origin"]
    taking = ("federation", "import", str(file), "--reason", "to start from", "--url", pupil.url)
    assert cli(*taking).stdout.startswith(f"imported 4 cell(s) of {origin} at route")
    assert cli(*taking).stdout == "nothing changed: it is imported already\n"
    listed = cli("federation", "list", "--url", pupil.url, COLUMNS="200").stdout
    assert origin in listed
    assert "this tenant is or_" in listed
    assert cli("federation", "forget", origin, "--reason", "x", "--url", pupil.url).stdout == (
        f"{origin} is forgotten at route\n"
    )
    (tmp_path / "other.json").write_text('{"cells": []}', "utf-8")
    for command, said in (
        (("export", "--point", "nowhere"), "No decision point has this name"),
        (("export", "--point", "route", "--out", str(tmp_path / "nowhere" / "x")), "cannot be written"),
        (("import", str(tmp_path / "nothing"), "--reason", "x"), "cannot be read: No such file or directory"),
        (("import", str(tmp_path / "other.json"), "--reason", "x"), "is not what `pointsman federation export` writes"),
        (("forget", origin, "--reason", "x"), f"nothing was imported from {origin}"),
    ):
        refused = cli("federation", *command, "--url", pupil.url)
        assert (refused.returncode, refused.stdout) == (REFUSED, ""), command
        assert said in refused.stderr.replace("\n", " ")
    own = cli("federation", "import", str(file), "--reason", "x", "--url", teacher.url)
    assert (own.returncode, "counted twice" in own.stderr) == (REFUSED, True)
