"""The lease: of many replicas one does what only one may do, and the database refuses who does not hold it any more.

Each holder's token is one larger than the last's. What only the holder may write goes out with its token, and the
database compares: a holder that was paused and returns finds itself fenced off (Kleppmann 2016, "How to do distributed
locking"). Time is the database's; here it only tells when to stop trying.
"""

import asyncio

import structlog

from ...clock import Clock
from ...errors import PointsmanError
from .database import Connection, Lost

log = structlog.get_logger()
LEASE_S = 3.0  # a holder that says nothing for so long has lost it; a takeover takes at most twice that
RENEW_S = LEASE_S / 3
RELEASE_S = 1.0  # how long whoever stops waits to give it up


class Lease:
    """Takes the lease when it is free, and holds it as long as it can."""

    def __init__(self, connection: Connection, holder: str, clock: Clock) -> None:
        self.token: int | None = None
        self.term = 0  # grows whenever it becomes this replica's, also where it had lapsed here and was renewed
        self.holder = holder
        self._connection, self._clock = connection, clock
        self._until = 0.0  # by this process's clock
        self._unasked = False  # the last time

    @property
    def held(self) -> bool:
        """Whether this replica may act for all; the database has the last word."""
        return self.token is not None and self._clock.monotonic() < self._until

    async def tick(self) -> None:
        """Renew it, or take it where it is free; a database that cannot be asked leaves it to time."""
        asked_at = self._clock.monotonic()
        try:
            if self.token is not None:
                kept = await self._connection.value("renew", self.token, LEASE_S)
            else:
                kept = await self._connection.value("acquire", self.holder, LEASE_S)
        except (Lost, PointsmanError) as error:
            if not self._unasked:
                log.warning("lease_not_renewed", error=str(error), holds=self.held)
            self._unasked = True
            return
        self._unasked = False
        before, self.token = self.token, kept
        if kept is None:
            if before is not None:
                log.warning("lease_lost", token=before)
            return
        lapsed, self._until = self._clock.monotonic() >= self._until, asked_at + LEASE_S
        self.term += before is None or lapsed
        if before is None:
            log.info("lease_taken", token=kept)

    async def release(self) -> None:
        """Let another take it at once."""
        token, self.token = self.token, None
        try:
            if token is not None:
                async with asyncio.timeout(RELEASE_S):
                    await self._connection.value("release", token)
        except (Lost, PointsmanError, TimeoutError) as error:
            log.warning("lease_not_released", error=str(error) or "no answer", until=f"it ends in {LEASE_S:g} s")
        await self._connection.close()
