"""Folding the journal again: for a restore whose file is gone, and to prove that the live fold is right."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Protocol

import msgspec
import structlog

from auditor import State, UnreadableFold
from auditor.answers import Learned
from auditor.at_rest import FORMAT, decode_tenant
from auditor.events import Recorded, rests_on

from .checkpoints import CheckpointFiles, RecoveryFiles
from .errors import JournalDamaged, PointsmanError
from .journal import Journal
from .journal.port import ALL
from .origin import Origin, Place

log = structlog.get_logger()
PAGE = 2000
BEGINNING = Origin()
Progress = Callable[[int], None]


class Log(Protocol):
    """What is folded: a journal, or one together with its archives."""

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """Up to `limit` events past `after`, in order."""
        ...

    async def acts(self, tenant: str, before: int, limit: int) -> Sequence[Recorded]:
        """The last `limit` acts of operators before a place, in order; of `ALL` tenants or of one."""
        ...


async def events(journal: Log, until: int, after: int = 0) -> AsyncIterator[Recorded]:
    """The journal's events past `after`, up to `until`."""
    while after < until:
        page = await journal.read(after, PAGE)
        if not page:
            return
        for recorded in page:
            if recorded.seq > until:
                return
            yield recorded
        after = page[-1].seq


class Refolded(msgspec.Struct):
    """A state folded from the journal alone, with the records of what it learnt and the earlier states asked for."""

    state: State
    learned: dict[tuple[str, str], Learned]
    prefixes: dict[Place, bytes]


async def refold(
    journal: Log,
    until: int,
    progress: Progress = lambda seq: None,
    origin: Origin = BEGINNING,
    places: Collection[Place] = (),
) -> Refolded:
    """Fold everything up to `until`. Restores go back to prefixes kept on the way, and behind the origin to its files.

    `places` are kept on the way too.

    Raises:
      JournalDamaged: an event is not what was written, or missing; or a restore is not found among operators' acts.
    """
    acts = [recorded.event for recorded in await journal.acts(ALL, until + 1, until) if recorded.seq > origin.seq]
    wanted = {*places, *((event.tenant, place) for event in acts if (place := rests_on(event)) is not None)}
    refolded = Refolded(origin.state(), {}, {place: origin.prefix(place) for place in wanted if place[1] <= origin.seq})
    state = refolded.state
    async for recorded in events(journal, until, origin.seq):
        event, prefix = recorded.event, None
        place = rests_on(event)
        if place is not None and (prefix := refolded.prefixes.get((event.tenant, place))) is None:
            raise JournalDamaged(f"an index does not lead to the {event.kind} at {recorded.seq}")
        applied = state.apply(recorded, prefix)
        for record in applied.learned:
            refolded.learned[event.tenant, record.trace_id] = record
        for tenant, seq in wanted:
            if seq == recorded.seq:
                refolded.prefixes[tenant, seq] = state.dump_tenant(tenant)
        progress(recorded.seq)
    return refolded


class Prefixes:
    """Earlier states for restores: from the checkpoint's file if it verifies and is of today's format, else folded."""

    def __init__(self, journal: Journal, files: CheckpointFiles, origin: Origin = BEGINNING) -> None:
        self._journal, self._files, self._origin = journal, files, origin

    @property
    def archived(self) -> set[str]:
        """The checkpoints whose files are all that is left of what they hold."""
        return set(self._origin.prefixes.values())

    async def prefix(self, tenant: str, seq: int) -> bytes:
        """Raises JournalDamaged for one that was archived, and whose file is damaged."""
        if seq <= self._origin.seq:
            return self._origin.prefix((tenant, seq))
        for recorded in reversed(await self._journal.checkpoints(tenant)):
            event = recorded.event
            if event.kind == "checkpoint" and getattr(event, "seq", None) == seq:
                try:
                    if decode_tenant(payload := await self._files.find(event.ref)).format == FORMAT:
                        return payload
                except UnreadableFold as error:
                    log.error("checkpoint_damaged", checkpoint=event.ref, error=str(error), instead="folding again")
        refolded = await refold(self._journal, seq, origin=self._origin)
        return refolded.state.dump_tenant(tenant)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found."""

    seq: int
    events: int
    identical: bool
    differences: list[str]
    recovery_file: str | None


async def verify(journal: Journal, recovery: RecoveryFiles, origin: Origin, progress: Progress) -> Verdict:
    """Fold the whole journal again and compare, byte for byte, with what the server wrote down."""
    live = recovery.newest(journal.last_seq)
    if live is None or live.seq < origin.seq:
        raise PointsmanError("there is no recovery file to compare with; start the server once and stop it")
    refolded = await refold(journal, live.seq, progress, origin)
    differences = []
    if refolded.state.dump() != live.dump():
        differences += _tenants_that_differ(refolded.state, live)
    differences += await _records_that_differ(refolded.learned, journal.all_learned(journal.last_seq), live.seq)
    return Verdict(
        seq=live.seq,
        events=live.seq - origin.seq,
        identical=not differences,
        differences=differences,
        recovery_file=recovery.files()[0].name if recovery.files() else None,
    )


async def _records_that_differ(
    ours: dict[tuple[str, str], Learned], theirs: AsyncIterator[tuple[str, Learned]], until: int
) -> list[str]:
    """Records up to `until` that differ, are missing, or should not be there; a later one replaced an earlier.

    `ours` is used up, so that no more than one of the two is held.
    """
    different = []
    async for tenant, record in theirs:
        if ours.pop((tenant, record.trace_id), None) != record and record.seq <= until:
            different.append((tenant, record.trace_id))
    return [f"the record of {trace_id} differs" for _, trace_id in sorted([*different, *ours])]


def _tenants_that_differ(ours: State, live: State) -> list[str]:
    names = sorted(ours.tenants.keys() | live.tenants.keys())
    return [
        f"the learnt state of tenant {name!r} differs"
        for name in names
        if ours.dump_tenant(name) != live.dump_tenant(name)
    ] or ["the rules in force differ"]
