"""Documents: texts that memory keeps beside failures, cut into passages and found again."""

from typing import Annotated, Literal

from msgspec import Meta

from auditor.passage_events import PassageKind

from .retrieval import Safety
from .wire import Answer, Filled, FreeMap, Identified, Identifier, Name, Named, Request, Text

MAX_DOCUMENT, MAX_DOCUMENTS = 131_072, 64
Format = Literal["results", "context"]
Status = Literal["kept", "unchanged", "refused"]


class DocumentRequest(Request, frozen=True, kw_only=True):
    """A text as its origin has it; without a key it is kept under a digest of itself."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_DOCUMENT)]
    key: Named | None = None
    kind: PassageKind = "document"
    title: Text = ""
    license: Name | None = None
    metadata: FreeMap = {}
    version: Name = ""
    enhancement: Annotated[float, Meta(ge=0, le=1)] | None = None
    alignment_severity: Annotated[float, Meta(ge=0, le=1)] | None = None
    semantic_alerts: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class DocumentsRequest(Request, frozen=True, kw_only=True):
    """Documents of one origin, to be kept in the place of what is kept under their keys."""

    documents: Annotated[tuple[DocumentRequest, ...], Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    namespace: Identifier = ""
    origin: Identified = "documents"


class KeptAnswer(Answer, frozen=True, kw_only=True):
    """What became of one document; `why` says why it was refused, `violation` that it was for its licence."""

    key: str
    status: Status
    passages: int
    why: str | None
    violation: bool = False


class DocumentsAnswer(Answer, frozen=True, kw_only=True):
    """What became of each document, in the order they came."""

    documents: list[KeptAnswer]


class ListedDocument(Answer, frozen=True, kw_only=True):
    """A document that is kept; `by` is the id of the key that kept it."""

    key: str
    by: str
    version: str
    passages: int


class DocumentList(Answer, frozen=True, kw_only=True):
    """A page of an origin's documents by their keys; `next` is where the next page begins after."""

    documents: list[ListedDocument]
    next: str | None


class DocumentSearchRequest(Request, frozen=True, kw_only=True):
    """Passages about something."""

    query: Filled
    namespace: Name = ""
    origin: Name | None = None
    kind: PassageKind | None = None
    filters: FreeMap = {}
    k: Annotated[int, Meta(ge=1, le=100)] = 5
    min_similarity: Annotated[float, Meta(ge=-1, le=1)] = 0.3
    safety: Safety = Safety()
    format: Format = "results"
    token_budget: Annotated[int, Meta(ge=64, le=32_768)] = 2000


class PassageResult(Answer, frozen=True, kw_only=True):
    """A passage with the document it is part of: the `part`-th of `parts`; its score is taken apart."""

    passage_id: int
    score: float
    scores: dict[str, float]
    text: str
    part: int
    parts: int
    key: str
    origin: str
    kind: PassageKind
    title: str
    license: str | None
    metadata: FreeMap
    enhancement: float | None
    alignment_severity: float | None
    semantic_alerts: int | None


class DocumentSearchAnswer(Answer, frozen=True, kw_only=True):
    """The best passages, how many were filtered out by which filter, and their text with sources if asked for."""

    results: list[PassageResult]
    filtered: dict[str, int]
    context: str | None
    tokens: int | None
    degraded: tuple[str, ...] = ()


class OriginRequest(Request, frozen=True, kw_only=True):
    """Where documents come from: what that is, and the licence of those that name none."""

    origin: Identified
    what: Identified = "documents"
    license: Name | None = None


class DocumentOriginAnswer(Answer, frozen=True, kw_only=True):
    """An origin, registered or not, and how much is kept of it in all namespaces."""

    origin: str
    what: str
    license: str | None
    registered: bool
    documents: int
    passages: int
