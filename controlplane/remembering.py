"""The episodic-memory calls: capture a failure, search for similar ones, read, purge, and manage skills."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from auditor import Learner, Trace
from auditor.events import (
    AnyEvent,
    Captured,
    Decided,
    Episode,
    EpisodeDeleted,
    SkillRetired,
)
from auditor.fold import TenantFold
from auditor.modality import ModalVector
from auditor.skills import NONE

from .clock import Clock
from .contract import (
    MAX_TEXT,
    CaptureAnswer,
    CapturedReflection,
    CaptureRequest,
    EpisodeAnswer,
    RetireRequest,
    SearchAnswer,
    SearchRequest,
    SearchResult,
    SkillAnswer,
)
from .embedding import BatchingEmbedder, EmbeddingUnavailable
from .errands import Errands
from .errors import (
    EmbedderLoading,
    JournalUnavailable,
    StorageFull,
    UnknownEpisode,
    UnknownSkill,
    UnknownTrace,
    Unprocessable,
)
from .executor.advice import skill_answer, worth_answer
from .executor.matching import Sought, validations_of
from .executor.narrowing import narrowed
from .executor.telling import Asking
from .failpoints import failpoint
from .idempotency import Receipt
from .journal import Journal
from .llm.local import root_cause
from .llm.redaction import unlinked
from .memory.captured import episode_of, image_digest, tool_family
from .memory.duplicates import near_duplicate
from .memory.filters import filters_of
from .memory.purging import overwrite_episode
from .memory.ranking import Match
from .memory.safety import Filters
from .memory.space import TEXT, EpisodeRecord
from .memory.store import MemoryStore
from .memory.texts import plan_text
from .memory.vectorizers.image import decoded
from .memory.vectorizers.port import Content
from .tenants import Caller
from .tiering import Tiering


class Remembering:
    """Everything a client does to memory directly."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        embedder: BatchingEmbedder,
        tiering: Tiering,
        clock: Clock,
    ) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._embedder, self._tiering = embedder, tiering
        self._clock, self._errands = clock, Errands()

    def _fold(self, tenant: str) -> TenantFold:
        return self._learner.state.of(tenant)

    async def capture(self, caller: Caller, request: CaptureRequest, receipt: Receipt | None = None) -> CaptureAnswer:
        """Remember a failure, and decide who reflects on it; an exact repeat is counted, not stored twice.

        Raises:
          UnknownTrace: it names a decision this tenant does not have.
          EmbedderLoading: the model is not there yet.
          Unprocessable: an image cannot be read, or none can be.
        """
        tenant = caller.tenant
        await self._known_trace(tenant, request.trace_id)
        images = [decoded(image, f"images[{place}]") for place, image in enumerate(request.images)]
        episode = await _kept_of(request, images)
        space = self._memory.space(tenant, request.namespace)
        duplicate_of = space.first_of(episode.digest)
        found = await self._vectors(episode, images) if duplicate_of is None else {}
        if text := found.pop(TEXT, None):
            embedded = msgspec.structs.replace(episode, embedder=text.model, vector=text.vector)
            episode, duplicate_of = (embedded, None) if images else await self._new_or_near(caller, embedded)
            found = found if duplicate_of is None else {}
        at, by = self._clock.now(), caller.key_id
        captured = Captured(tenant=tenant, at=at, episode=episode, duplicate_of=duplicate_of, by=by, modalities=found)
        events: list[AnyEvent] = [captured]
        repeated = receipt is not None and receipt.received is not None
        decided = None if repeated or duplicate_of is not None else await self._decided(caller, episode)
        if decided is not None:
            events.append(Decided(tenant=tenant, at=at, trace=decided))
        if receipt is not None:
            receipt.derived = True
        seq = await (receipt or self._journal).append(*events)
        failpoint("capture.appended")
        if repeated:
            decided = await self._decided_with(seq)
        await self._learner.reached(seq if decided is None else seq + 1)
        first = space.first_of(episode.digest) or seq
        return CaptureAnswer(
            episode_id=first,
            duplicate_of=first if first != seq else None,
            reflection=_reflection(episode, decided if first == seq else None),
        )

    async def _decided(self, caller: Caller, episode: Episode) -> Trace | None:
        try:
            return await self._tiering.decide(caller, episode)
        except EmbeddingUnavailable as error:
            raise EmbedderLoading(str(error)) from error

    async def _decided_with(self, seq: int) -> Trace | None:
        """What was decided about a capture: it stands behind it in the journal."""
        for recorded in await self._journal.read(seq, 1):
            event = recorded.event
            if recorded.seq == seq + 1 and isinstance(event, Decided) and event.trace.point == "capture":
                return event.trace
        return None

    async def _known_trace(self, tenant: str, trace_id: str | None) -> None:
        if trace_id is None or trace_id in self._fold(tenant).credit.open:
            return
        if not await self._journal.about(tenant, trace_id, "decision"):
            raise UnknownTrace

    async def _new_or_near(self, caller: Caller, embedded: Episode) -> tuple[Episode, int | None]:
        """As it is; or as a repeat of the failure that it nearly is, under the digest of that one, without a vector."""
        space = self._memory.space(caller.tenant, embedded.namespace)
        near = await near_duplicate(space, embedded, np.frombuffer(embedded.vector, np.float32), caller.key_id)
        if near is None:
            return embedded, None
        repeat = msgspec.structs.replace(embedded, embedder="", vector=b"", digest=near.episode.digest)
        return repeat, near.episode_id

    async def _vectors(self, episode: Episode, images: Sequence[bytes]) -> dict[str, ModalVector]:
        """One of each modality that the failure has content for."""
        known = self._memory.vectorizers
        contents = {name: content for name, of in known.items() if (content := of.content(episode, images)) is not None}
        try:
            vectors = await asyncio.gather(*(known[name].embed(content) for name, content in contents.items()))
        except EmbeddingUnavailable as error:
            raise EmbedderLoading(str(error)) from error
        return {
            name: ModalVector(
                model=known[name].model,
                vector=vector.tobytes(),
                digests=() if isinstance(content, str) else tuple(map(image_digest, content)),
            )
            for (name, content), vector in zip(contents.items(), vectors, strict=True)
        }

    async def search(self, caller: Caller, request: SearchRequest) -> SearchAnswer:
        """The k best matches after filters, each with its score taken apart.

        Raises:
          Unprocessable: a filter or modality is unknown, or does not take what it was given.
          EmbedderLoading: the model is not there yet.
        """
        try:
            filters = filters_of(request.filters)
        except ValueError as error:
            raise Unprocessable(str(error)) from error
        now = self._clock.now()
        safety = Filters(request.safety, self._memory.denied, now)
        vectorizer = self._memory.vectorizers.get(request.modality)
        if vectorizer is None:
            raise Unprocessable(f"modality is one of {', '.join(sorted(self._memory.vectorizers))}")
        current, modality = request.current_state, request.modality
        if modality == TEXT:
            asked: Content = plan_text(request.goal, request.planned_action)
        else:
            asked = await asyncio.to_thread(vectorizer.query, request.query)
        try:
            vector = await vectorizer.embed(asked)
        except EmbeddingUnavailable as error:
            raise EmbedderLoading(str(error)) from error
        sought = Sought.of(request.goal, request.planned_action, vector, current, now, modality)
        if modality != TEXT and isinstance(asked, str):
            sought = msgspec.structs.replace(sought, text=asked)
        asking = Asking(self._memory, self._fold(caller.tenant), request.namespace, caller.key_id, sought)

        def kept_out_by(record: EpisodeRecord) -> str | None:
            by = next((name for name, fits in filters.items() if not fits(record)), None)
            return by or safety.reason(asking.looks_of(record))

        found = await narrowed(asking, request.k, request.min_similarity, kept_out_by)
        results = [_result(match, found.alike[match.record.episode_id]) for match in found.matches]
        fallback = ("embedding_fallback",) if self._embedder.state.status == "fallback" else ()
        return SearchAnswer(results=results, filtered=found.filtered, degraded=fallback)

    def episode(self, tenant: str, episode_id: int) -> EpisodeAnswer:
        """Raises UnknownEpisode."""
        record = self._record(tenant, episode_id)
        fold = self._fold(tenant)
        validations, skill = fold.skills.of(episode_id), fold.skills.by_episode.get(episode_id)
        return EpisodeAnswer(
            episode_id=episode_id,
            captured_at=record.at,
            repeats=record.repeats,
            validations=validations.total,
            success_rate=round(validations.success_rate, 4),
            skill_id=skill.skill_id if skill else None,
            worth=worth_answer(fold.worth.standing(episode_id, record.error_class)),
            aside=record.aside,
            episode=_shown(record),
        )

    def _record(self, tenant: str, episode_id: int) -> EpisodeRecord:
        record = self._memory.episode(tenant, episode_id)
        if record is None:
            raise UnknownEpisode
        return record

    async def delete(self, caller: Caller, episode_id: int) -> None:
        """Purge an episode: its text and vector are overwritten, its number stays.

        Raises:
          UnknownEpisode: this tenant has no such episode.
        """
        record = self._record(caller.tenant, episode_id)
        await self._errands.finish(self._purge(caller, record))

    async def _purge(self, caller: Caller, record: EpisodeRecord) -> None:
        tenant, at = caller.tenant, self._clock.now()
        purge = EpisodeDeleted(tenant=tenant, at=at, episode_id=record.episode_id, by=caller.key_id)
        reflection = record.reflection
        seq = await self._journal.append(purge)
        failpoint("purge.appended")
        await self._learner.reached(seq)
        try:
            await overwrite_episode(self._journal, tenant, record, seq, reflection)
        except (StorageFull, JournalUnavailable) as refusal:
            raise type(refusal)(
                "The episode is deleted, but its content is still on disk: it is overwritten with the next write, or"
                " by the next start."
            ) from refusal

    def skills(self, tenant: str) -> list[SkillAnswer]:
        """Those whose episode is in use and notes a fix, and for which anybody stands who is in no quarantine."""
        fold = self._fold(tenant)
        spaces = ((self._memory.space_of(tenant, episode_id), episode_id) for episode_id in fold.skills.by_episode)
        return [
            skill_answer(space.episodes[episode_id], fold)
            for space, episode_id in spaces
            if space is not None
            and episode_id in space.episodes
            and space.episodes[episode_id].episode.resolution
            and validations_of(space, fold, episode_id) is not NONE
        ]

    def skill(self, tenant: str, skill_id: int) -> SkillAnswer:
        """Raises UnknownSkill."""
        found = next((skill for skill in self.skills(tenant) if skill.skill_id == skill_id), None)
        if found is None:
            raise UnknownSkill
        return found

    async def retire(
        self, caller: Caller, skill_id: int, request: RetireRequest, receipt: Receipt | None = None
    ) -> SkillAnswer:
        """Take a skill out of use.

        Raises:
          UnknownSkill: this tenant has no such skill.
        """
        tenant, by = caller.tenant, caller.key_id
        self.skill(tenant, skill_id)
        retired = SkillRetired(tenant=tenant, at=self._clock.now(), skill_id=skill_id, reason=request.reason, by=by)
        if receipt is not None:
            receipt.derived = True
        seq = await (receipt or self._journal).append(retired)
        await self._learner.reached(seq)
        return self.skill(tenant, skill_id)


