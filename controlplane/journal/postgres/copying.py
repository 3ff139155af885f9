"""Copying another journal's events under their numbers: each page only where the log ends as it must."""

import asyncio
from collections.abc import Sequence

from auditor.events import Recorded
from auditor.receipts import REPEATABLE_S

from ...errors import JournalUnavailable, PointsmanError
from ...failpoints import failpoint
from ...ids import new_id
from ..codec import encode_event
from .database import Connection, Lost
from .groups import Append, arrays


class Copying:
    """Of one connection. What is asked for twice is refused the second time, so a lost answer ends the copy."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._name, self._number = connection, new_id("wr"), 0

    async def append(self, page: Sequence[Recorded]) -> None:
        """Write events that follow one another; the log has to end before the first.

        Raises:
          JournalUnavailable: the answer is lost; they may be there.
          PointsmanError: the log ends elsewhere, and nothing was written.
        """
        self._number += 1
        events = tuple(recorded.event for recorded in page)
        future = asyncio.get_running_loop().create_future()
        columns = arrays([Append(future, events, tuple(map(encode_event, events)), leading=False)])
        told = (self._name, self._number, None, REPEATABLE_S, *columns, page[0].seq - 1)
        try:
            written = await self._connection.value("append_at", *told)
        except Lost as error:
            raise JournalUnavailable("The database does not answer; run `pointsman migrate` again.") from error
        failpoint("shared.copied")
        if written is None:
            raise PointsmanError("another Pointsman writes to the database; stop it and begin with an empty one")

    async def close(self) -> None:
        await self._connection.close()
