"""What replicas leave for each other beside the log: learnt state, files of checkpoints, what they must agree on."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from ...errors import PointsmanError
from .database import HALF, MIGRATING, Database
from .lease import Lease

RECORDED = "recorded"


class Shelf:
    """Of one database; learnt state is left by who holds the lease alone."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    async def publish(self, seq: int, sealed: bytes) -> bool:
        """Leave the learnt state after an event for others; whether this replica still leads."""
        return bool(await self._database.rows("publish", seq, self._lease.token, sealed))

    async def published_seq(self) -> int | None:
        """After which event the newest published state is."""
        [[seq]] = await self._database.rows("published_seq")
        return None if seq is None else int(seq)

    async def recorded_seq(self) -> int:
        """Up to which event it is written down how decisions ended."""
        return int(await self.get_file(RECORDED) or 0)

    async def newest_snapshot(self, after: int) -> tuple[int, bytes] | None:
        """The newest published state that is later than an event."""
        found = await self._database.rows("newest_snapshot", after)
        return (found[0][0], found[0][1]) if found else None

    async def agreed(self, name: str, given: bytes) -> bytes:
        """What all replicas have under this name; the first one's holds."""
        await self._database.rows("agree", name, given)
        return await self.get_file(name) or b""

    async def first_since(self, moment: float) -> int | None:
        """The first event after a moment."""
        [[seq]] = await self._database.rows("first_since", moment)
        return None if seq is None else int(seq)

    async def archive(
        self, seq: int, base: bytes, staying: Sequence[str], still_open: Sequence[tuple[str, str]]
    ) -> int:
        """Take everything up to an event out of the log, but some kinds and what open decisions rest on."""
        owners = [tenant for tenant, _ in still_open], [ref.encode() for _, ref in still_open]
        return int(await self._database.long("archive", seq, base, list(staying), *owners))

    @contextlib.asynccontextmanager
    async def migrating(self) -> AsyncIterator[None]:
        """Nobody serves what is here until this ends without an error."""
        await self.put_file(MIGRATING, b"")
        yield
        await self.drop_file(MIGRATING)

    async def refuse_half(self) -> None:
        """Raises PointsmanError where only a part of an embedded journal was copied here yet."""
        if await self.get_file(MIGRATING) is not None:
            raise PointsmanError(HALF)

    async def put_file(self, name: str, sealed: bytes) -> None:
        """Leave a file for every replica."""
        await self._database.rows("put_file", name, sealed)

    async def get_file(self, name: str) -> bytes | None:
        """What a replica left under this name."""
        found = await self._database.rows("get_file", name)
        return found[0][0] if found else None

    async def drop_file(self, name: str) -> None:
        """Nobody needs it any more."""
        await self._database.rows("drop_file", name)
