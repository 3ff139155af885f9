"""What is read of the log by kind, by tenant or by name: the same at every replica."""

from collections.abc import Sequence

from auditor.events import Recorded

from ..port import ACCESS_KINDS, ACT_KINDS, ALL, CHECKPOINT_KINDS, JOB_KINDS, MEMORY_KINDS
from ..rows import in_order
from .database import Database
from .rows import recorded


class Reads:
    """Of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        return await self._of_kinds(MEMORY_KINDS, after, limit)

    async def read_access(self, after: int, limit: int) -> list[Recorded]:
        return await self._of_kinds(ACCESS_KINDS, after, limit)

    async def read_jobs(self, after: int, limit: int) -> list[Recorded]:
        return await self._of_kinds(JOB_KINDS, after, limit)

    async def _of_kinds(self, kinds: Sequence[str], after: int, limit: int) -> list[Recorded]:
        rows = await self.database.rows("read_kinds", after, limit, list(kinds))
        return in_order([recorded(row) for row in rows], lambda event: event.kind in kinds)

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        rows = await self.database.rows("acts", before, tenant, limit, list(ACT_KINDS), tenant=tenant)
        return in_order([recorded(row) for row in rows], lambda e: e.kind in ACT_KINDS and tenant in (e.tenant, ALL))

    async def about(self, tenant: str, ref: str, kind: str) -> list[Recorded]:
        rows = await self.database.rows("about", tenant, ref.encode(), kind, tenant=tenant)
        return in_order(
            [recorded(row) for row in rows], lambda event: (event.tenant, event.ref, event.kind) == (tenant, ref, kind)
        )

    async def checkpoints(self, tenant: str) -> list[Recorded]:
        rows = await self.database.rows("of_tenant", tenant, list(CHECKPOINT_KINDS), tenant=tenant)
        return in_order(
            [recorded(row) for row in rows], lambda event: event.tenant == tenant and event.kind in CHECKPOINT_KINDS
        )
