"""Real server processes for the demo: started, waited for, ended; each with a data folder of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Self

import httpx

from ..settings import PREFIX
from .world import CannotPlay

PACKAGES = Path(__file__).resolve().parents[2]  # where the three packages lie, for a server started elsewhere
KEPT = ("EMBEDDER",)  # the one setting of the caller's that the servers follow: the gate is played as shipped
START_S = 180.0
END_S = 15.0
POLL_S = 0.05
TAIL_LINES = 12
_ANNOUNCED = re.compile(r" at (http://\S+)")


class Ended(Exception):
    """The demo was ended while this was going on."""


class Child:
    """A command of ours as a child process that says where it listens, its output in a log file."""

    def __init__(self, folder: Path, arguments: Sequence[str], settings: dict[str, str]) -> None:
        self.folder, self._log = folder, folder / "server.log"
        folder.mkdir(parents=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controlplane", *arguments],
                cwd=folder,
                env={**_environment(settings), "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt is ours to pass on, once
            )

    def wait(self, over: Event) -> str:
        """The server's address, once it is ready to answer.

        Raises:
          CannotPlay: it ended, or it takes too long; the end of its log is quoted.
          Ended: all was over before.
        """
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            url = self._url()
            if url is not None and self._is_ready(url):
                return url
            if self._process.poll() is not None:
                raise self.failure(f"a server ended with code {self._process.returncode} before it was ready")
            if over.wait(POLL_S):
                raise Ended
        raise self.failure(f"a server was not ready after {START_S:g} s")

    def _is_ready(self, url: str) -> bool:
        return True

    def _url(self) -> str | None:
        found = _ANNOUNCED.search(self._log.read_text("utf-8", "replace"))
        return found.group(1) if found else None

    def failure(self, what: str) -> CannotPlay:
        """An error that quotes the log and says what to do."""
        lines = self._log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
        tail = "\n".join(f"  {line}" for line in lines) or "  (nothing was logged)"
        return CannotPlay(
            f"{what}. The end of its log:\n{tail}\n"
            "Run `pointsman config check` and `pointsman serve --port 0` to see whether a server starts by itself; "
            "POINTSMAN_EMBEDDER=hashing plays without the embedding model."
        )

    def end(self) -> None:
        """Ask it to end, so that it writes its recovery file."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End it, and make it end if it does not."""
        self.end()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(Child):
    """One `pointsman serve`, with a data folder of its own."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.data = folder / "data"
        super().__init__(folder, ("serve", "--insecure-local", "--port", "0", "--data-dir", str(self.data)), settings)

    def _is_ready(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}/readyz", timeout=5.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """The caller's environment without its Pointsman settings, and with ours.

    Several servers share the machine: one thread each embeds, unless the caller says how many.
    """
    kept = {PREFIX + name for name in KEPT}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX) or k in kept}
    path = os.pathsep.join(part for part in (str(PACKAGES), inherited.get("PYTHONPATH", "")) if part)
    return {
        "OMP_NUM_THREADS": "1",
        **inherited,
        "PYTHONPATH": path,
        **{PREFIX + name: value for name, value in settings.items()},
    }
