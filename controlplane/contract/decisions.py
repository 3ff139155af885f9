"""Deciding and reporting: what is asked before an agent acts, and what is told afterwards."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from auditor.feedback import Outcome
from auditor.rewards import Term

from .wire import (
    MAX_CANDIDATES,
    Answer,
    Conditioned,
    Conditions,
    Filled,
    FreeMap,
    Identified,
    Identifier,
    Request,
    Text,
)


class Candidate(Request, frozen=True, kw_only=True, omit_defaults=True):
    """A place the work can go; what is learnt about it is kept by provider and sku.

    expected_cost: in USD, if it is known beforehand. It is computed with, not learnt, where every candidate says it.
    """

    provider: Identified
    sku: Identified
    expected_cost: Annotated[float, Meta(ge=0, le=10**9)] | None = None

    @property
    def action(self) -> str:
        return f"{self.provider}/{self.sku}"


class DecisionRequest(Conditioned, frozen=True, kw_only=True, omit_defaults=True):
    """`gate` when planned_action is given, `route` when candidates are, or `point` by name."""

    point: Identifier | None = None
    namespace: Identifier = ""
    task_id: Identifier | None = None
    previous_trace_id: Identifier | None = None
    goal: Text | None = None
    planned_action: Filled | None = None
    tool: Identifier | None = None
    environment: Conditions = {}
    context: FreeMap = {}
    metadata: FreeMap = {}
    candidates: Annotated[tuple[Candidate, ...], Meta(max_length=MAX_CANDIDATES)] | None = None
    wait_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.goal and not self.goal.strip():
            msgspec.structs.force_setattr(self, "goal", None)


class ReflectRequest(Conditioned, frozen=True, kw_only=True):
    """The Vritti call: a `gate` decision."""

    goal: Filled
    planned_action: Filled
    environment: Conditions = {}
    namespace: Identifier = ""
    task_id: Identifier | None = None


class FeedbackRequest(Request, frozen=True, kw_only=True):
    """What came of a decision."""

    trace_id: Identified
    outcome: Outcome


class Reflection(Answer, frozen=True, kw_only=True):
    """What was understood of past failures; the local reflector has no tier and costs nothing."""

    id: str | None = None
    status: Literal["ready", "pending", "none"] = "none"
    tier: str | None = None
    root_cause: str | None = None
    resolution: str | None = None
    cost_usd: float = 0.0


class Worth(Answer, frozen=True, kw_only=True):
    """How much more often decisions succeeded that were offered a memory than those it was withheld from."""

    status: Literal["helps", "unproven", "inert", "harms"]
    uplift: float
    low: float
    high: float
    offered: int
    withheld: int
    summary: str


class SupportingEpisode(Answer, frozen=True, kw_only=True):
    """A remembered failure an answer rests on; it stands for `alike` near-duplicates that are not shown."""

    episode_id: int
    alike: int
    similarity: float
    precondition: float
    goal: str
    planned_action: str
    error_class: str
    root_cause: str
    resolution: str
    validations: int
    success_rate: float
    worth: Worth


class SkillStep(Answer, frozen=True, kw_only=True):
    """A change in a skill's life, and why."""

    seq: int
    at: float
    before: str
    after: str
    why: str


class SkillAnswer(Answer, frozen=True, kw_only=True):
    """A fix that proved itself. `name`, `docstring`, `requires` and `steps` are words of the model `described_by`."""

    skill_id: int
    name: str
    docstring: str
    requires: tuple[str, ...]
    steps: tuple[str, ...]
    described_by: str | None
    episode_id: int
    status: str
    goal: str
    resolution: str
    error_class: str
    preconditions: FreeMap
    validations: int
    success_rate: float
    worth: Worth
    history: list[SkillStep] = []


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
    trace_id: str | None
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
    trace_id: str | None
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


DecisionAnswer = RouteAnswer | GateAnswer
