"""Remembering: failures captured and found again, fixes validated, skills."""

from typing import Annotated, Literal

from msgspec import Meta

from .decisions import Worth
from .retrieval import Safety
from .wire import (
    MAX_IMAGE,
    MAX_IMAGES,
    MAX_TRACE,
    Answer,
    Conditioned,
    Conditions,
    Filled,
    FreeMap,
    Id,
    Identifier,
    Name,
    Reason,
    Request,
    Text,
)

Image = Annotated[str, Meta(min_length=1, max_length=MAX_IMAGE)]


class CaptureRequest(Conditioned, frozen=True, kw_only=True):
    """A failure to remember."""

    goal: Filled
    episode_type: Literal["failure"] = "failure"
    namespace: Identifier = ""
    planned_action: Text = ""
    task_id: Identifier | None = None
    trace_id: Identifier | None = None
    error_trace: Annotated[str, Meta(max_length=MAX_TRACE)] = ""
    error_class: Name | None = None
    tool_chain: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    environment: Conditions = {}
    preconditions: Conditions = {}
    resolution: Text = ""
    severity: Annotated[float, Meta(ge=0, le=1)] = 0.4
    license: Name | None = None
    origin: Identifier = "agents"
    tags: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    custom: FreeMap = {}
    images: Annotated[tuple[Image, ...], Meta(max_length=MAX_IMAGES)] = ()


class SearchRequest(Conditioned, frozen=True, kw_only=True):
    """Episodes like this goal, or in another modality like this query: a trace, code, an image in base64."""

    goal: Text = ""
    modality: Name = "text"
    query: Annotated[str, Meta(max_length=MAX_IMAGE)] = ""
    planned_action: Text = ""
    namespace: Name = ""
    current_state: Conditions = {}
    k: Annotated[int, Meta(ge=1, le=100)] = 5
    min_similarity: Annotated[float, Meta(ge=-1, le=1)] = 0.6
    filters: FreeMap = {}
    safety: Safety = Safety()

    def __post_init__(self) -> None:
        super().__post_init__()
        asked, other = ("goal", "query") if self.modality == "text" else ("query", "goal")
        if not getattr(self, asked).strip():
            raise ValueError(f"the modality {self.modality!r} is searched by `{asked}`, which is missing")
        if self.query and other == "query":
            raise ValueError("`query` is for other modalities; text is searched by `goal`")


class ValidateRequest(Request, frozen=True, kw_only=True):
    """Whether an episode's fix worked."""

    episode_id: Id
    trace_id: Identifier | None = None
    outcome: Literal["success", "failure"]
    applied_suggestion: bool = True


class RetireRequest(Request, frozen=True, kw_only=True):
    """Why a skill is retired."""

    reason: Reason = ""


class CapturedReflection(Answer, frozen=True, kw_only=True):
    """What was understood of a capture so far, and the decision that has a model reflect on it."""

    status: Literal["pending", "none"]
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
    """A remembered failure; `aside` says why it is kept and not in use."""

    episode_id: int
    captured_at: float
    repeats: int
    validations: int
    success_rate: float
    skill_id: int | None
    worth: Worth
    aside: Literal["quarantined", "archived"] | None
    episode: FreeMap


class SearchResult(Answer, frozen=True, kw_only=True):
    """One match with its score taken apart; it stands for `alike` near-duplicates that are not shown."""

    episode_id: int
    score: float
    alike: int
    scores: dict[str, float]
    episode: FreeMap


class SearchAnswer(Answer, frozen=True, kw_only=True):
    """The best matches, and how many were filtered out by which filter."""

    results: list[SearchResult]
    filtered: dict[str, int]
    degraded: tuple[str, ...] = ()
