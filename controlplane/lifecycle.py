"""Checkpoints of a tenant's learnt state: create, list, compare, restore, prune. Whatever changes them is an event."""

import asyncio
from collections.abc import Sequence

from auditor import Learner
from auditor.at_rest import TenantDump, decode_tenant, policies
from auditor.events import (
    AnyEvent,
    Checkpointed,
    CheckpointsPruned,
    Decided,
    EpisodeDeleted,
    Recorded,
    Reported,
    Restored,
    SkillRetired,
    TrajectoryClosed,
    Validated,
    WindowClosed,
)
from auditor.federation_events import Federated, OriginForgotten
from strategist import PolicySnapshot, SpecMismatch
from strategist.differences import changes

from .checkpoints import HEADER, CheckpointFiles
from .clock import Clock
from .contract import (
    CheckpointAnswer,
    CheckpointRequest,
    DiffAnswer,
    OtherwiseAnswer,
    PruneAnswer,
    PruneRequest,
    RestoreAnswer,
)
from .errors import NO_SPACE, SpecChanged, StorageFull, Unavailable, UnknownCheckpoint
from .failpoints import failpoint
from .idempotency import Receipt
from .journal import Journal
from .lineage import named, present, stretches
from .refold import PAGE, Prefixes
from .tenants import Caller

TEACHING = (
    *(Decided, Reported, Validated, WindowClosed, TrajectoryClosed, EpisodeDeleted, SkillRetired),
    *(Federated, OriginForgotten),
)
NOW = "now"  # no checkpoint's id
SHOWN = 1000  # states of a comparison


