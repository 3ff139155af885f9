"""An event's whole way: read it, ask or report, print. Whatever goes wrong ends here, with one line on standard error.

The agent reads exit code 0 without output as "no opinion", so that is what every failure becomes.
"""

import json
import os
import signal
import sys
import time

from .client import Away, Client, Refused, server
from .event import AFTER, AFTER_FAILURE, BEFORE, END, Event, Json
from .session import Session, home

DEADLINE_S = 0.135  # for all of an event, what starting took included; ending takes its part of 150 ms too
LEAST_S = 0.05  # but a slow start leaves the server this much


class Late(Exception):
    """The time for this event is over."""


def run(deadline_s: float = DEADLINE_S) -> None:
    """Take one event from standard input and answer it."""
    os.umask(0o077)
    answer = None
    try:
        answer = _in_time(max(LEAST_S, deadline_s - time.process_time()))
    except Exception as error:
        sys.stderr.write(f"pointsman hook: {_said(error)}\n")
    if answer is not None:
        sys.stdout.write(json.dumps(answer) + "\n")


def _in_time(limit_s: float) -> Json | None:
    """What to print. The alarm is off before anything is said, so that it can end nothing but the event's work.

    Raises:
      Late: the limit was reached.
    """
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        return _handle(Event.read(_told()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _handle(event: Event) -> Json | None:
    """Ask or report; an event nobody asked for is none of ours."""
    if event.name not in (BEFORE, AFTER, AFTER_FAILURE, END):
        return None
    client, root = Client(*server(os.environ)), home(os.environ)
    if event.name == BEFORE:
        from .asking import ask

        return ask(event, client, Session(root, event.session, event.agent), os.environ)
    from .reporting import Report, end

    if event.name == END:
        end(client, Session(root, event.session))
    else:
        Report(event, client, Session(root, event.session, event.agent), os.environ).send()
    return None


def _told() -> bytes:
    with open(0, "rb", closefd=False) as agent:
        return agent.read()


def _late(*_: object) -> None:
    raise Late


def _said(error: Exception) -> str:
    match error:
        case Late():
            return "no answer in time; going on without"
        case Away() | Refused():
            return str(error)
        case _:
            return f"{type(error).__name__}: {error}"
