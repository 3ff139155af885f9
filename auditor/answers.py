"""What a fold answers: what a report changed, and the record kept of every learnt decision."""

from typing import Literal

import msgspec

from strategist import Update

from .rewards import Report

Pending = Literal["next_decision", "task_end", "window"]
AWAITED: dict[Pending, str] = {
    "window": "a complete report",
    "next_decision": "the task's next decision",
    "task_end": "the task's end",
}


class FeedbackResult(msgspec.Struct, frozen=True, kw_only=True, tag="feedback"):
    """What a report did."""

    updated: bool = False
    duplicate: bool = False
    closed: bool = False  # the decision was over before: how it ended stands in its `Learned`
    pending: Pending | None = None
    reason: str | None = None
    report: Report | None = None

    @property
    def unlearnt(self) -> bool:
        """Whether the report ended the decision without its being learnt; its `Learned` says why."""
        return not (self.updated or self.duplicate or self.closed or self.pending or self.reason)


class SessionResult(msgspec.Struct, frozen=True, kw_only=True, tag="session"):
    """What a session's outcome did, and what the session returned or cost."""

    updated: bool = False
    duplicate: bool = False
    reason: str | None = None
    returned: float | None = None


class ValidationResult(msgspec.Struct, frozen=True, kw_only=True, tag="validation"):
    """What a validation did to the decision it joined and to its episode."""

    updated: bool = False
    counted: bool = False  # for the episode, whether or not a decision rests on it
    reason: str | None = None
    trace_id: str | None = None
    report: Report | None = None
    validations: int = 0
    success_rate: float = 0.0
    promoted_to_skill: bool = False
    skill_id: int | None = None


class ReservationResult(msgspec.Struct, frozen=True, kw_only=True, tag="reservation"):
    """Whether the limits had room for what was contested."""

    held: bool


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """How a decision ended: its reward and update, or why there is none."""

    trace_id: str
    point: str
    action: str = ""  # unknown in records of before it was kept
    seq: int  # of the event that completed it
    report: Report | None
    update: Update | None
    reason: str | None = None


Answer = FeedbackResult | ValidationResult | SessionResult | ReservationResult | None
