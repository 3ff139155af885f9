"""The pages, and a real server for the commands they show."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Every page by its path."""
    names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
    return {name: (ROOT / name).read_text("utf-8") for name in names}


@pytest.fixture(scope="module")
def server(readme: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server the README starts, on a free port, with an embedder that needs no loading; its URL."""
    folder = tmp_path_factory.mktemp("server")
    seeds = re.findall(r"POINTSMAN_SEED=(\d+) make serve ARGS=--insecure-local", readme)
    assert len(seeds) == 1, "the README starts one server, with a seed"
    environment = {**os.environ, "POINTSMAN_SEED": seeds[0], "POINTSMAN_EMBEDDER": "hashing", "POINTSMAN_PORT": "0"}
    command = [sys.executable, "-m", "controlplane", "serve", "--insecure-local", "--data-dir", str(folder / "data")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"http://\S+", said)
            assert found, f"the server said {said!r}; {(folder / 'log').read_text()}"
            yield found[0]
        finally:
            process.terminate()
            process.communicate()
