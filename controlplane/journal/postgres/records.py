"""How decisions ended, until it is in the database. Every replica learns that by folding; who leads writes it down."""

from collections.abc import Sequence
from itertools import islice

from auditor.answers import Learned

from ..rows import record_row
from .database import Connection
from .groups import GROUP
from .shelf import RECORDED

MOST = 20_000  # that wait at who does not lead; beyond, it writes them itself, for they are the same everywhere


class Records:
    """Of one replica, in the order of the log."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Learned] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, tenant: str, learned: Sequence[Learned]) -> None:
        """A later one of the same decision takes the place of the earlier."""
        for record in learned:
            self._waiting.pop((tenant, record.trace_id), None)
            self._waiting[tenant, record.trace_id] = record

    def find(self, tenant: str, trace_id: str) -> Learned | None:
        return self._waiting.get((tenant, trace_id))

    def forget(self, seq: int) -> None:
        """Those up to here are in the database."""
        self._waiting = {key: record for key, record in self._waiting.items() if record.seq > seq}

    async def write(self, writer: Connection, most: int | None) -> None:
        """Write the oldest of them, or all, and say so to other replicas; where there are none, see that one could.

        Raises as `Connection.value` does; what was not written waits on.
        """
        batch = list(islice(self._waiting.items(), most))
        for start in range(0, len(batch), GROUP):
            rows = [record_row(tenant, record) for (tenant, _), record in batch[start : start + GROUP]]
            tenants, traces, *rest = map(list, zip(*rows, strict=True))
            await writer.value("record_learned", tenants, [name.encode() for name in traces], *rest)
        if not batch:
            await writer.value("touch")
            return
        await writer.value("put_file", RECORDED, b"%d" % (batch[-1][1].seq - 1))  # the last event's may not be all
        for key, written in batch:
            if self._waiting.get(key) is written:
                del self._waiting[key]
