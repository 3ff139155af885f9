"""What operators say about a point's policy."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from auditor.guards import MOST_GUARDS, Guard
from auditor.override import Tuning
from auditor.rules import HandOver
from strategist import Mode

from .wire import REASONS, Answer, Identifier, Request

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=-10, le=10)]
Why = Annotated[str, Meta(min_length=1, max_length=512, extra=REASONS)]
Version = Annotated[int, Meta(ge=0, le=2**53)]


class ComparisonAnswer(Answer, frozen=True, kw_only=True):
    """By how much another way to decide is better, in units of the reward; each end holds with 95 %, at any time."""

    decisions: int
    unsupported: int
    at_least: float
    at_most: float


class AuditAnswer(Answer, frozen=True, kw_only=True):
    """The false-block rate among audited low-risk blocks, weighted by 1 / probability, with its interval."""

    let_through: int
    known: int
    false_block_rate: float | None
    low: float
    high: float


class ChallengerRequest(Request, frozen=True, kw_only=True):
    """What the challenger does otherwise, and the share of the tasks it acts on; 0: it only says what it would do."""

    why: Why
    share: Share = 0.0
    tuning: Tuning = Tuning()
    weights: Annotated[dict[str, Weight], Meta(max_length=64)] = {}
    checkpoint_id: Identifier | None = None


class ReasonRequest(Request, frozen=True, kw_only=True):
    """Why it is done."""

    why: Why


class ChangeAnswer(Answer, frozen=True, kw_only=True):
    """What was done at a point, when, by which key and why; GET tells how the policy stands."""

    point: str
    change: str
    at: float
    by: str
    why: str


class ChallengerAnswer(Answer, frozen=True, kw_only=True):
    """Who stands beside the champion, since which event, and by how much it is better."""

    since: int
    stage: Literal["shadow", "canary", "former"]
    share: float
    tuning: Tuning
    weights: dict[str, float]
    checkpoint_id: str | None
    updates: int
    comparison: ComparisonAnswer


class PolicyRequest(Request, frozen=True, kw_only=True):
    """What to set at a point. What is left out stays; null is as the settings say.

    `version` is that of the policy that is to be changed.
    """

    version: Version
    why: Why
    mode: Mode | UnsetType | None = UNSET
    weights: Annotated[dict[str, Weight], Meta(max_length=64)] | UnsetType | None = UNSET
    risk_ceiling: Share | UnsetType | None = UNSET
    audit_ceiling: Share | UnsetType | None = UNSET
    audit_share: Share | UnsetType | None = UNSET
    hand_over: HandOver | UnsetType | None = UNSET
    tuning: Tuning | UnsetType | None = UNSET
    guards: Annotated[tuple[Guard, ...], Meta(max_length=MOST_GUARDS)] | UnsetType | None = UNSET
