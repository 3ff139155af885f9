"""Folding the journal again: for a restore whose file is gone, and to prove that the live fold is right."""

from collections.abc import AsyncIterator, Callable

import msgspec
import structlog

from auditor import Rules, State, UnreadableFold
from auditor.answers import Learned
from auditor.events import Recorded, Restored

from .checkpoints import CheckpointFiles, RecoveryFiles
from .errors import PointsmanError
from .journal import Journal

log = structlog.get_logger()
PAGE = 2000
EMPTY = Rules(points={})
Progress = Callable[[int], None]


async def events(journal: Journal, until: int) -> AsyncIterator[Recorded]:
    """The journal from its first event to `until`."""
    after = 0
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
    """A state folded from the journal alone, with the records of what it learnt."""

    state: State
    learned: dict[tuple[str, str], Learned]


async def refold(journal: Journal, until: int, progress: Progress = lambda seq: None) -> Refolded:
    """Fold everything up to `until`. Restores go back to prefixes kept on the way, never to a file."""
    wanted = {(r.event.tenant, r.event.seq) async for r in events(journal, until) if isinstance(r.event, Restored)}
    prefixes: dict[tuple[str, int], bytes] = {}
    refolded = Refolded(State(EMPTY), {})
    state = refolded.state
    for tenant, seq in wanted:
        if seq == 0:
            prefixes[tenant, 0] = state.dump_tenant(tenant)
    async for recorded in events(journal, until):
        event, prefix = recorded.event, None
        if isinstance(event, Restored):
            prefix = prefixes.get((event.tenant, event.seq))
        applied = state.apply(recorded, prefix)
        for record in applied.learned:
            refolded.learned[event.tenant, record.trace_id] = record
        for tenant, seq in wanted:
            if seq == recorded.seq:
                prefixes[tenant, seq] = state.dump_tenant(tenant)
        progress(recorded.seq)
    return refolded


class Prefixes:
    """Earlier states for restores: from the checkpoint's file when it verifies, else folded again."""

    def __init__(self, journal: Journal, files: CheckpointFiles) -> None:
        self._journal, self._files = journal, files

    async def prefix(self, tenant: str, seq: int) -> bytes:
        for recorded in reversed(await self._journal.checkpoints(tenant)):
            event = recorded.event
            if event.kind == "checkpoint" and getattr(event, "seq", None) == seq:
                try:
                    return self._files.read(event.ref)
                except UnreadableFold as error:
                    log.error("checkpoint_damaged", checkpoint=event.ref, error=str(error), instead="folding again")
        refolded = await refold(self._journal, seq)
        return refolded.state.dump_tenant(tenant)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found."""

    seq: int
    events: int
    identical: bool
    differences: list[str]
    recovery_file: str | None


async def verify(journal: Journal, recovery: RecoveryFiles, progress: Progress = lambda seq: None) -> Verdict:
    """Fold the whole journal again and compare, byte for byte, with what the server wrote down."""
    live = recovery.newest(journal.last_seq)
    if live is None:
        raise PointsmanError("there is no recovery file to compare with; start the server once and stop it")
    refolded = await refold(journal, live.seq, progress)
    differences = []
    if refolded.state.dump() != live.dump():
        differences += _tenants_that_differ(refolded.state, live)
    differences += _records_that_differ(refolded.learned, await journal.all_learned(journal.last_seq), live.seq)
    return Verdict(
        seq=live.seq,
        events=live.seq,
        identical=not differences,
        differences=differences,
        recovery_file=recovery.files()[0].name if recovery.files() else None,
    )


def _records_that_differ(
    ours: dict[tuple[str, str], Learned], kept: list[tuple[str, Learned]], until: int
) -> list[str]:
    """Records up to `until` that differ, are missing, or should not be there; a later one replaced an earlier."""
    theirs = {(tenant, record.trace_id): record for tenant, record in kept}
    return [
        f"the record of {key[1]} differs"
        for key in sorted(ours.keys() | theirs.keys())
        if (key not in theirs or theirs[key].seq <= until) and ours.get(key) != theirs.get(key)
    ]


def _tenants_that_differ(ours: State, live: State) -> list[str]:
    names = sorted(ours.tenants.keys() | live.tenants.keys())
    return [
        f"the learnt state of tenant {name!r} differs"
        for name in names
        if ours.dump_tenant(name) != live.dump_tenant(name)
    ] or ["the rules in force differ"]
