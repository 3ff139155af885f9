"""Real server processes, and the command line as a person runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

PATIENCE_S = 60.0
QUIET = {"POINTSMAN_EMBEDDER": "hashing", "POINTSMAN_LOG_LEVEL": "warning", "HF_HUB_OFFLINE": "1"}


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """This machine's environment without any setting of ours, then the test's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
    return {**clean, **QUIET, "POINTSMAN_DATA_DIR": str(folder), **variables}


class Process:
    """A server process of our own, on a free port."""

    def __init__(self, folder: Path, within: Sequence[str] = (), **variables: str) -> None:
        self.folder = folder
        self._errors = (folder.parent / f"{folder.name}.stderr").open("a+")
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "controlplane", "serve", "--port", "0", "--insecure-local"],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=folder.parent,
            env=environment(folder, **variables),
        )
        assert self.process.stdout is not None
        self.announced = self.process.stdout.readline()
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
        assert self.process.stdout is not None
        self.process.stdout.close()
        if not self._errors.closed:
            self._errors.flush()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self._errors.close()


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers on this test's data folder."""
    with ExitStack() as running:

        def begin(within: Sequence[str] = (), **variables: str) -> Process:
            started = Process(tmp_path / "data", within, **variables)
            running.callback(started.close)
            return started

        yield begin


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m controlplane` to its end, in an empty folder."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "controlplane", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(tmp_path / "data", **variables),
            timeout=PATIENCE_S,
            check=False,
        )

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
