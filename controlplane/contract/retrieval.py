"""Retrieving: contexts and patches for a query, what came of them, and how search weighs its terms."""

from typing import Annotated, Any

from msgspec import Meta

from auditor.changes import MemoryKind

from .wire import Answer, Conditioned, Conditions, Filled, FreeMap, Id, Identifier, Name, Request, Text

KINDS: tuple[MemoryKind, ...] = ("episode", "document", "patch", "record")


class Safety(Request, frozen=True, kw_only=True):
    """Bounds on what is told; what passes one is counted under its name.

    license_denylist: names, SPDX ids or fingerprints (`sha256:...`), beside those the server denies; trust is how often
    sessions with memories of its origin went well.
    """

    max_alignment_severity: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_alerts: Annotated[int, Meta(ge=0, le=10**6)] | None = None
    license_denylist: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    max_age_days: Annotated[float, Meta(gt=0, le=10**5)] | None = None
    min_trust: Annotated[float, Meta(ge=0, le=1)] | None = None


class ContextRequest(Conditioned, frozen=True, kw_only=True):
    """The best memories about something, within a budget of tokens."""

    goal: Filled
    planned_action: Text = ""
    namespace: Identifier = ""
    current_state: Conditions = {}
    kinds: Annotated[tuple[MemoryKind, ...], Meta(min_length=1, max_length=4)] = KINDS
    k: Annotated[int, Meta(ge=1, le=100)] = 20
    min_similarity: Annotated[float, Meta(ge=-1, le=1)] = 0.3
    token_budget: Annotated[int, Meta(ge=64, le=32_768)] = 2000
    safety: Safety = Safety()


class UsedOrigin(Answer, frozen=True, kw_only=True):
    """Where memories of a context are from: what that is, its name, and how many there are of it."""

    what: str
    origin: str
    memories: int


class ContextAnswer(Answer, frozen=True, kw_only=True):
    """Memories by kind, best first, with their tokens as JSON; report what came of it under `session_id`."""

    session_id: str
    context: dict[str, list[dict[str, Any]]]
    origins: list[UsedOrigin]
    tokens: int
    left_out: int
    repeated: int
    filtered: dict[str, int]
    degraded: tuple[str, ...] = ()


class PatchRequest(Request, frozen=True, kw_only=True):
    """Patches that did something like this; `enhancement_weight` is what their own figure counts in the score."""

    query: Filled
    namespace: Identifier = ""
    k: Annotated[int, Meta(ge=1, le=100)] = 5
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.0
    enhancement_weight: Annotated[float, Meta(ge=0, le=1)] = 0.3
    safety: Safety = Safety()


class PatchResult(Answer, frozen=True, kw_only=True):
    """A patch, or the part of it that fits best; `score` and its terms are in [0, 1]."""

    memory_id: int
    key: str
    origin: str
    title: str
    text: str
    license: str | None
    score: float
    scores: dict[str, float]
    enhancement: float | None
    metadata: FreeMap


class PatchAnswer(Answer, frozen=True, kw_only=True):
    """The best patches; report what came of them under `session_id`."""

    session_id: str
    results: list[PatchResult]
    filtered: dict[str, int]
    degraded: tuple[str, ...] = ()


class SessionRequest(Request, frozen=True, kw_only=True):
    """What came of a session; `contribution` is how much that was worth, `used` the memories that were acted on."""

    success: bool
    contribution: Annotated[float, Meta(ge=0, le=1)] = 1.0
    used: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=100)] | None = None


class SessionAnswer(Answer, frozen=True, kw_only=True):
    """What the outcome changed; `returned` is what the session returned, or cost where it is negative."""

    updated: bool
    duplicate: bool
    reason: str | None
    returned: float | None


class OriginReturn(Answer, frozen=True, kw_only=True):
    """What came of sessions that used an origin's memories; `deviation` is the standard error of the mean return."""

    what: str
    origin: str
    sessions: float
    success_rate: float
    mean_return: float
    deviation: float


class EvaluationAnswer(Answer, frozen=True, kw_only=True):
    """New weights beside the former ones on sessions that were held out (auditor/ranker_events.py)."""

    sessions: int
    held_out: int
    auc_before: float
    auc_after: float
    low: float


class RankerAnswer(Answer, frozen=True, kw_only=True):
    """How search weighs its terms: `version` 0 are the weights that are shipped."""

    replaced: bool
    version: int
    weights: dict[str, float]
    evaluation: EvaluationAnswer | None
    reason: str | None


class SessionsAnswer(Answer, frozen=True, kw_only=True):
    """Sessions of a tenant: how many wait for an outcome, how many have one, and the return of each origin."""

    open: int
    outcomes: int
    origins: list[OriginReturn]
    ranker: RankerAnswer
