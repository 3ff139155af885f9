"""What the control plane asks of a journal."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar
from typing import Literal, Protocol

from auditor.answers import Learned
from auditor.events import AnyEvent, Recorded

PASSAGE_ACTS = ("documents_dropped", "origin_registered")
HYGIENE_ACTS = ("quarantined", "quarantine_lifted", "episode_returned")
MEMORY_KINDS = (
    "capture",
    "signature",
    "episode_deleted",
    "reflection",
    "reflection_evicted",
    "skill_described",
    "document",
    *PASSAGE_ACTS,
    *HYGIENE_ACTS,
    "episodes_archived",
)
ACCESS_KINDS = ("tenant_set", "key_issued", "key_ends", "webhook_set", "webhook_removed")
CHECKPOINT_KINDS = ("checkpoint", "restored", "checkpoints_pruned")
POLICY_KINDS = ("policy_set", "appeal_ruled", "challenger_set", "challenger_ended", "promoted", "rolled_back")
FEDERATION_KINDS = ("federated", "origin_forgotten")
MONEY_ACTS = ("budget_set", "reconciled")
ACT_KINDS = (
    *ACCESS_KINDS,
    "episode_deleted",
    "reflection_evicted",
    "skill_retired",
    *CHECKPOINT_KINDS,
    *POLICY_KINDS,
    *FEDERATION_KINDS,
    *MONEY_ACTS,
    *PASSAGE_ACTS,
    *HYGIENE_ACTS,
    "ranker",
)
JOB_KINDS = ("job", "job_leased", "job_failed", "job_ended")
STAYING_KINDS = tuple({*MEMORY_KINDS, *ACT_KINDS, "appeal", *JOB_KINDS})  # what an archive leaves in the log
ALL = "*"  # no tenant's name
Turn = Literal["start", "act"]  # what one of many replicas does at a time
MOST = 4096  # events one append may hold, so that a group stays under SQLite's limit of bound values


_acting: ContextVar[bool] = ContextVar("acting for all", default=False)


@contextlib.contextmanager
def acting_for_all() -> Iterator[None]:
    """What is appended in here only one of many replicas may write: the one that leads when it is written."""
    token = _acting.set(True)
    try:
        yield
    finally:
        _acting.reset(token)


def acts_for_all() -> bool:
    return _acting.get()


def check_size(events: Sequence[AnyEvent]) -> None:
    """Raises ValueError for an append of nothing, or of too much."""
    if not 0 < len(events) <= MOST:
        raise ValueError(f"an append holds 1 to {MOST} events, not {len(events)}")


class Journal(Protocol):
    """An append-only event log with a server sequence number. Reading never blocks writing.

    Whatever reads events raises JournalDamaged for one that is not what was written, JournalNewer for one that only a
    newer version can read, and JournalUnavailable when the storage does not give it; what reads records raises
    RecordDamaged.
    """

    shared: bool  # whether other processes append to it, too
    last_seq: int  # of the newest committed event; where it is shared, of those that this process has read

    @property
    def trouble(self) -> str | None:
        """The code of what stands in the way of writing, or where it is shared of reading; None where nothing does."""
        ...

    @property
    def leads(self) -> bool:
        """Whether this process acts for all: closes what is over, does what is owed, follows evidence."""
        ...

    @property
    def lag_s(self) -> float:
        """How long ago this process knew that it had read everything [s]."""
        ...

    def in_turn(self, what: Turn) -> contextlib.AbstractAsyncContextManager[None]:
        """Where processes share it: those that do the same at once do it one after another, on what is committed then.

        Raises:
          JournalUnavailable: the turn does not come.
        """
        ...

    async def append(self, *events: AnyEvent) -> int:
        """Commit the events together, durably; the sequence number of the first.

        Raises:
          StorageFull, JournalUnavailable, Overloaded: nothing was written.
          LeaseLost: this was done `acting_for_all`, and another replica does that by now; nothing was written.
          InFlight: another replica took a request with the same key; nothing was written.
        """
        ...

    def record(self, tenant: str, learned: Sequence[Learned]) -> None:
        """Keep how decisions ended. Visible at once, written later: a record is derived from the events."""
        ...

    async def flush(self) -> None:
        """Write the records that are only visible so far; in trouble, find out whether a write goes through again.

        Raises:
          StorageFull, JournalUnavailable: it does not.
        """
        ...

    async def erase(self, tenant: str, seq: int) -> None:
        """Overwrite an event's content; its number stays.

        Raises:
          StorageFull, JournalUnavailable: not yet; it is tried again with the next write.
        """
        ...

    async def committed(self, after: int) -> Sequence[Recorded]:
        """The next committed events past `after`, in order; waits until there is one."""
        ...

    async def read(self, after: int, limit: int) -> list[Recorded]:
        """Up to `limit` committed events past `after`, in order; of what was archived those that stayed."""
        ...

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        """The same, of the kinds that memory is made of."""
        ...

    async def read_access(self, after: int, limit: int) -> list[Recorded]:
        """The same, of the acts about tenants, keys and webhooks."""
        ...

    async def read_jobs(self, after: int, limit: int) -> list[Recorded]:
        """The same, of what is or was owed."""
        ...

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        """The last `limit` acts of operators before a place in the log, in order; of `ALL` tenants or of one."""
        ...

    async def about(self, tenant: str, ref: str, kind: str) -> list[Recorded]:
        """All events of a kind about one thing, in order."""
        ...

    async def checkpoints(self, tenant: str) -> list[Recorded]:
        """The tenant's checkpoints, restores and prunings, in order."""
        ...

    async def learned(self, tenant: str, trace_id: str) -> Learned | None:
        """How a decision ended, once it has."""
        ...

    def all_learned(self, until: int) -> AsyncIterator[tuple[str, Learned]]:
        """(tenant, record) of every decision that ended by `until`, ordered by tenant and trace."""
        ...

    async def close(self) -> None:
        """Commit what is waiting and let go of the storage."""
        ...
