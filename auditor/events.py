"""The journal's events. Whatever changes a fold is one of these; nothing else does."""

from typing import Any, Literal

import msgspec

from .checkpoint_events import Checkpointed as Checkpointed
from .checkpoint_events import CheckpointsPruned as CheckpointsPruned
from .checkpoint_events import Restored as Restored
from .event import Event
from .federation_events import Federated, OriginForgotten
from .feedback import Outcome
from .hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted
from .job_events import JobAdded as JobAdded
from .job_events import JobEnded as JobEnded
from .job_events import JobFailed as JobFailed
from .job_events import JobLeased as JobLeased
from .modality import ModalVector
from .money_events import BudgetSet, Reconciled, Released, Reserved, Settled
from .passage_events import DocumentKept, DocumentsDropped, OriginRegistered
from .policy_events import (
    Appealed,
    AppealRuled,
    ChallengerEnded,
    ChallengerSet,
    PolicySet,
    Promoted,
    RolledBack,
)
from .provenance import Provenance
from .ranker_events import RankerSet
from .reflection_events import Reflected, ReflectionEvicted, ReuseChecked
from .rules import Rules
from .session_events import Queried, SessionReported
from .skill_events import SkillDescribed
from .trace import Trace
from .webhook_events import WebhookRemoved, WebhookSet

# What is answered when a decision cannot be journalled: a refusal, the action that lets pass, or what was learnt last.
FailMode = Literal["closed", "open", "last_good"]


class Decided(Event, frozen=True, kw_only=True, tag="decision"):
    """A decision was made and answered."""

    trace: Trace

    @property
    def ref(self) -> str:
        return self.trace.trace_id


class Reported(Event, frozen=True, kw_only=True, tag="feedback"):
    """An agent reported what came of a decision; `counts` says whether its key had not used up its share."""

    trace_id: str
    outcome: Outcome
    by: str = ""
    counts: bool = True

    @property
    def ref(self) -> str:
        return self.trace_id


class Validated(Event, frozen=True, kw_only=True, tag="validation"):
    """An agent says whether an episode's fix worked; without a trace the fold joins it to one. `counts` as above."""

    episode_id: int
    trace_id: str | None
    success: bool
    applied_suggestion: bool
    origin: str = ""  # of the episode; "" in events of before it was kept
    fix: bool = True  # whether the episode notes one; events of before that was kept do not say
    by: str = ""
    counts: bool = True

    @property
    def ref(self) -> str:
        return self.trace_id or ""


class Episode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A remembered failure as it was captured, with the vector it is found by."""

    namespace: str = ""
    episode_type: str = "failure"
    goal: str
    planned_action: str = ""
    task_id: str | None = None
    trace_id: str | None = None
    error_trace: str = ""
    error_class: str = "unknown"
    tool_chain: tuple[str, ...] = ()
    environment: dict[str, object] = {}
    preconditions: dict[str, object] = {}
    resolution: str = ""
    severity: float = 0.4
    license: str | None = None
    origin: str = "agents"
    tags: tuple[str, ...] = ()
    custom: dict[str, object] = {}
    provenance: Provenance | None = None  # where it was captured, if that was not here
    digest: str  # of its text, to recognise an exact repeat
    embedder: str = ""
    vector: bytes = b""  # float32 little-endian; empty for a duplicate


class Captured(Event, frozen=True, kw_only=True, tag="capture"):
    """A failure was captured; the event's sequence number is the episode's id."""

    episode: Episode
    duplicate_of: int | None = None
    by: str = ""
    modalities: dict[str, ModalVector] = {}

    @property
    def ref(self) -> str:
        return self.episode.digest


class SignatureSeen(Event, frozen=True, kw_only=True, tag="signature"):
    """The first decision about an action signature: its text and vector, so that cases can be found."""

    namespace: str
    signature: str
    text: str
    embedder: str
    vector: bytes

    @property
    def ref(self) -> str:
        return self.signature


class EpisodeDeleted(Event, frozen=True, kw_only=True, tag="episode_deleted"):
    """An episode was purged; its capture keeps its number and loses its content."""

    episode_id: int
    by: str = ""


class Purged(Event, frozen=True, kw_only=True, tag="purged"):
    """What stands where a purged event stood."""


class SkillRetired(Event, frozen=True, kw_only=True, tag="skill_retired"):
    """An operator retired a skill; it is not promoted again by itself."""

    skill_id: int
    reason: str
    by: str = ""


class WindowClosed(Event, frozen=True, kw_only=True, tag="window_closed"):
    """The time for feedback on a decision is over."""

    trace_id: str

    @property
    def ref(self) -> str:
        return self.trace_id


class TrajectoryClosed(Event, frozen=True, kw_only=True, tag="trajectory_closed"):
    """No decision followed within the task's time to live."""

    point: str
    namespace: str
    task_id: str


