"""What came of a call, as far as the agent says it.

A failed call is told as PostToolUseFailure, "Exit code N" above its output; PostToolUse means that it worked.
Other agents tell both as PostToolUse. What cannot be known is not guessed: a call that was interrupted, put
into the background, or answered with bare text is neither a success nor a failure.
"""

import re

from .command import is_finding
from .event import AFTER_FAILURE, Event, Json, mapping, text

FINE = (None, 0, "0")  # exit codes of what did not fail
MAX_ERROR = 16_000  # characters; tools say first or last what went wrong
_EXIT_CODE = re.compile(r"\s*exit code -?\d+[ \t]*(?:\r?\n|$)", re.IGNORECASE)


class Outcome:
    """success is None where nobody can say; `error` is what the tool said."""

    def __init__(self, event: Event) -> None:
        failed = event.name == AFTER_FAILURE
        self.success = _failure(event) if failed else _success(event)
        self.error = _cut(text(event.said, "error") if failed else _complaint(mapping(event.said, "tool_response")))
        duration = event.said.get("duration_ms")
        self.latency_ms = duration if isinstance(duration, int | float) and duration >= 0 else None


def _failure(event: Event) -> bool | None:
    """A check that found something worked; a user who interrupts says nothing about the command."""
    if event.said.get("is_interrupt") is True:
        return None
    return event.is_shell and is_finding(event.planned, text(event.said, "error"))


def _success(event: Event) -> bool | None:
    response = event.said.get("tool_response")
    if not isinstance(response, dict):
        return None if event.is_shell else True
    if response.get("interrupted") is True or response.get("backgroundTaskId"):
        return None
    return not _complains(response)


def _complains(response: Json) -> bool:
    codes = (response.get(name) for name in ("exit_code", "exitCode", "returncode"))
    flags = (response.get(name) for name in ("is_error", "isError"))
    return (
        response.get("success") is False
        or any(flag is True for flag in flags)
        or not all(code in FINE for code in codes)
    )


def _complaint(response: Json) -> str:
    said = (text(response, name) for name in ("error", "stderr", "stdout"))
    return next((words for words in said if words), "")


def _cut(error: str) -> str:
    """The error without the agent's own first line, and without its middle when it is long."""
    own = _EXIT_CODE.sub("", error, count=1).replace("\x00", "").strip() or error.strip()
    half = MAX_ERROR // 2
    return own if len(own) <= MAX_ERROR else f"{own[:half]}\n...\n{own[-half:]}"
