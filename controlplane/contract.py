"""What goes over the wire: requests forbid unknown fields, answers are what docs/api.md shows."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from auditor.feedback import Outcome
from auditor.rewards import Term

MAX_TEXT, MAX_TRACE, MAX_CANDIDATES = 8192, 65536, 64
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(max_length=256)]
Filled = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Named = Annotated[str, Meta(min_length=1, max_length=256)]
Id = Annotated[int, Meta(ge=1, le=2**53)]
FreeMap = dict[str, Any]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything a client gets."""


class Candidate(Request, frozen=True, kw_only=True):
    """A place the work can go; what is learnt about it is kept by provider and sku."""

    provider: Named
    sku: Named

    @property
    def action(self) -> str:
        return f"{self.provider}/{self.sku}"


class DecisionRequest(Request, frozen=True, kw_only=True, omit_defaults=True):
    """`gate` when planned_action is given, `route` when candidates are, or `point` by name."""

    point: Name | None = None
    namespace: Name = ""
    task_id: Name | None = None
    previous_trace_id: Name | None = None
    goal: Text | None = None
    planned_action: Filled | None = None
    tool: Name | None = None
    environment: FreeMap = {}
    context: FreeMap = {}
    metadata: FreeMap = {}
    candidates: Annotated[tuple[Candidate, ...], Meta(max_length=MAX_CANDIDATES)] | None = None
    wait_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0


class ReflectRequest(Request, frozen=True, kw_only=True):
    """The Vritti call: a `gate` decision."""

    goal: Filled
    planned_action: Filled
    environment: FreeMap = {}
    namespace: Name = ""
    task_id: Name | None = None


class FeedbackRequest(Request, frozen=True, kw_only=True):
    """What came of a decision."""

    trace_id: Named
    outcome: Outcome


class CaptureRequest(Request, frozen=True, kw_only=True):
    """A failure to remember."""

    goal: Filled
    episode_type: Literal["failure"] = "failure"
    namespace: Name = ""
    planned_action: Text = ""
    task_id: Name | None = None
    trace_id: Name | None = None
    error_trace: Annotated[str, Meta(max_length=MAX_TRACE)] = ""
    error_class: Name | None = None
    tool_chain: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    environment: FreeMap = {}
    preconditions: FreeMap = {}
    resolution: Text = ""
    severity: Annotated[float, Meta(ge=0, le=1)] = 0.4
    license: Name | None = None
    origin: Name = "agents"
    tags: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    custom: FreeMap = {}


class SearchRequest(Request, frozen=True, kw_only=True):
    """Episodes like this goal."""

    goal: Filled
    planned_action: Text = ""
    namespace: Name = ""
    current_state: FreeMap = {}
    k: Annotated[int, Meta(ge=1, le=100)] = 5
    min_similarity: Annotated[float, Meta(ge=-1, le=1)] = 0.6
    filters: FreeMap = {}


class ValidateRequest(Request, frozen=True, kw_only=True):
    """Whether an episode's fix worked."""

    episode_id: Id
    trace_id: Name | None = None
    outcome: Literal["success", "failure"]
    applied_suggestion: bool = True


class RetireRequest(Request, frozen=True, kw_only=True):
    """Why a skill is retired."""

    reason: Text = ""


class CheckpointRequest(Request, frozen=True, kw_only=True):
    """A name for the learnt state of this moment."""

    name: Name = ""


class Reflection(Answer, frozen=True, kw_only=True):
    """What was understood of past failures; the local reflector has no tier and costs nothing."""

    id: str | None = None
    status: Literal["ready", "pending", "none"] = "none"
    tier: str | None = None
    root_cause: str | None = None
    resolution: str | None = None
    cost_usd: float = 0.0


class SupportingEpisode(Answer, frozen=True, kw_only=True):
    """A remembered failure an answer rests on."""

    episode_id: int
    similarity: float
    precondition: float
    goal: str
    planned_action: str
    error_class: str
    root_cause: str
    resolution: str
    validations: int
    success_rate: float


