"""What happens without being asked: closings, recovery files, loading memory, keeping its indexes."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import structlog

from auditor import Learner
from auditor.events import EpisodeDeleted, Recorded
from auditor.expiry import expired
from auditor.passage_events import DocumentKept, DocumentsDropped
from auditor.reflection_events import Reflected, ReflectionEvicted

from .checkpoints import RecoveryFiles
from .clock import Clock
from .embedding import BatchingEmbedder, EmbedderUnreachable, EmbeddingUnavailable, Vector
from .errors import JournalUnavailable, PointsmanError, StorageFull
from .failpoints import failpoint
from .journal import Journal, acting_for_all
from .memory.passages import MOST
from .memory.purging import Overwriting, overwrite_documents, overwrite_episode, overwrite_reflection
from .memory.store import MemoryStore, Stale
from .outbox import Outbox
from .telemetry import Metrics

log = structlog.get_logger()
TICK_S = 1.0
PAGE = 2000
OVERWRITTEN_S = 10.0  # by when whoever purged something has overwritten it


class FollowsEvidence(Protocol):
    """What changes by what was proven."""

    async def follow_evidence(self) -> None:
        """Do what is due."""
        ...


class Flushes(Protocol):
    """What keeps what the journal would not take, for a later tick."""

    async def flush(self) -> None:
        """Journal what can be."""
        ...


class Publishes(Protocol):
    """Where other replicas find the learnt state."""

    async def publish(self, seq: int, payload: bytes) -> None:
        """Leave the state after an event there."""
        ...


class Background:
    """Loops that run beside the requests; each survives a failure, says so, and tries again."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        embedder: BatchingEmbedder,
        recovery: RecoveryFiles,
        clock: Clock,
        outbox: Outbox,
        metrics: Metrics,
        budgets: "Flushes",
        following: Sequence[FollowsEvidence],
        publishes: "Publishes | None",
        recovery_interval_s: float,
    ) -> None:
        self._learner, self._journal, self._memory, self._embedder = learner, journal, memory, embedder
        self._recovery, self._clock, self._recovery_interval_s = recovery, clock, recovery_interval_s
        self._outbox, self._metrics, self._following = outbox, metrics, following
        self._budgets, self._publishes = budgets, publishes
        self._looking: deque[tuple[float, Overwriting]] = deque()  # when to look, and at what
        self._written_seq = -1
        self._written_at = clock.monotonic()
        self._refusal: str | None = None  # of the last tick

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            due = self._clock.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self._metrics.loop_lag.observe(self._clock.monotonic() - due)
            refusal = None
            try:
                await self.tick()
            except PointsmanError as error:
                refusal = str(error)
                if refusal != self._refusal:
                    log.error("background_tick_refused", error=refusal, until="nothing refuses it")
            except Exception:  # a loop that ends silently would leave windows open for ever
                log.exception("background_tick_failed")
            self._refusal = refusal

    async def tick(self) -> None:
        """Everything that is due now; while the journal is in trouble, only a look whether it is over."""
        if self._journal.trouble is not None:
            await self._journal.flush()
        await self._budgets.flush()
        if self._journal.leads and self._learner.failure is None:  # else what is due would be said again and again
            with acting_for_all():
                await self._lead()
        await self._keep_indexes()
        await self._look_for_purged()

    async def _look_for_purged(self) -> None:
        """Overwrite what was purged and is there yet, a while after it was folded.

        Whoever purged it may have died, or was refused by a journal that had committed the purge.
        """
        now, overwriting = self._clock.monotonic(), self._memory.overwriting
        self._looking.extend((now + OVERWRITTEN_S, gone) for gone in overwriting)
        overwriting.clear()
        while self._looking and self._looking[0][0] <= now:
            due, overwrite = self._looking.popleft()
            try:
                await overwrite(self._journal)
            except (StorageFull, JournalUnavailable):  # the journal says so; the next tick looks again
                self._looking.appendleft((due, overwrite))
                return

    async def _lead(self) -> None:
        """What one of all replicas does."""
        await self.close_expired()
        for follows in self._following:
            await follows.follow_evidence()
        if self._clock.monotonic() - self._written_at >= self._recovery_interval_s:
            await self.write_recovery()

    async def close_expired(self) -> None:
        """Append the ends of windows and trajectories that are due, and wait until they are folded."""
        now = self._clock.now()
        due = [event for fold in self._learner.state.tenants.values() for event in expired(fold, now)]
        for start in range(0, len(due), PAGE):
            part = due[start : start + PAGE]
            first = await self._journal.append(*part)
            failpoint("expiry.appended")
            await self._learner.reached(first + len(part) - 1)

    async def write_recovery(self) -> None:
        """Write down the learnt state, unless nothing was folded since the last time or a fold failed midway."""
        self._written_at = self._clock.monotonic()
        done = self._learner.failure is not None or self._learner.version == self._written_seq
        if done or not self._journal.leads:
            return
        seq, payload = await self._learner.dump()
        failpoint("recovery.dumped")
        with acting_for_all():
            await self._outbox.flush()  # what follows from folded events must not be lost with them
        await self._journal.flush()  # records of what the file holds as folded must not be lost with a crash
        if self._publishes is not None:  # first: others need it the more where this disk is full
            await self._publishes.publish(seq, payload)
        await asyncio.to_thread(self._recovery.write, payload, seq)
        self._written_seq = seq

    async def load_memory(self) -> None:
        """Once there is an embedder: read what memory is made of, then follow the learner."""
        await self._embedder.loaded()
        self._memory.embedder = self._embedder.name
        await self._memory.vectors.begin(self._embedder.name)
        while page := await self._page():
            for recorded in page:
                await self._load(recorded)
            await self._memory.vectors.page_added()
        self._memory.go_live()
        log.info("memory_loaded", **self._memory.counts())

    async def _page(self) -> list[Recorded]:
        """The next events that memory is made of; a database that is away is waited for."""
        while True:
            try:
                return await self._journal.read_memory(self._memory.position, PAGE)
            except JournalUnavailable:
                if not self._journal.shared:
                    raise
                await asyncio.sleep(TICK_S)

    async def _load(self, recorded: Recorded) -> None:
        """Take in one event of the past, and finish what a purge or an eviction left."""
        event, left = recorded.event, None
        match event:
            case EpisodeDeleted():
                await self._finish_purge(recorded.seq, event)
            case ReflectionEvicted() if (event.tenant, event.reflection_id) in self._memory.reflections:
                left = event.reflection_id
            case DocumentKept() if (former := self._memory.passages.former(event)) is not None:
                await self._finish_documents(recorded.seq, event.tenant, [former.document.ref])
            case DocumentsDropped() if dropped := self._memory.passages.dropped_by(event):
                await self._finish_documents(recorded.seq, event.tenant, [document.ref for document in dropped])
        self._memory.take(recorded)
        if isinstance(event, Reflected) and (event.tenant, event.reflection_id) not in self._memory.reflections:
            left = event.reflection_id
        if left is not None:
            await self._finish_eviction(event.tenant, left)

    async def _finish_purge(self, seq: int, event: EpisodeDeleted) -> None:
        """Overwrite what a purge before `seq` left when the process ended; a finished purge left nothing to load."""
        left = self._memory.episode(event.tenant, event.episode_id)
        if left is None:
            return
        try:
            await overwrite_episode(self._journal, event.tenant, left, seq, left.reflection)
        except (StorageFull, JournalUnavailable) as error:
            log.error("purge_not_finished", episode_id=event.episode_id, error=str(error), until="the next write")
            return
        log.warning("purge_finished", episode_id=event.episode_id)

    async def _finish_documents(self, seq: int, tenant: str, refs: list[str]) -> None:
        """The same of documents that were dropped or replaced."""
        try:
            await overwrite_documents(self._journal, tenant, dict.fromkeys(refs, seq))
        except (StorageFull, JournalUnavailable) as error:
            log.error("documents_not_overwritten", documents=refs, error=str(error), until="the next write")
            return
        log.warning("documents_overwritten", documents=refs)

    async def _finish_eviction(self, tenant: str, reflection_id: str) -> None:
        """The same of a reflection: one that was evicted, or that is not used."""
        try:
            await overwrite_reflection(self._journal, tenant, reflection_id)
        except (StorageFull, JournalUnavailable) as error:
            log.error("eviction_not_finished", reflection=reflection_id, error=str(error), until="the next write")
            return
        log.warning("eviction_finished", reflection=reflection_id)

    async def _keep_indexes(self) -> None:
        if not self._memory.live:
            return
        for space in list(self._memory.spaces()):
            for index in (*space.indexes.values(), space.signature_index):
                if index is not None:
                    await index.maintain()
        for passages in list(self._memory.passages.spaces()):
            for passage_index in list(passages.indexes.values()):
                await passage_index.maintain()
        await self._embed_stale()
        await self._embed_stale_passages()

    async def _embed_stale(self) -> None:
        """Embed again what another embedder's vector made unfindable, a batch at a time."""
        batch = self._memory.stale[:PAGE]
        try:
            vectors = await asyncio.gather(*map(self._embedded, batch))
        except EmbedderUnreachable:  # it was logged, and the next tick tries again
            return
        del self._memory.stale[: len(batch)]  # more may have been added at the end
        for stale, vector in zip(batch, vectors, strict=True):
            if vector is None:
                log.error("memory_not_findable", seq=stale.key, reason="its text cannot be embedded")
            elif stale.is_episode and stale.key in stale.space.episodes:
                stale.space.index_episode(stale.key, vector, stale.modality)
            elif not stale.is_episode:
                stale.space.index_signature(stale.key, vector)

    async def _embed_stale_passages(self) -> None:
        """The same of passages."""
        kept = self._memory.passages
        batch = kept.stale[:PAGE]
        try:
            vectors = await self._embedder.embed_many([stale.text for stale in batch])
        except EmbedderUnreachable:  # as above
            return
        del kept.stale[: len(batch)]
        for stale, vector in zip(batch, vectors, strict=True):
            if vector is None:
                log.error("memory_not_findable", seq=stale.passage_id // MOST, reason="its text cannot be embedded")
            else:
                stale.space.index(stale.passage_id, vector)

    async def _embedded(self, stale: Stale) -> Vector | None:
        """Raises EmbedderUnreachable: nothing can be embedded for now."""
        vectorizer = self._memory.vectorizers.get(stale.modality)
        try:
            return await (vectorizer or self._embedder).embed(stale.text)
        except EmbedderUnreachable:
            raise
        except EmbeddingUnavailable:
            return None
