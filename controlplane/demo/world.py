"""Scratch folders, and commands that really run in them: shut off from the machine's settings, with a time limit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import PointsmanError
from .families import Scene

TIMEOUT_S = 20.0
TIMED_OUT = 124  # what `timeout` answers
MAX_TRACE = 16_000
NEEDED = ("git", "make", "sh")


class CannotPlay(PointsmanError):
    """The demo cannot be played on this machine; the message says what is missing."""

    code = "cannot_play"


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a command: the whole outcome."""

    exit_code: int
    output: str
    error: str
    latency_ms: float
    reached: bool  # the goal's own check passed afterwards

    @property
    def worked(self) -> bool:
        return self.exit_code == 0 and self.reached

    @property
    def trace(self) -> str:
        """What an agent would quote: standard error, else the output, else that nothing was done."""
        said = self.error.strip() or self.output.strip() or f"exit code {self.exit_code}, and the goal was not reached"
        return said[-MAX_TRACE:]


class World:
    """One task's folder. The agent stands in `cwd`; everything a command may touch lies under `root`."""

    def __init__(self, root: Path, scene: Scene, tools: Path) -> None:
        self.root, self.scene, self._tools = root, scene, tools
        self.cwd = root / scene.cwd

    @classmethod
    def build(cls, root: Path, scene: Scene, tools: Path) -> "World":
        """Write the scene's files and run its setup.

        Raises:
          CannotPlay: the setup failed; its error is quoted.
        """
        for name, text in scene.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        (root / "home").mkdir(parents=True, exist_ok=True)
        world = cls(root, scene, tools)
        if scene.setup:
            made = world._shell(scene.setup, root, exported={})
            if made.returncode:
                raise CannotPlay(f"a scratch folder could not be made in {root}: {made.stderr.strip()}")
        return world

    def copy(self, to: Path) -> "World":
        """The same folder elsewhere, to see what would have been."""
        shutil.copytree(self.root, to, symlinks=True)
        return World(to, self.scene, self._tools)

    def probe(self, script: str) -> dict[str, str]:
        """What the agent sees before it acts: the `key=value` lines its own look around prints."""
        seen = self._shell(script, self.cwd, self.scene.variables).stdout
        return dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)

    def run(self, command: str, check: str) -> Ran:
        """Run a command where the agent stands, then look whether the goal is reached."""
        begun = time.perf_counter()
        done = self._shell(command, self.cwd, self.scene.variables)
        latency_ms = (time.perf_counter() - begun) * 1000.0
        reached = done.returncode == 0 and self._shell(check, self.root, exported={}).returncode == 0
        return Ran(
            exit_code=done.returncode, output=done.stdout, error=done.stderr, latency_ms=latency_ms, reached=reached
        )

    def _shell(self, line: str, cwd: Path, exported: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        """One shell in a session of its own, so that a time limit or an interrupt ends all it started."""
        process = subprocess.Popen(
            ["sh", "-c", line],
            cwd=cwd,
            env={**self._environment(), **exported},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, error = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _end_session(process)
            output, error = process.communicate()
            return subprocess.CompletedProcess(line, TIMED_OUT, output, f"{error}\ntimed out after {TIMEOUT_S:g} s")
        except BaseException:
            _end_session(process)
            raise
        return subprocess.CompletedProcess(line, process.returncode, output, error)

    def _environment(self) -> dict[str, str]:
        """Everything a command inherits: nothing of the caller's but the search path."""
        home = self.root / "home"
        return {
            "PATH": f"{self._tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "LC_ALL": "C",
            "TZ": "UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(self.root),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file",
        }


def _end_session(process: "subprocess.Popen[str]") -> None:
    """Kill the shell and whatever it started."""
    with suppress(ProcessLookupError):  # it ended by itself in the meantime
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lay_out_tools(folder: Path) -> Path:
    """A folder in which `python` is the interpreter that runs the demo; the rest comes from the search path.

    Raises:
      CannotPlay: a program the tasks are made of is not installed.
    """
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        raise CannotPlay(f"the demo runs real commands and {' and '.join(missing)} cannot be found; install it first")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        (folder / name).symlink_to(sys.executable)
    return folder
