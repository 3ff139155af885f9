"""Before a call: ask the gate, keep what its report will need, and say what it answered."""

from collections.abc import Mapping

from .answer import REWRITE, advised, is_news, spoken
from .budget import Late
from .client import Client
from .event import Event, Json, digest, kept, text
from .session import ADVICE, CALL, FAILURE, LAST, Session
from .streams import complain
from .surroundings import facts


def ask(event: Event, client: Client, session: Session, environ: Mapping[str, str]) -> Json | None:
    """What to print; None for no opinion.

    The suggestion of a REWRITE is that decision being followed: it is not put to the gate a second time.
    """
    if not event.planned or _follows(event, session):
        return None
    seen = facts(event.cwd, environ)
    question: Json = {
        "task_id": event.task_id,
        "goal": event.goal,
        "planned_action": event.planned,
        "environment": seen,
    }
    said = client.post("/v1/decisions", question)
    answer = spoken(said) if is_news(said, {name for name, _ in session.notes(FAILURE)}) else None
    try:
        if text(said, "trace_id"):
            _remember(event, session, said, seen)
    except (OSError, Late) as error:  # the answer still holds, only its report will be missing
        complain(f"this call cannot be reported: {str(error) or 'no time to note it'}")
    return answer


def _follows(event: Event, session: Session) -> bool:
    """Whether this is what a REWRITE suggested whose own call was not run; it becomes this call's decision."""
    for name, call in session.notes(CALL):
        if call.get("verdict") == REWRITE and call.get("advice") == digest(kept(event.planned)):
            return session.rename(CALL, name, event.call_id)
    return False


def _remember(event: Event, session: Session, said: Json, seen: dict[str, str]) -> None:
    trace_id, (command, episode_id) = text(said, "trace_id"), advised(said)
    advice = digest(command) if command else None
    call: Json = {"trace_id": trace_id, "verdict": text(said, "action"), "advice": advice, "environment": seen}
    session.keep(CALL, event.call_id, call)
    session.keep(LAST, LAST, {"trace_id": trace_id})
    if advice and episode_id is not None:
        session.keep(ADVICE, trace_id, {"advice": advice, "episode_id": episode_id})
