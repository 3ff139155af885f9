"""Before a call: an answer that was given is passed on, whatever becomes of remembering it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.hook import budget
from controlplane.hook.asking import ask
from controlplane.hook.client import Client
from controlplane.hook.event import Event, Json
from controlplane.hook.session import Session

Recorded = Callable[..., Event]
DENIED: Json = {"action": "BLOCK", "trace_id": "tr_1", "hints": [], "risk": 0.9, "evidence": 3}


class Answers(Client):
    """A server that says one thing."""

    def __init__(self, said: Json) -> None:
        super().__init__("127.0.0.1", 0)
        self._said = said

    def post(self, path: str, body: Json) -> Json:
        return self._said


class SlowDisk(Session):
    """Notes that are never written to their end."""

    def keep(self, kind: str, name: str, note: Json) -> None:
        time.sleep(60)


def test_an_answer_that_was_given_is_passed_on_when_noting_it_comes_too_late(
    recorded: Recorded, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    budget.alarm(0.1)
    try:
        answer = ask(recorded("before_bash"), Answers(DENIED), SlowDisk(str(tmp_path), "s"), {})
    finally:
        budget.off()
    assert answer is not None
    assert "deny" in str(answer)
    assert capfd.readouterr().err == "pointsman hook: this call cannot be reported: no time to note it\n"
