"""An event's whole way: read it, ask or report, print. Whatever goes wrong ends here, with one line on standard error.

The agent reads exit code 0 without output as "no opinion", so that is what every failure becomes.
"""

import os

from . import budget, streams
from .client import Away, Client, Refused, Stranger
from .event import AFTER, AFTER_FAILURE, BEFORE, END, Event, Json
from .server import Nowhere, server
from .session import Session, home


def run(asking_s: float = budget.ASKING_S) -> None:
    """Take one event from standard input and answer it."""
    os.umask(0o077)
    answer = None
    try:
        answer = _in_time(asking_s)
    except (Exception, KeyboardInterrupt) as error:
        streams.complain(_said(error))
    if answer is not None:
        streams.answer(answer)


def _in_time(asking_s: float) -> Json | None:
    """What to print. The alarm is off before anything is said, so that it can end nothing but the event's work.

    Raises:
      Late: the limit was reached.
    """
    try:
        budget.alarm(max(budget.READING_S, asking_s - budget.age_s()))
        event = Event.read(streams.told())
        budget.allow(asking_s if event.name == BEFORE else max(asking_s, budget.REPORTING_S))
        return _handle(event)
    finally:
        budget.off()


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


def _said(error: BaseException) -> str:
    match error:
        case budget.Late():
            return str(error) or "no answer in time; going on without"
        case Away() | Refused() | Stranger() | Nowhere():
            return str(error)
        case _:
            return f"{type(error).__name__}: {error}"
