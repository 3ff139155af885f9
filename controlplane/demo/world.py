"""Scratch folders, and commands that really run in them: shut off from the machine's settings, with a time limit."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
import venv
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import msgspec

from ..errors import PointsmanError
from .families import Port, Scene
from .holding import held_lock, held_port

TIMEOUT_S = 20.0
TIMED_OUT = 124  # what `timeout` answers
MAX_TRACE = 16_000
NEEDED = (
    "git", "make", "cc", "tar", "gzip", "iconv", "sh",
    "cat", "chmod", "cp", "env", "grep", "install", "ls", "mkdir", "mv", "rm", "sed", "sort", "tail", "tr", "wc",
)  # fmt: skip


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
    """One task's folder, and what others hold for as long as it is open.

    The agent stands in `cwd`; everything a command may touch lies under `root`.
    """

    def __init__(self, root: Path, scene: Scene, tools: Path) -> None:
        self.root, self.scene, self._tools = root, scene, tools
        self.cwd = root / scene.cwd
        self._held = ExitStack()

    @classmethod
    def build(cls, root: Path, scene: Scene, tools: Path) -> "World":
        """The scene's folder, its ports and its locks.

        Raises:
          CannotPlay: the folder could not be made; the error is quoted.
        """
        if scene.setup:
            _copy_folder(_template(scene, tools), root)
        else:
            _write(root, scene)
        world = cls(root, scene, tools)
        world._take(scene.ports)
        return world

    def _take(self, ports: Sequence[Port]) -> None:
        """Take ports, told where the scene wants them told, and locks: all of them or none."""
        with ExitStack() as taken:
            for port in ports:
                number = taken.enter_context(held_port(port))
                with (self.root / port.file).open("a", encoding="utf-8") as told:
                    told.write(f"{port.name}={number}\n")
            for lock in self.scene.locks:
                taken.enter_context(held_lock(lock, self.root))
            self._held = taken.pop_all()

    def copy(self, to: Path) -> "World":
        """The same folder elsewhere, to see what would have been: locked like this one, and closed with it.

        Ports are the machine's: the copy's are the same.
        """
        _copy_folder(self.root, to)
        world = World(to, self.scene, self._tools)
        world._take(ports=())
        return self._held.enter_context(world)

    def close(self) -> None:
        """Let go of everything that was held; the folder stays."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def probe(self, script: str) -> dict[str, str]:
        """What the agent sees before it acts: the `key=value` lines its own look around prints."""
        seen = self._shell(script, self.cwd, self._exported()).stdout
        return dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)

    def run(self, command: str, check: str) -> Ran:
        """Run a command where the agent stands, then look whether the goal is reached."""
        begun = time.perf_counter()
        done = self._shell(command, self.cwd, self._exported())
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
            encoding="utf-8",
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

    def _exported(self) -> dict[str, str]:
        """What the agent's own shell adds or puts in front."""
        path = [*(str(self.root / folder) for folder in self.scene.path), self._environment()["PATH"]]
        return {**self.scene.variables, "PATH": os.pathsep.join(path)}

    def _environment(self) -> dict[str, str]:
        """Everything a command inherits: nothing of the caller's but the search path."""
        home = self.root / "home"
        return {
            "PATH": f"{self._tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "TMPDIR": str(home),
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


def _write(root: Path, scene: Scene) -> None:
    for name, text in scene.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (root / "home").mkdir(parents=True, exist_ok=True)


def _template(scene: Scene, tools: Path) -> Path:
    """The scene's folder as it stands after its setup, which is run once for all tasks that share it."""
    name = hashlib.sha256(msgspec.json.encode((scene.files, scene.setup))).hexdigest()
    done = tools.with_name(f"{tools.name}-scenes") / name
    if not done.exists():
        begun = done.with_suffix(".begun")
        _write(begun, scene)
        made = World(begun, scene, tools)._shell(scene.setup, begun, exported={})
        if made.returncode:
            raise CannotPlay(f"a scratch folder could not be made in {begun}: {made.stderr.strip()}")
        begun.rename(done)
    return done


def _copy_folder(folder: Path, to: Path) -> None:
    """By another process: one that opens and closes a database's file here would end the locks held on it here."""
    made = subprocess.run(["cp", "-RPp", str(folder), str(to)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise CannotPlay(f"{folder} could not be copied to {to}: {made.stderr.strip()}")


def lay_out_tools(folder: Path) -> Path:
    """A folder in which `python` is the interpreter that runs the demo, without any package that is installed for it.

    The rest comes from the search path.

    Raises:
      CannotPlay: a program the tasks are made of is not installed.
    """
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        what = f"{', '.join(missing)} cannot be found; install {'it' if len(missing) == 1 else 'them'} first"
        raise CannotPlay(f"the demo runs real commands and {what}")
    venv.create(folder, symlinks=True)
    return folder / "bin"