async def _kept_of(request: CaptureRequest, images: Sequence[bytes]) -> Episode:
    """As it is kept; where it is long that takes long, and is done beside the calls of others."""
    if len(msgspec.json.encode(request)) <= MAX_TEXT:
        return episode_of(request, images)
    return await asyncio.to_thread(episode_of, request, images)


def _reflection(episode: Episode, decided: Trace | None) -> CapturedReflection:
    """What the local reflector says at once, and what a model is going to be asked."""
    return CapturedReflection(
        status="none" if decided is None else "pending",
        tier=None if decided is None else decided.action,
        trace_id=None if decided is None else decided.trace_id,
        error_class=episode.error_class,
        root_cause=unlinked(root_cause(episode.error_trace)),
    )


def _result(match: Match, alike: int) -> SearchResult:
    return SearchResult(
        episode_id=match.record.episode_id,
        score=round(match.score, 4),
        alike=alike,
        scores={name: round(value, 4) for name, value in match.scores.items()},
        episode=_shown(match.record),
    )


def _shown(record: EpisodeRecord) -> dict[str, Any]:
    """The episode as it was captured, without its vector."""
    shown: dict[str, Any] = msgspec.to_builtins(record.episode)
    shown["root_cause"] = record.cause
    shown["tool_family"] = tool_family(record.episode)
    del shown["vector"], shown["digest"]
    return shown
