"""What operators do to memory as a whole, by whose key captured it and when."""

from typing import Annotated, Literal

from msgspec import Meta

from .wire import MAX_TEXT, REASONS, Answer, Identified, Request

Moment = Annotated[float, Meta(ge=0, le=2**53)]  # seconds since the epoch


class Span(Request, frozen=True, kw_only=True):
    """What a key captured from `since` on, before `until`; without an end later captures too."""

    key_id: Identified
    since: Moment = 0.0
    until: Moment | None = None

    def __post_init__(self) -> None:
        if self.until is not None and self.until <= self.since:
            raise ValueError("`until` has to be later than `since`")


class QuarantineRequest(Span, frozen=True, kw_only=True):
    """Whose captures are set aside: from `since` on, before `until`; without an end later ones too."""

    why: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, extra=REASONS)]


class QuarantineAnswer(Answer, frozen=True, kw_only=True):
    """A quarantine that holds, and how many episodes are out of use because of it; of these, how many are skills."""

    quarantine_id: int
    tenant: str
    key_id: str
    since: float
    until: float | None
    why: str
    by: str
    at: float
    episodes: int
    skills: int


class PurgeRequest(Span, frozen=True, kw_only=True):
    """Whose captures are deleted for good; with `dry_run` it is only counted what that would be."""

    dry_run: bool = False


class PurgeAnswer(Answer, frozen=True, kw_only=True):
    """How many episodes a purge took, or would; of these, how many were skills and had reflections."""

    dry_run: bool
    episodes: int
    skills: int
    reflections: int


class AsideMemory(Answer, frozen=True, kw_only=True):
    """An episode that is kept and not in use, why, and since when."""

    episode_id: int
    why: Literal["quarantined", "archived"]
    since: float


class AsideAnswer(Answer, frozen=True, kw_only=True):
    """A page of what is set aside, by ids; `next` is where the next page begins after."""

    memories: list[AsideMemory]
    next: int | None
