"""The keys that the benchmarks call with: servers are measured as they are run, each request's key looked at."""

import asyncio
from pathlib import Path

from auditor.events import KeyIssued, TenantSet
from controlplane.data_folder import JOURNAL_FILE
from controlplane.journal import SqliteJournal, connect
from controlplane.tenants import DEFAULT, EVERY_SCOPE, OPERATOR, Key, Registry, load_pepper, new_key

TENANT, ADMIN = new_key("tenant"), new_key("admin")
NEIGHBOURS = tuple(new_key("tenant") for _ in range(9))  # each of a tenant of its own
HEADERS = {"X-API-Key": TENANT.text, "X-Admin-API-Key": ADMIN.text}


def admit(folder: Path) -> None:
    """Make the keys known in a data folder that no server uses yet."""
    registry = Registry(load_pepper(folder, needed=False))

    def issued(key: Key, tenant: str, scopes: frozenset[str]) -> KeyIssued:
        return KeyIssued(
            tenant=tenant,
            at=0.0,
            key_id=key.key_id,
            key_kind=key.kind,
            name="benchmark",
            scopes=tuple(sorted(scopes)),
            digest=registry.digest(key),
            ends_at=None,
            by="",
        )

    async def write() -> None:
        journal = await SqliteJournal.open(connect(folder / JOURNAL_FILE))
        await journal.append(
            TenantSet(tenant=DEFAULT, at=0.0, tier="local", by=""),
            issued(TENANT, DEFAULT, EVERY_SCOPE),
            issued(ADMIN, OPERATOR, frozenset()),
        )
        for number, key in enumerate(NEIGHBOURS, 1):
            tenant = f"neighbour-{number}"
            await journal.append(
                TenantSet(tenant=tenant, at=0.0, tier="local", by=""), issued(key, tenant, EVERY_SCOPE)
            )
        await journal.close()

    asyncio.run(write())
