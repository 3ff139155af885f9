"""What operators send and see: learnt states by name, tenants, keys."""

from typing import Annotated, Any

from msgspec import Meta

from auditor.events import FailMode
from strategist.differences import Preference

from .wire import IDENTIFIES, Answer, Identifier, Request, Scope, Tier

TENANT = r"^[a-z0-9][a-z0-9-]{0,39}$(?!\n)"  # to Python, `$` may have a line's end behind it


class CheckpointRequest(Request, frozen=True, kw_only=True):
    """A name for the learnt state of this moment."""

    name: Identifier = ""


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


class PruneRequest(Request, frozen=True, kw_only=True):
    """How many of the newest checkpoints stay in any case."""

    keep: Annotated[int, Meta(ge=1, le=10**6)]


class PruneAnswer(Answer, frozen=True, kw_only=True):
    """Which checkpoints are no longer there, and the size of their files."""

    pruned: tuple[str, ...]
    freed_bytes: int


class OtherwiseAnswer(Answer, frozen=True, kw_only=True):
    """A state whose greedy action changed."""

    point: str
    state: str
    before: Preference
    after: Preference


class DiffAnswer(Answer, frozen=True, kw_only=True):
    """What the later of two learnt states would do otherwise; `states` shows the most visited of those that changed."""

    before: str
    after: str
    changed: int
    states: list[OtherwiseAnswer]


class TenantRequest(Request, frozen=True, kw_only=True):
    """A tenant to make, or to change; what is not given stays, and is `free` and `closed` at first."""

    tenant: Annotated[str, Meta(pattern=TENANT, extra=IDENTIFIES)]
    tier: Tier | None = None
    fail_mode: FailMode | None = None


class KeyRequest(Request, frozen=True, kw_only=True):
    """A key to make: a tenant's, or without a tenant an operator's."""

    tenant: Identifier | None = None
    name: Identifier = ""
    scopes: frozenset[Scope] | None = None
    expires_in_s: Annotated[float, Meta(gt=0, le=10**9)] | None = None


class RotateRequest(Request, frozen=True, kw_only=True):
    """How long a replaced key goes on working."""

    overlap_s: Annotated[float, Meta(ge=0, le=10**9)] = 86_400.0


class TenantAnswer(Answer, frozen=True, kw_only=True):
    """A tenant as an operator sees it."""

    tenant: str
    tier: str
    fail_mode: str
    created_at: float
    active_keys: int


class KeyAnswer(Answer, frozen=True, kw_only=True):
    """A key without its secret. `ends_at`: when it expires, was revoked or is replaced; null for never."""

    key_id: str
    kind: str
    tenant: str | None
    name: str
    scopes: tuple[str, ...]
    created_at: float
    ends_at: float | None
    active: bool


class NewKeyAnswer(KeyAnswer, frozen=True, kw_only=True):
    """A key with its text, which is told this once."""

    key: str


class ActAnswer(Answer, frozen=True, kw_only=True):
    """An operator's act: what was done to what, by which key ("" for the server itself)."""

    seq: int
    at: float
    act: str
    tenant: str | None
    about: str
    by: str
    details: dict[str, Any]
