"""What comes of sessions, joined: to the origins of their memories, and to what the memories are worth."""

from .applied import Applied
from .fold import TenantFold
from .session_events import SessionReported
from .sessions import SessionEvent


def follow(fold: TenantFold, seq: int, event: SessionEvent) -> Applied:
    """Fold an event of a session; an outcome also speaks of what was offered at random, and of what was withheld."""
    fold.touched = True
    result = fold.sessions.apply(seq, event)
    if isinstance(event, SessionReported) and result is not None and result.updated:
        for offered in fold.sessions.open[event.session_id].offered:
            fold.worth.see(offered, event.success)
    return fold.told(Applied(result))
