"""Offline replay over the wire: what is to be replayed, and how far it is."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from .wire import Answer, FreeMap, Identifier, Request

Place = Annotated[int, Meta(ge=1, le=2**53)]
ReplayState = Literal["waiting", "running", "done", "failed", "cancelled"]


class ReplayRequest(Request, frozen=True, kw_only=True):
    """A window of the tenant's own decisions at a point, and the policy; without one the policy in force."""

    point: Identifier = "route"
    policy: FreeMap = {}
    first: Place = 1
    last: Place | None = None
    decisions: Place | None = None


class ReplayAnswer(Answer, frozen=True, kw_only=True):
    """How far a replay is: `done` of `of` decisions; its report once it is done, or why there is none."""

    replay_id: str
    state: ReplayState
    done: int
    of: int
    why: str | None
    report: dict[str, Any] | None
