"""What a key captured is set aside, let back in, or deleted for good; what is archived is listed and let back in."""

from collections.abc import Sequence

from auditor import Learner
from auditor.events import EpisodeDeleted
from auditor.hygiene_events import EpisodeReturned, Quarantined, QuarantineLifted

from .clock import Clock
from .contract import AsideAnswer, AsideMemory, PurgeAnswer, PurgeRequest, QuarantineAnswer, QuarantineRequest
from .errands import Errands
from .errors import NotFound, UnknownEpisode, UnknownKey
from .failpoints import failpoint
from .idempotency import Receipt
from .journal import Journal
from .memory.purging import overwrite_episode, together
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .tenants import Caller, Registry

PAGE = 200  # episodes that are deleted with one commit
LISTED = 1000  # of one page of a list


class Hygiene:
    """Quarantines and purges by key and time."""

    def __init__(
        self, learner: Learner, journal: Journal, memory: MemoryStore, registry: Registry, clock: Clock
    ) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._registry, self._clock, self._errands = registry, clock, Errands()

    async def quarantine(self, by: str, request: QuarantineRequest, receipt: Receipt | None = None) -> QuarantineAnswer:
        """Set aside what a key captured: at once, wherever memory is read, until it is lifted.

        Raises:
          UnknownKey: no tenant has such a key.
        """
        asked = Quarantined(
            tenant=self._tenant(request.key_id),
            at=self._clock.now(),
            key_id=request.key_id,
            since=request.since,
            until=request.until,
            why=request.why,
            by=by,
        )
        seq = await (receipt or self._journal).append(asked)
        await self._learner.reached(seq)
        [recorded] = await self._journal.read(seq - 1, 1)
        assert isinstance(recorded.event, Quarantined)
        return self._answer(seq, recorded.event)

    def quarantines(self) -> list[QuarantineAnswer]:
        """All that hold, of every tenant."""
        return [self._answer(seq, event) for seq, event in self._memory.hygiene.quarantines.held().items()]

    async def lift(self, by: str, quarantine_id: int) -> None:
        """Let back in what nothing else sets aside.

        Raises:
          NotFound: none of this id holds.
        """
        held = self._memory.hygiene.quarantines.held().get(quarantine_id)
        if held is None:
            raise NotFound("No quarantine of this id holds; GET /v1/admin/quarantine lists those that do.")
        lifted = QuarantineLifted(tenant=held.tenant, at=self._clock.now(), quarantine_id=quarantine_id, by=by)
        await self._learner.reached(await self._journal.append(lifted))

    def aside(self, tenant: str, after: int) -> AsideAnswer:
        """A page of the tenant's episodes that are not in use."""
        everything = (record for _, record in self._memory.hygiene.everything(tenant))
        found = [
            AsideMemory(episode_id=record.episode_id, why=record.aside, since=record.aside_since)
            for record in everything
            if record.aside is not None and record.episode_id > after
        ]
        page = sorted(found, key=lambda of: of.episode_id)[:LISTED]
        return AsideAnswer(memories=page, next=page[-1].episode_id if len(found) > LISTED else None)

    async def bring_back(self, caller: Caller, episode_id: int) -> None:
        """Use an archived episode again; one that is in use or quarantined stays as it is.

        Raises:
          UnknownEpisode: this tenant has no such episode.
        """
        record = self._memory.episode(caller.tenant, episode_id)
        if record is None:
            raise UnknownEpisode
        if record.aside == "archived":
            at, by = self._clock.now(), caller.key_id
            returned = EpisodeReturned(tenant=caller.tenant, at=at, episode_id=episode_id, by=by)
            await self._learner.reached(await self._journal.append(returned))

    async def purge(self, by: str, request: PurgeRequest) -> PurgeAnswer:
        """Delete for good what a key captured and no other key stands for; what is left of an earlier try, too.

        Raises:
          UnknownKey: no tenant has such a key.
          StorageFull, JournalUnavailable: not all of it is deleted; ask again.
        """
        tenant = self._tenant(request.key_id)
        doomed = self._doomed(tenant, request)
        fold = self._learner.state.of(tenant)
        answer = PurgeAnswer(
            dry_run=request.dry_run,
            episodes=len(doomed),
            skills=sum(record.episode_id in fold.skills.by_episode for record in doomed),
            reflections=sum(record.reflection is not None for record in doomed),
        )
        if doomed and not request.dry_run:
            await self._errands.finish(self._purge(tenant, by, doomed))
        return answer

    def _doomed(self, tenant: str, request: PurgeRequest) -> list[EpisodeRecord]:
        asked = Quarantined(tenant=tenant, at=0.0, key_id=request.key_id, since=request.since, until=request.until)
        return [
            record
            for _, record in self._memory.hygiene.everything(tenant)
            if (captures := record.captures.get(request.key_id)) is not None
            and asked.covers(request.key_id, *captures)
            and not record.keys - {request.key_id}
        ]

    async def _purge(self, tenant: str, by: str, doomed: Sequence[EpisodeRecord]) -> None:
        """Page by page: of each the deletions are on disk before anything is overwritten, so that a start goes on."""
        for start in range(0, len(doomed), PAGE):
            at, page = self._clock.now(), doomed[start : start + PAGE]
            deleted = [EpisodeDeleted(tenant=tenant, at=at, episode_id=of.episode_id, by=by) for of in page]
            reflected = [record.reflection for record in page]
            seq = await self._journal.append(*deleted)
            failpoint("purge.page")
            await self._learner.reached(seq + len(page) - 1)
            places = enumerate(zip(page, reflected, strict=True), seq)
            await together(overwrite_episode(self._journal, tenant, of, place, made) for place, (of, made) in places)
        for space in self._memory.spaces_of(tenant):
            for index in space.indexes.values():
                index.build_anew()

    def _tenant(self, key_id: str) -> str:
        record = self._registry.keys.get(key_id)
        if record is None or record.kind != "tenant":
            raise UnknownKey
        return record.tenant

    def _answer(self, seq: int, event: Quarantined) -> QuarantineAnswer:
        aside = [
            record
            for _, record in self._memory.hygiene.everything(event.tenant)
            if not record.keys
            and (captures := record.captures.get(event.key_id)) is not None
            and event.covers(event.key_id, *captures)
        ]
        skills = self._learner.state.of(event.tenant).skills.by_episode
        return QuarantineAnswer(
            quarantine_id=seq,
            tenant=event.tenant,
            key_id=event.key_id,
            since=event.since,
            until=event.until,
            why=event.why,
            by=event.by,
            at=event.at,
            episodes=len(aside),
            skills=sum(record.episode_id in skills for record in aside),
        )