class SkillAnswer(Answer, frozen=True, kw_only=True):
    """A fix that proved itself."""

    skill_id: int
    episode_id: int
    status: str
    goal: str
    resolution: str
    error_class: str
    preconditions: FreeMap
    validations: int
    success_rate: float


class Explanations(Answer, frozen=True, kw_only=True):
    """Why this action: the chosen action's value and visits, how it was drawn, and what it cost."""

    q_value: float
    visits: int
    exploration: str
    state: str
    psi_coherence: float | None = None
    psi_density: float | None = None
    rule: str | None = None
    masked: dict[str, str] = {}
    phases_ms: dict[str, float] = {}


class RouteAnswer(Answer, frozen=True, kw_only=True):
    """Where the work should go."""

    task_id: str | None
    point: str
    action: str
    chosen: Candidate
    score: float
    trace_id: str
    propensity: float
    policy_version: int
    explanations: Explanations
    degraded: tuple[str, ...] = ()


class GateAnswer(Answer, frozen=True, kw_only=True):
    """Whether to go on, and what to know before."""

    task_id: str | None
    point: str
    action: str
    tier: str | None
    trace_id: str
    propensity: float
    propensities: dict[str, float]
    policy_version: int
    recommendation: str
    confidence: float
    risk: float
    evidence: int
    novelty: float
    abstained: bool
    reason: str
    hints: list[str]
    suggested_action: str | None
    reflection: Reflection
    supporting_episodes: list[SupportingEpisode]
    skills: list[SkillAnswer]
    explanations: Explanations
    degraded: tuple[str, ...] = ()


DecisionAnswer = RouteAnswer | GateAnswer


class RewardExplanation(Answer, frozen=True, kw_only=True):
    """A reward taken apart: `components` as the Aurora seed names them, `terms` in full."""

    total_reward: float
    components: dict[str, float | bool | int]
    terms: tuple[Term, ...]
    missing: tuple[str, ...]
    explanation: str


class FeedbackAnswer(Answer, frozen=True, kw_only=True):
    """What the report changed."""

    updated: bool
    duplicate: bool
    pending: str | None
    reason: str | None
    reward: float | None
    explanation: RewardExplanation | None
    q_updates: int
    policy_version: int


class CapturedReflection(Answer, frozen=True, kw_only=True):
    """What was understood of a capture so far."""

    status: Literal["ready", "pending", "none"]
    tier: str | None
    trace_id: str | None
    error_class: str
    root_cause: str


class CaptureAnswer(Answer, frozen=True, kw_only=True):
    """Where the failure is remembered."""

    episode_id: int
    duplicate_of: int | None
    reflection: CapturedReflection


class ValidateAnswer(Answer, frozen=True, kw_only=True):
    """What the validation changed."""

    updated: bool
    reason: str | None
    trace_id: str | None
    reward: float | None
    validations: int
    success_rate: float
    promoted_to_skill: bool
    skill_id: int | None


class EpisodeAnswer(Answer, frozen=True, kw_only=True):
    """A remembered failure."""

    episode_id: int
    captured_at: float
    repeats: int
    validations: int
    success_rate: float
    skill_id: int | None
    episode: FreeMap


class SearchResult(Answer, frozen=True, kw_only=True):
    """One match with its score taken apart."""

    episode_id: int
    score: float
    scores: dict[str, float]
    episode: FreeMap


class SearchAnswer(Answer, frozen=True, kw_only=True):
    """The best matches, and how many were filtered out by which filter."""

    results: list[SearchResult]
    filtered: dict[str, int]
    degraded: tuple[str, ...] = ()


class CheckpointAnswer(Answer, frozen=True, kw_only=True):
    """A named learnt state."""

    checkpoint_id: str
    name: str
    seq: int
    created_at: float
    size_bytes: int


class RestoreAnswer(Answer, frozen=True, kw_only=True):
    """What a restore set aside."""

    checkpoint_id: str
    restored_to: int
    policy_version: int
    unlearnt_events: int
