"""A coding agent in the eyes of its hook: it starts one process per event and reads what that prints."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from .conftest import PATIENCE_S, Process, environment

# The product's own entry, but for its time limit: a busy test machine is no slow server.
PATIENT = [sys.executable, "-c", f"from controlplane.hook.run import run; run(asking_s={PATIENCE_S})"]
AS_SHIPPED = [sys.executable, "-m", "controlplane", "hook"]
Json = dict[str, Any]


def git_repository(folder: Path, branch: str) -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    return folder


def journalled(server: Process, kind: str) -> list[Json]:
    """All events of a kind, in order."""
    with closing(sqlite3.connect(server.folder / "journal.db")) as journal:
        rows = journal.execute("SELECT payload FROM events WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
    return [json.loads(payload) for (payload,) in rows]


class Said:
    """What one event's process printed."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        assert done.returncode == 0, done.stderr
        self.errors = done.stderr
        self.output: Json = json.loads(done.stdout)["hookSpecificOutput"] if done.stdout else {}

    @property
    def permission(self) -> str | None:
        return self.output.get("permissionDecision")

    @property
    def text(self) -> str:
        return str(self.output.get("permissionDecisionReason") or self.output.get("additionalContext") or "")


class Agent:
    """One session of an agent in a project, on a server or on a port where something else is."""

    def __init__(self, project: Path, session: str, port: int, state: Path, command: list[str] | None = None) -> None:
        self.project, self.session, self.state = project, session, state
        self._environment = environment(state, POINTSMAN_PORT=str(port), XDG_STATE_HOME=str(state))
        self._command = command or PATIENT
        self._calls = 0

    @classmethod
    def on(cls, server: Process, project: Path, session: str, state: Path) -> "Agent":
        return cls(project, session, int(server.url.rsplit(":", 1)[1]), state)

    def without_port(self) -> None:
        """Leave it to what an installation noted where the server is."""
        del self._environment["POINTSMAN_PORT"]

    def start(self, told: str) -> "subprocess.Popen[str]":
        """An event's process, which has read what it was told."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self._command, cwd=self.project, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert process.stdin is not None
        process.stdin.write(told)
        process.stdin.close()
        process.stdin = None
        return process

    def tell(self, told: str) -> Said:
        return self.finish(self.start(told))

    def finish(self, process: "subprocess.Popen[str]") -> Said:
        out, err = process.communicate(timeout=PATIENCE_S)
        return Said(subprocess.CompletedProcess([], process.returncode, out, err))

    def event(self, name: str, command: str | None = None, **fields: Any) -> str:
        """An event's JSON; calls are numbered as they begin."""
        said: Json = {"session_id": self.session, "cwd": str(self.project), "hook_event_name": name, **fields}
        if command is not None:
            self._calls += name == "PreToolUse"
            described = {"command": command, "description": f"Call {command.split()[0]}"}
            called = {"tool_name": "Bash", "tool_input": described}
            said = {**called, "tool_use_id": f"toolu_{self._calls}", **said}
        return json.dumps(said)

    def before(self, command: str, **fields: Any) -> Said:
        return self.tell(self.event("PreToolUse", command, **fields))

    def worked(self, command: str, **fields: Any) -> Said:
        response = {"stdout": "", "stderr": "", "interrupted": False, **fields.pop("tool_response", {})}
        return self.tell(self.event("PostToolUse", command, tool_response=response, **fields))

    def failed(self, command: str, error: str, **fields: Any) -> Said:
        return self.tell(self.event("PostToolUseFailure", command, **{"error": error, "is_interrupt": False, **fields}))

    def ends(self) -> Said:
        return self.tell(self.event("SessionEnd", reason="other"))

    def notes(self) -> list[str]:
        """Contents of this session's files."""
        folder = self.state / "pointsman" / "hook" / self.session
        return [path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()]