class Configured(Event, frozen=True, kw_only=True, tag="configured"):
    """The rules of the fold changed (also written once, at the very first start)."""

    rules: Rules
    settings_hash: str


class Received(Event, frozen=True, kw_only=True, tag="receipt"):
    """A request with an idempotency key; its effect is the next event, in the same commit."""

    route: str
    key: str
    fingerprint: bytes  # of the path's parameters and the body
    by: str
    answer: Any = None  # where it was known before the effect was written

    @property
    def ref(self) -> str:
        return f"{self.route} {self.key}"


class Answered(Event, frozen=True, kw_only=True, tag="answered"):
    """What a request with an idempotency key was answered, where only the fold could say."""

    route: str
    key: str
    receipt: int
    answer: Any

    @property
    def ref(self) -> str:
        return f"{self.route} {self.key}"


class TenantSet(Event, frozen=True, kw_only=True, tag="tenant_set"):
    """An operator made a tenant, or changed it; `by` is "" for the server itself."""

    tier: str
    fail_mode: FailMode = "closed"
    by: str


class KeyIssued(Event, frozen=True, kw_only=True, tag="key_issued"):
    """A key was made (an operator's own belongs to no tenant); of its secret a keyed hash is kept."""

    key_id: str
    key_kind: Literal["tenant", "admin"]
    name: str
    scopes: tuple[str, ...]
    digest: bytes
    ends_at: float | None
    by: str

    @property
    def ref(self) -> str:
        return self.key_id


class KeyEnds(Event, frozen=True, kw_only=True, tag="key_ends"):
    """A key was revoked, or replaced by another that overlaps with it until `ends_at`."""

    key_id: str
    ends_at: float
    by: str

    @property
    def ref(self) -> str:
        return self.key_id


AnyEvent = (
    Decided
    | Reported
    | Appealed
    | AppealRuled
    | Validated
    | Captured
    | SignatureSeen
    | EpisodeDeleted
    | Purged
    | SkillRetired
    | WindowClosed
    | TrajectoryClosed
    | Configured
    | PolicySet
    | ChallengerSet
    | ChallengerEnded
    | Promoted
    | RolledBack
    | Federated
    | OriginForgotten
    | Checkpointed
    | Restored
    | CheckpointsPruned
    | Received
    | Answered
    | TenantSet
    | KeyIssued
    | KeyEnds
    | JobAdded
    | JobLeased
    | JobFailed
    | JobEnded
    | Reserved
    | Settled
    | Released
    | Reconciled
    | BudgetSet
    | Reflected
    | ReflectionEvicted
    | ReuseChecked
    | SkillDescribed
    | Queried
    | SessionReported
    | RankerSet
    | DocumentKept
    | DocumentsDropped
    | OriginRegistered
    | Quarantined
    | QuarantineLifted
    | EpisodesArchived
    | EpisodeReturned
    | WebhookSet
    | WebhookRemoved
)


def rests_on(event: AnyEvent) -> int | None:
    """The place whose learnt state the event goes back to, if it goes back to any."""
    match event:
        case Restored():
            return event.seq
        case ChallengerSet():
            return event.rests_on
    return None


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A committed event with its place in the log."""

    seq: int
    event: AnyEvent
