"""Tenants and keys as the journal has them: a fold of the operators' acts, asked at every request.

A key is looked up by its id and compared in constant time; an unknown id is compared with a digest nobody has, so
that it takes as long as a wrong secret. Who was let in once is found by a keyed hash of what it sent.
"""

from collections.abc import Iterable
from hashlib import blake2b
from hmac import compare_digest
from typing import get_args

import msgspec

from auditor.events import (
    FailMode,
    KeyEnds,
    KeyIssued,
    Recorded,
    TenantSet,
)

from ..contract import Scope
from ..errors import Forbidden, Unauthorized
from .keys import Key, KeyKind, digest, parse
from .pepper import derived

EVERY_SCOPE: frozenset[str] = frozenset(get_args(Scope))
HEADER: dict[KeyKind, str] = {"tenant": "X-API-Key", "admin": "X-Admin-API-Key"}
DEFAULT, OPERATOR = "default", ""  # the tenant of the first key, and of nobody's
MARKS = "pointsman proved keys 1"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key at rest. `ends_at` is when it expires, was revoked or is replaced; None for never.

    One that was `ended` at once stays so, whatever a clock that is set back says.
    """

    key_id: str
    kind: KeyKind
    tenant: str
    name: str
    scopes: frozenset[str]
    digest: bytes
    created_at: float
    ends_at: float | None
    ended: bool = False

    def active(self, now: float) -> bool:
        return not self.ended and (self.ends_at is None or now < self.ends_at)

    def __repr__(self) -> str:
        return f"<KeyRecord {self.kind} {self.key_id} of {self.tenant!r}>"


# Stands for every key there is not: no secret has this digest.
_NOBODY = KeyRecord(
    key_id="", kind="tenant", tenant="", name="", scopes=frozenset(), digest=bytes(32), created_at=0.0, ends_at=None
)


class TenantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant, the tier its limits are taken from, and what it is answered when nothing can be journalled."""

    tenant: str
    tier: str
    fail_mode: FailMode
    created_at: float


NOBODY = TenantRecord(tenant=OPERATOR, tier="local", fail_mode="closed", created_at=0.0)  # whose keys operators' are


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is behind a request: the tenant comes from the key and from nowhere else."""

    tenant: str
    tier: str
    key_id: str
    scopes: frozenset[str]
    fail_mode: FailMode = "closed"

    def may(self, scope: Scope) -> None:
        """Raises Forbidden unless the key has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"this key lacks the scope {scope!r}; it has {', '.join(sorted(self.scopes)) or 'none'}")


LOCAL = Caller(tenant=DEFAULT, tier="local", key_id="", scopes=EVERY_SCOPE)  # everybody, where no keys are read


class Registry:
    """Every tenant and key. `observe` folds events; nothing else changes it."""

    def __init__(self, pepper: bytes) -> None:
        self.tenants: dict[str, TenantRecord] = {}
        self.keys: dict[str, KeyRecord] = {}
        self.position = 0  # the last event taken in
        self._pepper = pepper
        self._marking = self.derived(MARKS)
        self._proved: dict[bytes, str] = {}  # ids of the keys that were sent, each by the mark of its text

    def derived(self, label: str) -> bytes:
        """A key of its own for another use; see `derived`."""
        return derived(self._pepper, label)

    def observe(self, recorded: Recorded) -> None:
        """Take in one committed event, once."""
        if recorded.seq <= self.position:
            return
        self.position = recorded.seq
        match recorded.event:
            case TenantSet() as event:
                self.tenants[event.tenant] = self.after(event)
            case KeyIssued() as event:
                self.keys[event.key_id] = _record(event)
            case KeyEnds() as event if not self.is_last(event.key_id, event.at):
                self.keys[event.key_id] = _ending(self.keys[event.key_id], event)

    def is_last(self, key_id: str, now: float) -> bool:
        """Whether a key is an operator's and no other one of an operator's is active: it does not end."""
        others = (record for record in self.keys.values() if record.kind == "admin" and record.key_id != key_id)
        return self.keys[key_id].kind == "admin" and not any(record.active(now) for record in others)

    def after(self, event: TenantSet) -> TenantRecord:
        """The tenant as the event leaves it."""
        known = self.tenants.get(event.tenant)
        return TenantRecord(
            tenant=event.tenant,
            tier=event.tier,
            fail_mode=event.fail_mode,
            created_at=known.created_at if known else event.at,
        )

    def caller(self, given: str | None, kind: KeyKind, now: float) -> Caller:
        """Who sends this key.

        Raises:
          Unauthorized: none was sent, it is none of ours or of the other kind, or it has ended.
        """
        if not given:
            raise Unauthorized(f"send your key in the header {HEADER[kind]}")
        mark = blake2b(given.encode(errors="replace"), key=self._marking, digest_size=32).digest()
        record = self.keys[self._proved[mark]] if mark in self._proved else self._prove(given, mark)
        if record.kind != kind:
            raise Unauthorized
        if not record.active(now):
            raise Unauthorized("this key has ended: it expired, was revoked or was replaced; ask for a new one")
        of = self.tenants[record.tenant] if kind == "tenant" else NOBODY
        return Caller(
            tenant=record.tenant,
            tier=of.tier,
            key_id=record.key_id,
            scopes=record.scopes,
            fail_mode=of.fail_mode,
        )

    def _prove(self, given: str, mark: bytes) -> KeyRecord:
        """Whose text it is. The mark it is found by from here on tells nothing of it."""
        key = parse(given)
        record = self.keys.get(key.key_id, _NOBODY) if key else _NOBODY
        proved = compare_digest(record.digest, digest(self._pepper, key.secret if key else ""))
        if key is None or not proved or key.kind != record.kind:
            raise Unauthorized
        self._proved[mark] = key.key_id
        return record

    def digest(self, key: Key) -> bytes:
        """What is kept of a key's secret."""
        return digest(self._pepper, key.secret)

    def of(self, tenant: str | None) -> Iterable[KeyRecord]:
        """A tenant's keys, or everybody's, oldest first."""
        return (record for record in self.keys.values() if tenant is None or record.tenant == tenant)


def _ending(record: KeyRecord, event: KeyEnds) -> KeyRecord:
    """The sooner end holds: a replacement that was asked for before a revocation does not put it off."""
    ends_at = event.ends_at if record.ends_at is None else min(record.ends_at, event.ends_at)
    return msgspec.structs.replace(record, ends_at=ends_at, ended=record.ended or event.ends_at <= event.at)


def _record(event: KeyIssued) -> KeyRecord:
    return KeyRecord(
        key_id=event.key_id,
        kind=event.key_kind,
        tenant=event.tenant,
        name=event.name,
        scopes=frozenset(event.scopes),
        digest=event.digest,
        created_at=event.at,
        ends_at=event.ends_at,
    )
