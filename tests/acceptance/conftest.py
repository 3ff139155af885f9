"""Real server processes, and the command line as a person runs it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import httpx
import pytest

from .warm import Program, loaded

PATIENCE_S = 60.0
PYTHON = [sys.executable, "-m", "controlplane"]
SERVE = ["serve", "--port", "0", "--insecure-local"]
QUIET = {  # and nothing is withheld by chance
    "POINTSMAN_EMBEDDER": "hashing",
    "POINTSMAN_LOG_LEVEL": "warning",
    "POINTSMAN_WITHHELD_SHARE": "0",
    "HF_HUB_OFFLINE": "1",
}


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """This machine's environment without any setting of ours, then the test's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
    return {**clean, **QUIET, "POINTSMAN_DATA_DIR": str(folder), **variables}


class Process:
    """A server process of our own, on a free port; forked where there is a process that loaded the program."""

    def __init__(
        self,
        folder: Path,
        within: Sequence[str] = (),
        forking: socket.socket | None = None,
        **variables: str,
    ) -> None:
        self.folder = folder
        self._errors = (folder.parent / f"{folder.name}.stderr").open("a+")
        reading, writing = os.pipe()
        self._said = os.fdopen(reading)
        with os.fdopen(writing, "w") as out:
            streams: dict[str, IO[str]] = {"stdout": out, "stderr": self._errors}
            where: dict[str, Any] = {"cwd": folder.parent, "env": environment(folder, **variables)}
            if forking is None:
                self.process: Any = subprocess.Popen([*within, *PYTHON, *SERVE], **streams, **where)
            else:
                self.process = Program(forking, SERVE, **streams, **where)
        self.announced = self._said.readline()
        assert "http://" in self.announced, self.errors
        self.url = self.announced.split()[-1]
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        self._errors.seek(0)
        return self._errors.read()

    def get(self, path: str) -> Any:
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: dict[str, Any], status: int = 200) -> Any:
        response = self.client.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; the exit code."""
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self.client.close()
        self._said.close()
        if not self._errors.closed:
            self._errors.flush()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self._errors.close()


Start = Callable[..., Process]


@pytest.fixture(scope="session")
def turns() -> Iterator[Iterator[socket.socket]]:
    """Processes that have loaded the program."""
    with loaded() as whose_turn:
        yield whose_turn


@pytest.fixture
def start(tmp_path: Path, turns: Iterator[socket.socket]) -> Iterator[Start]:
    """Starts servers on this test's data folder, or one beside it."""
    with ExitStack() as running:

        def begin(within: Sequence[str] = (), folder: str = "data", **variables: str) -> Process:
            started = Process(tmp_path / folder, within, None if within else next(turns), **variables)
            running.callback(started.close)
            return started

        yield begin


@pytest.fixture
def cli(tmp_path: Path, turns: Iterator[socket.socket]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m controlplane` to its end, in an empty folder."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = environment(tmp_path / "data", **variables)
        with TemporaryFile("w+") as out, TemporaryFile("w+") as errors:
            code = Program(next(turns), arguments, stdout=out, stderr=errors, cwd=tmp_path, env=env).wait(PATIENCE_S)
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), errors.read())

    return run


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Polls until something holds; gives what it gave."""

    def poll(holds: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.05)
        return found

    return poll
