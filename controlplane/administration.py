"""The operators' calls: make tenants and keys, replace and revoke them. Every act is an event with who did it."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from auditor import Learner
from auditor.events import (
    AnyEvent,
    KeyEnds,
    KeyIssued,
    Recorded,
    TenantSet,
)

from .clock import Clock
from .contract import KeyAnswer, KeyRequest, NewKeyAnswer, RotateRequest, TenantAnswer, TenantRequest
from .errors import Conflict, UnknownKey, UnknownTenant, Unprocessable
from .idempotency import Receipt
from .journal import Journal
from .tenants import (
    DEFAULT,
    EVERY_SCOPE,
    OPERATOR,
    Key,
    KeyKind,
    KeyRecord,
    Registry,
    TenantRecord,
    load_pepper,
    new_key,
)

SERVER = ""  # who did what no operator asked for
PAGE = 1000  # events read at once


class FirstKeys(NamedTuple):
    """What the very first start makes, in the clear, to be shown once."""

    admin: str
    tenant: str

    def __repr__(self) -> str:
        return "<FirstKeys>"


class Administration:
    """Changes who may call. What it answers holds for the next request already."""

    def __init__(self, registry: Registry, journal: Journal, learner: Learner, clock: Clock, shard: int | None) -> None:
        self._registry, self._shard = registry, shard
        self._journal, self._learner, self._clock = journal, learner, clock

    async def first_keys(self) -> FirstKeys | None:
        """An operator's key, and one of the tenant `default`; None when there is an operator's key already."""
        if any(record.kind == "admin" for record in self._registry.keys.values()):
            return None
        admin, tenant = new_key("admin", self._shard), new_key("tenant", self._shard)
        made = self._event(tenant, DEFAULT, "first key", EVERY_SCOPE, None, SERVER)
        await self._append(
            TenantSet(tenant=DEFAULT, at=self._clock.now(), tier="local", by=SERVER),
            made,
            self._event(admin, OPERATOR, "first key", frozenset(), None, SERVER),
        )
        return FirstKeys(admin.text, tenant.text)

    def tenants(self) -> list[TenantAnswer]:
        return [self._tenant(record) for record in self._registry.tenants.values()]

    async def set_tenant(self, by: str, request: TenantRequest, receipt: Receipt | None = None) -> TenantAnswer:
        """Make a tenant, or change it."""
        known = self._registry.tenants.get(request.tenant)
        event = TenantSet(
            tenant=request.tenant,
            at=self._clock.now(),
            tier=request.tier or (known.tier if known else "free"),
            fail_mode=request.fail_mode or (known.fail_mode if known else "closed"),
            by=by,
        )
        answer = self._tenant(self._registry.after(event))
        if receipt is not None:
            receipt.answer = answer
        await self._learner.reached(await (receipt or self._journal).append(event))
        return answer

    def keys(self) -> list[KeyAnswer]:
        return [self._key(record) for record in self._registry.keys.values()]

    async def issue(self, by: str, request: KeyRequest) -> NewKeyAnswer:
        """Make a key; its text is in this answer and nowhere else.

        Raises:
          UnknownTenant: there is no such tenant.
          Unprocessable: an operator's key has no scopes.
        """
        kind: KeyKind = "admin" if request.tenant is None else "tenant"
        if request.tenant is not None and request.tenant not in self._registry.tenants:
            raise UnknownTenant
        if kind == "admin" and request.scopes is not None:
            raise Unprocessable("an admin key has no scopes; leave them out, or name a tenant")
        scopes = frozenset() if kind == "admin" else EVERY_SCOPE if request.scopes is None else request.scopes
        ends_at = None if request.expires_in_s is None else self._clock.now() + request.expires_in_s
        key = new_key(kind, self._shard)
        await self._append(self._event(key, request.tenant or OPERATOR, request.name, scopes, ends_at, by))
        return self._shown_once(key)

    async def rotate(self, by: str, key_id: str, request: RotateRequest) -> NewKeyAnswer:
        """Replace a key by one that may do the same; both work until the overlap is over.

        Raises:
          UnknownKey: there is no such key, or it has ended.
        """
        old, now = self._active(key_id), self._clock.now()
        ends_at = min(now + request.overlap_s, old.ends_at or float("inf"))
        key = new_key(old.kind, self._shard)
        await self._append(
            self._event(key, old.tenant, old.name, old.scopes, old.ends_at, by),
            KeyEnds(tenant=old.tenant, at=now, key_id=key_id, ends_at=ends_at, by=by),
        )
        return self._shown_once(key)

    async def revoke(self, by: str, key_id: str) -> None:
        """End a key now. Of two that are the last ones and are revoked at once, the fold keeps the later in the log.

        Raises:
          UnknownKey: there is no such key, or it has ended.
          Conflict: it is the last admin key.
        """
        old, now = self._active(key_id), self._clock.now()
        if not self._registry.is_last(key_id, now):
            await self._append(KeyEnds(tenant=old.tenant, at=now, key_id=key_id, ends_at=now, by=by))
        if self._registry.keys[key_id].active(now):
            raise Conflict("this is the last admin key; make another before you revoke it")

    def _active(self, key_id: str) -> KeyRecord:
        record = self._registry.keys.get(key_id)
        if record is None or not record.active(self._clock.now()):
            raise UnknownKey
        return record

    def _shown_once(self, key: Key) -> NewKeyAnswer:
        return NewKeyAnswer(**msgspec.structs.asdict(self._key(self._registry.keys[key.key_id])), key=key.text)

    def _event(
        self, key: Key, tenant: str, name: str, scopes: frozenset[str], ends_at: float | None, by: str
    ) -> KeyIssued:
        return KeyIssued(
            tenant=tenant,
            at=self._clock.now(),
            key_id=key.key_id,
            key_kind=key.kind,
            name=name,
            scopes=tuple(sorted(scopes)),
            digest=self._registry.digest(key),
            ends_at=ends_at,
            by=by,
        )

    async def _append(self, *events: AnyEvent) -> None:
        """Journal the act and wait until the registry has it."""
        first = await self._journal.append(*events)
        await self._learner.reached(first + len(events) - 1)

    def _tenant(self, record: TenantRecord) -> TenantAnswer:
        now = self._clock.now()
        active = sum(key.active(now) for key in self._registry.of(record.tenant))
        return TenantAnswer(**msgspec.structs.asdict(record), active_keys=active)

    def _key(self, record: KeyRecord) -> KeyAnswer:
        return KeyAnswer(
            key_id=record.key_id,
            kind=record.kind,
            tenant=record.tenant or None,
            name=record.name,
            scopes=tuple(sorted(record.scopes)),
            created_at=record.created_at,
            ends_at=record.ends_at,
            active=record.active(self._clock.now()),
        )


async def load_registry(journal: Journal, folder: Path, pepper: bytes | None = None) -> Registry:
    """Tenants and keys as the journal has them; the pepper is the folder's unless one is given.

    Raises:
      BadSetting: the pepper that the keys rest on is missing.
    """
    acts: list[Recorded] = []
    while page := await journal.read_access(acts[-1].seq if acts else 0, PAGE):
        acts += page
    registry = Registry(pepper or load_pepper(folder, needed=bool(acts)))
    for act in acts:
        registry.observe(act)
    return registry
