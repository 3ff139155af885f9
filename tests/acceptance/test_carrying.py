"""`pointsman memory`: what one server remembers is a file, and another one takes it in, once."""

import json
import subprocess
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.cli.program import UNREACHABLE

from .conftest import Process

Run = Callable[..., subprocess.CompletedProcess[str]]
FEW = 3


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    servers = [Process(tmp_path / name, ()) for name in ("old", "new")]
    for server in servers:
        while server.client.get("/readyz").status_code != 200:
            pass
    for number in range(FEW):
        servers[0].post("/v1/capture", {"goal": f"build {number}", "resolution": "make it"}, 201)
    yield servers[0], servers[1]
    for server in servers:
        server.close()


def test_what_is_exported_is_taken_in_by_another_server_once(
    two: tuple[Process, Process], cli: Run, tmp_path: Path
) -> None:
    old, new = two
    file = tmp_path / "memories.jsonl"

    def ask(*arguments: str, server: Process) -> Any:
        done = cli("memory", *arguments, "--url", server.url, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert ask("export", str(file), server=old) == {"file": str(file), "episodes": FEW}
    assert [json.loads(line)["episode"]["goal"] for line in file.read_text("utf-8").splitlines()] == [
        f"build {number}" for number in range(FEW)
    ]
    assert list(tmp_path.glob("*.part")) == []
    assert ask("import", str(file), server=new) == {"imported": FEW, "duplicates": 0, "refused": []}
    assert ask("import", str(file), server=new) == {"imported": 0, "duplicates": FEW, "refused": []}
    found = new.post("/v1/search", {"goal": "build 1", "min_similarity": 0.9})["results"]
    assert found[0]["episode"]["goal"] == "build 1"
    file.write_text("what is this?", "utf-8")
    refused = cli("memory", "import", str(file), "--url", new.url)
    assert (refused.returncode, "is not what `pointsman memory export` writes" in refused.stderr) == (1, True)


def test_a_line_that_is_refused_is_named_and_spoils_no_other(
    two: tuple[Process, Process], cli: Run, tmp_path: Path
) -> None:
    """Neither does what an editor leaves: a mark at the beginning, blank lines."""
    old, new = two
    file = tmp_path / "memories.jsonl"
    assert cli("memory", "export", str(file), "--url", old.url).returncode == 0
    first, *others = file.read_bytes().splitlines()
    bad = json.dumps({**json.loads(first), "episode": {"goal": ""}}).encode()
    file.write_bytes(b"\n".join([BOM_UTF8 + first, b"", bad, b"no json", *others, b"", b""]))
    done = cli("memory", "import", str(file), "--url", new.url, "--json")
    told = json.loads(done.stdout)
    assert (told["imported"], told["duplicates"]) == (FEW, 0)
    assert [of["line"] for of in told["refused"]] == [3, 4]
    assert (done.returncode, "2 line(s)" in done.stderr, "line 3: " in done.stderr) == (1, True, True)


def test_an_export_that_fails_leaves_nothing(cli: Run, tmp_path: Path) -> None:
    assert cli("memory", "export", "memories.jsonl", "--url", "http://127.0.0.1:9").returncode == UNREACHABLE
    assert list(tmp_path.glob("memories*")) == []
