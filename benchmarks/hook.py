"""`pointsman hook`, the whole process from its start to its end, beside the bare interpreter it cannot do without.

The server runs the shipped model on one core and remembers some failures; the hook runs on the other, as an agent
starts it. Kinds of runs take turns, so that whatever else the machine does falls on all of them.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from . import servers
from .access import HEADERS, TENANT

ROUNDS, WARM_UP, REMEMBERED = 150, 10, 300
HOOK = [str(Path(sys.executable).with_name("pointsman")), "hook"]
ERROR = "Exit code 2\nmake: *** No rule to make target"
RESPONSE = {"stdout": "", "stderr": "", "interrupted": False}


class Kind:
    """One kind of process, and how long its runs took."""

    def __init__(self, command: list[str], told: Callable[[int], str] = lambda _: "", port: int = 0) -> None:
        self._command, self._told, self._port = command, told, port
        self.took_ms: list[float] = []
        self.late = 0

    def run(self, number: int, state: str) -> None:
        environment = {**os.environ, "POINTSMAN_PORT": str(self._port), "XDG_STATE_HOME": state}
        environment["POINTSMAN_API_KEY"] = TENANT.text
        told = self._told(number).encode()
        begun = time.perf_counter()
        done = subprocess.run(self._command, input=told, env=environment, capture_output=True, check=True)
        self.took_ms.append((time.perf_counter() - begun) * 1000.0)
        self.late += any(late in done.stderr for late in (b"no answer in time", b"took all the time"))

    def figures(self) -> dict[str, Any]:
        ordered = sorted(self.took_ms[WARM_UP:])
        found: dict[str, Any] = {
            f"p{p}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * p // 100)], 1) for p in (50, 99)
        }
        return {**found, "late": self.late} if self._port else found


def event(name: str, plan: Callable[[int], str], **fields: Any) -> Callable[[int], str]:
    """Tells events of one session about one call after the other."""

    def tell(number: int) -> str:
        call: dict[str, Any] = {"tool_use_id": f"c{number}", "tool_name": "Bash"}
        call["tool_input"] = {"command": plan(number), "description": "Build the target"}
        return json.dumps({"session_id": "bench", "cwd": os.getcwd(), "hook_event_name": name, **call, **fields})

    return tell


def remember(port: int) -> None:
    """Failures for the gate to search, and time for the model to load."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as client:
        servers.wait_for_ready(client)
        for i in range(REMEMBERED):
            failure = {"goal": "Build the target", "planned_action": f"make part-{i}", "error_trace": f"{ERROR} {i}"}
            client.post("/v1/capture", json=failure).raise_for_status()


def kinds(port: int, silent: int, nobody: int) -> dict[str, Kind]:
    """What is compared; a call is asked about in one process and told of in the next."""

    def known(_: int) -> str:
        return "make check"

    def new(number: int) -> str:
        return f"make part-{number} VERBOSE={number}"

    return {
        "interpreter": Kind([sys.executable, "-c", "pass"]),
        "interpreter_without_site": Kind([sys.executable, "-S", "-c", "pass"]),
        "before_known_plan": Kind(HOOK, event("PreToolUse", known), port),
        "after_success": Kind(HOOK, event("PostToolUse", known, tool_response=RESPONSE), port),
        "before_new_plan": Kind(HOOK, event("PreToolUse", new), port),
        "after_failure": Kind(HOOK, event("PostToolUseFailure", new, error=ERROR), port),
        "server_away": Kind(HOOK, event("PreToolUse", known), nobody),
        "server_silent": Kind(HOOK, event("PreToolUse", known), silent),
    }


def measure() -> dict[str, Any]:
    """Quantiles of each kind; `late` counts events that went on without an answer."""
    with (
        servers.pointsman() as (port, _),
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
        closing(socket.socket()) as nobody,
        tempfile.TemporaryDirectory(prefix="pointsman-bench-") as state,
    ):
        nobody.bind(("127.0.0.1", 0))
        remember(port)
        servers.pin_load()
        compared = kinds(port, silent.getsockname()[1], nobody.getsockname()[1])
        for number in range(WARM_UP + ROUNDS):
            for kind in compared.values():
                kind.run(number, state)
    return {name: kind.figures() for name, kind in compared.items()}
