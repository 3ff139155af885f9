"""The log as it was before anything was archived: what stayed in it and what was moved out of it, by number."""

import sqlite3
from collections.abc import Sequence

from auditor.events import Recorded

from .port import Journal
from .queries import QUERIES
from .rows import recorded_of, refuse_gap


class Whole:
    """A journal together with its archives, for who folds everything again; reading blocks."""

    def __init__(self, journal: Journal, archives: Sequence[sqlite3.Connection]) -> None:
        self._journal, self._archives = journal, archives

    async def read(self, after: int, limit: int) -> list[Recorded]:
        """Up to `limit` events past `after`, in order.

        Raises:
          JournalDamaged: one is not what was written, or missing.
        """
        found = await self._journal.read(after, limit)
        for archive in self._archives:
            found += map(recorded_of, archive.execute(QUERIES["read_after"], (after, limit)))
        found = sorted(found, key=lambda recorded: recorded.seq)[:limit]
        refuse_gap(found, after)
        return found

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        """The journal's: acts of operators are not archived."""
        return await self._journal.acts(tenant, before, limit)
