"""Acts that rest on how things stand: one after another, of all replicas together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from auditor import Learner

from .journal import Journal


class Turns:
    """Of one kind of acts here; of all kinds where replicas share the journal."""

    def __init__(self, learner: Learner, journal: Journal) -> None:
        self._learner, self._journal, self._here = learner, journal, asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Whatever was done before is folded by now, and nobody does anything else meanwhile.

        Raises:
          JournalUnavailable: the turn does not come.
        """
        async with self._here, self._journal.in_turn("act"):
            await self._learner.passed(self._journal.last_seq)
            yield