class Lifecycle:
    """What an operator does to what was learnt."""

    def __init__(
        self, learner: Learner, journal: Journal, files: CheckpointFiles, prefixes: Prefixes, clock: Clock
    ) -> None:
        self._learner, self._journal, self._files = learner, journal, files
        self._prefixes, self._clock = prefixes, clock

    async def create(
        self, caller: Caller, request: CheckpointRequest, receipt: Receipt | None = None
    ) -> CheckpointAnswer:
        """Keep the learnt state of this moment under a name: everything that was answered before is in it."""
        tenant = caller.tenant
        await self._learner.passed(self._journal.last_seq)
        seq = self._learner.version
        payload = self._learner.state.dump_tenant(tenant)
        event = Checkpointed(
            tenant=tenant,
            at=self._clock.now(),
            checkpoint_id=await self._write(payload),
            name=request.name,
            seq=seq,
            size_bytes=len(payload),
            by=caller.key_id,
        )
        answer = _answer(event)
        failpoint("checkpoint.filed")
        if receipt is not None:
            receipt.answer = answer
        appended = await (receipt or self._journal).append(event)
        failpoint("checkpoint.appended")
        await self._learner.reached(appended)
        return answer

    async def _write(self, payload: bytes) -> str:
        try:
            return await self._files.keep(payload)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise StorageFull from error
            raise Unavailable(
                f"The checkpoint's file could not be written ({error.strerror}); nothing was changed."
            ) from error

    async def listed(self, tenant: str) -> list[CheckpointAnswer]:
        """Newest first; one entry per content."""
        return [_answer(event) for event in reversed(present(await self._marks(tenant)).values())]

    async def _marks(self, tenant: str) -> list[AnyEvent]:
        return [recorded.event for recorded in await self._journal.checkpoints(tenant)]

    async def _found(self, tenant: str, checkpoint_id: str) -> Checkpointed:
        there = present(await self._marks(tenant))
        if checkpoint_id not in there:
            raise UnknownCheckpoint
        return there[checkpoint_id]

    async def prune(self, caller: Caller, request: PruneRequest, receipt: Receipt | None = None) -> PruneAnswer:
        """Let go of all checkpoints but the newest, those that a restore names and those that an archive rests on.

        What an earlier pruning that died left of its files goes, too.

        Raises:
          Unavailable: a file could not be deleted.
        """
        tenant = caller.tenant
        there = present(marks := await self._marks(tenant))
        kept = {*list(there)[-request.keep :], *named(marks), *self._prefixes.archived}
        gone = tuple(checkpoint_id for checkpoint_id in there if checkpoint_id not in kept)
        event = CheckpointsPruned(
            tenant=tenant,
            at=self._clock.now(),
            checkpoint_ids=gone,
            freed_bytes=sum(there[checkpoint_id].size_bytes + HEADER.size for checkpoint_id in gone),
            by=caller.key_id,
        )
        seq = await (receipt or self._journal).append(event)
        failpoint("prune.appended")
        await self._learner.reached(seq)
        recorded = await self._journal.checkpoints(tenant)
        # Under a key that comes again it is the one of back then.
        [done] = [mark.event for mark in recorded if mark.seq == seq and isinstance(mark.event, CheckpointsPruned)]
        await self._delete([mark.event for mark in recorded])
        return PruneAnswer(pruned=done.checkpoint_ids, freed_bytes=done.freed_bytes)

    async def _delete(self, marks: Sequence[AnyEvent]) -> None:
        """Every file whose checkpoint was pruned and is not there again."""
        pruned = {name for event in marks if isinstance(event, CheckpointsPruned) for name in event.checkpoint_ids}
        try:
            for checkpoint_id in sorted(pruned - present(marks).keys() - self._prefixes.archived):
                await self._files.drop(checkpoint_id)
        except OSError as error:
            raise Unavailable(
                f"The checkpoints are pruned, and a file could not be deleted ({error.strerror}); prune again."
            ) from error

    async def diff(self, tenant: str, before: str, after: str) -> DiffAnswer:
        """The states in which the learnt state `after` prefers another action than `before`; either may be `now`.

        Raises:
          UnknownCheckpoint: this tenant has no such checkpoint.
          SpecChanged: one was learnt under another feature spec.
        """
        earlier, later = [await self._policies(tenant, which) for which in (before, after)]
        try:
            found = await asyncio.to_thread(_changed, earlier, later)
        except SpecMismatch as error:
            raise SpecChanged(str(error)) from error
        return DiffAnswer(before=before, after=after, changed=len(found), states=found[:SHOWN])

    async def _policies(self, tenant: str, which: str) -> dict[str, PolicySnapshot]:
        """By point, as a checkpoint has them or as they are."""
        if which == NOW:
            await self._learner.passed(self._journal.last_seq)
            return policies(self._learner.state.of(tenant))
        checkpoint = await self._found(tenant, which)
        return decode_tenant(await self._prefixes.prefix(tenant, checkpoint.seq)).policies

    async def restore(self, caller: Caller, checkpoint_id: str, receipt: Receipt | None = None) -> RestoreAnswer:
        """Go back to a checkpoint. What came since stays in the journal and is no longer learnt.

        Raises:
          UnknownCheckpoint: this tenant has no such checkpoint.
          SpecChanged: it was learnt under another feature spec.
        """
        tenant = caller.tenant
        checkpoint = await self._found(tenant, checkpoint_id)
        self._refuse_other_spec(decode_tenant(await self._prefixes.prefix(tenant, checkpoint.seq)))
        at, by = self._clock.now(), caller.key_id
        event = Restored(tenant=tenant, at=at, checkpoint_id=checkpoint_id, seq=checkpoint.seq, by=by)
        seq = await (receipt or self._journal).append(event)
        failpoint("restore.appended")
        await self._learner.reached(seq)
        marks = await self._journal.checkpoints(tenant)
        # Under a key that comes again it is the one of back then: the same content may have been kept anew since.
        [to] = [mark.event.seq for mark in marks if mark.seq == seq and isinstance(mark.event, Restored)]
        return RestoreAnswer(
            checkpoint_id=checkpoint_id,
            restored_to=to,
            policy_version=self._learner.version,
            unlearnt_events=await self._learnt_since(tenant, marks, to, seq - 1),
        )

    async def _learnt_since(self, tenant: str, marks: Sequence[Recorded], seq: int, until: int) -> int:
        """How many events past `seq` the state of `until` had learnt from; an earlier restore set others aside."""
        folded = stretches(marks, until)
        return sum([await self._taught(tenant, max(seq, after), until) for after, until in folded])

    async def _taught(self, tenant: str, after: int, until: int) -> int:
        """How many events in (after, until] changed what the tenant had learnt."""
        count = 0
        while after < until and (page := await self._journal.read(after, PAGE)):
            count += sum(r.seq <= until and r.event.tenant == tenant and isinstance(r.event, TEACHING) for r in page)
            after = page[-1].seq
        return count

    def _refuse_other_spec(self, dump: TenantDump) -> None:
        points = self._learner.state.rules.points
        for point, snapshot in dump.policies.items():
            if point not in points or points[point].spec_hash != snapshot.spec_hash:
                raise SpecChanged(f"the checkpoint's table for {point!r} was learnt under another feature spec")


def _changed(earlier: dict[str, PolicySnapshot], later: dict[str, PolicySnapshot]) -> list[OtherwiseAnswer]:
    """At every point that both know, the most visited first; large tables take a while."""
    found = [
        OtherwiseAnswer(point=point, state=change.state, before=change.before, after=change.after)
        for point in sorted(earlier.keys() & later.keys())
        for change in changes(earlier[point], later[point])
    ]
    return sorted(found, key=lambda change: -change.after.visits)


def _answer(event: Checkpointed) -> CheckpointAnswer:
    return CheckpointAnswer(
        checkpoint_id=event.checkpoint_id,
        name=event.name,
        seq=event.seq,
        created_at=event.at,
        size_bytes=event.size_bytes,
    )
