"""An agent contests a BLOCK, an operator rules."""

from .policies import Why
from .wire import Answer, Request


class AppealRequest(Request, frozen=True, kw_only=True):
    """Why the BLOCK was wrong."""

    reason: Why


class RulingRequest(Request, frozen=True, kw_only=True):
    """Whether the appeal is right, and why."""

    upheld: bool
    why: Why


class AppealAnswer(Answer, frozen=True, kw_only=True):
    """A contested BLOCK. `open_decision`: whether what is ruled will be learnt, or was."""

    trace_id: str
    status: str
    appealed_at: float
    open_decision: bool
