"""The three streams between an agent and its hook. Whatever they are, full, closed or broken, none ends the process.

What is said goes past Python's buffers: nothing is left over that could fail when the process ends, which would
change its exit code.
"""

import json
import os
import sys

from .event import Json

MOST = 1024 * 1024  # bytes of one event


def told() -> bytes:
    """The event, as the agent hands it over.

    Raises:
      OSError: there is no standard input.
      ValueError: it is too large. Nothing is concluded from a part of it.
    """
    with open(0, "rb", closefd=False) as agent:
        event = agent.read(MOST + 1)
    if len(event) > MOST:
        raise ValueError(f"the event is larger than {MOST} bytes; going on without")
    return event


def answer(said: Json) -> None:
    """One JSON document on standard output."""
    if not _write(sys.stdout, 1, json.dumps(said)):
        complain("the answer could not be given: standard output takes nothing")


def complain(why: str) -> None:
    """One line on standard error, whatever `why` holds; where that takes nothing either, nobody can be told."""
    _write(sys.stderr, 2, f"pointsman hook: {' '.join(why.split())}")


def _write(stream: object, number: int, line: str) -> bool:
    """Whether it was taken. A stream that was closed at the start is None: its number may be another file's by now."""
    rest = f"{line}\n".encode("utf-8", "backslashreplace")
    try:
        while rest and stream is not None:
            rest = rest[os.write(number, rest) :]
    except OSError:
        return False
    return not rest
