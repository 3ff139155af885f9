"""What is done beside appends and reads: contents that are owed an overwriting, partitions, what holds no longer."""

from typing import Any

from auditor.events import AnyEvent, Purged, Recorded
from auditor.receipts import REPEATABLE_S

from ...clock import Clock
from ...errors import JournalUnavailable
from ...failpoints import failpoint
from ..codec import encode_event
from ..newer import refuse_newer
from ..rows import UNNUMBERED, event_row
from .database import NEWEST, Database, JournalShorter

LOOK_S = 1.0  # between two looks at the database
KEEPING_S = 3600.0  # and at partitions, and at what is no longer needed


class Keeping:
    """Of one replica."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._unerased: list[tuple[Any, ...]] = []
        self._looked_at, self._kept_at = -LOOK_S, -KEEPING_S

    async def erase(self, tenant: str, seq: int, tombstone: Purged) -> None:
        """Overwrite an event's content.

        Raises:
          JournalUnavailable: not yet; it is owed, and tried again.
        """
        _, _, kind, ref, at, payload, kept = event_row(UNNUMBERED, tombstone, encode_event(tombstone))
        asked = (kind, ref.encode(), at, payload, kept, tenant, seq)
        failpoint("shared.erase")
        try:
            await self._database.rows("erase", *asked, tenant=tenant)
        except JournalUnavailable:
            self._unerased.append(asked)
            raise

    async def look(self, last_seq: int, newest: Recorded | None, *, now: bool = False) -> None:
        """Whether the database is the one whose log was read up to here: once a second, after a connection, or now.

        Raises:
          JournalNewer: a newer version has brought it to a schema that this one does not know.
          JournalShorter: its log ends earlier, or did and has another event in the place of the newest by now.
        """
        if now or self._database.anew or self._clock.monotonic() - self._looked_at > LOOK_S:
            self._database.anew = False
            [[version, ends, *found]] = await self._database.rows("standing", last_seq)
            refuse_newer(version, NEWEST)
            if ends < last_seq or (newest is not None and _another(newest.event, found)):
                raise JournalShorter
            self._looked_at = self._clock.monotonic()

    async def due(self, *, leads: bool) -> None:
        """Overwrite what is owed; who leads begins the month's partition and forgets what holds no longer, hourly."""
        while self._unerased:
            await self._database.rows("erase", *self._unerased[0], tenant=self._unerased[0][5])
            del self._unerased[0]
        if leads and self._clock.monotonic() - self._kept_at > KEEPING_S:
            await self._database.rows("begin_month")
            await self._database.rows("forget_writers", self._clock.now() - REPEATABLE_S)
            self._kept_at = self._clock.monotonic()


def _another(event: AnyEvent, found: list[Any]) -> bool:
    """Whether what tells events apart is not this one's; nothing tells it of one that was purged, here or there."""
    if isinstance(event, Purged):
        return False
    return found not in ([event.tenant, event.ref.encode(), event.at], [None] * 3)
