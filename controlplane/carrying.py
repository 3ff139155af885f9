"""Memories are carried elsewhere and taken in: with where they come from, as claims, and embedded anew."""

import asyncio
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from auditor import Learner
from auditor.events import AnyEvent, Captured, Episode
from auditor.provenance import Provenance

from .clock import Clock
from .contract import CaptureRequest, CarriedAnswer, CarriedEpisode, CarryAnswer, CarryRequest
from .contract.carrying import MOST_CARRIED
from .embedding import BatchingEmbedder, EmbedderUnreachable
from .errors import EmbedderLoading
from .federation import Federation
from .journal import Journal
from .memory.captured import episode_of
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .memory.texts import episode_text
from .tenants import Caller, Registry

LABEL = "pointsman carried keys 1"
LEFT = ("task_id", "trace_id")  # what means nothing elsewhere
MOST_BYTES = 200_000  # of a page, under what a request may hold


class Carrying:
    """Pages of a tenant's memory out and in."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        embedder: BatchingEmbedder,
        federation: Federation,
        registry: Registry,
        clock: Clock,
    ) -> None:
        self._learner, self._journal, self._memory, self._embedder = learner, journal, memory, embedder
        self._federation, self._clock = federation, clock
        self._key = registry.derived(LABEL)

    def page(self, tenant: str, after: int) -> CarriedAnswer:
        """The next episodes past an id, in order; of what is quarantined nothing."""
        everything = [of for _, of in self._memory.hygiene.everything(tenant) if of.aside != "quarantined"]
        left = sorted((of for of in everything if of.episode_id > after), key=lambda of: of.episode_id)
        page: list[CarriedEpisode] = []
        size = 0
        for record in left[:MOST_CARRIED]:
            carried = self._carried(tenant, record)
            size += len(msgspec.json.encode(carried))
            if page and size > MOST_BYTES:
                break
            page.append(carried)
        more = len(left) > len(page)
        following = left[len(page) - 1].episode_id if more else None
        return CarriedAnswer(episodes=tuple(page), total=len(everything), next=following)

    def _carried(self, tenant: str, record: EpisodeRecord) -> CarriedEpisode:
        fields: dict[str, Any] = {
            name: getattr(record.episode, name)
            for name in CaptureRequest.__struct_fields__
            if name in Episode.__struct_fields__ and name not in LEFT
        }
        came = record.episode.provenance or self._provenance(tenant, record)
        return CarriedEpisode(episode=CaptureRequest(**fields), provenance=came)

    def _provenance(self, tenant: str, record: EpisodeRecord) -> Provenance:
        skills = self._learner.state.of(tenant).skills
        said, skill = skills.of(record.episode_id), skills.by_episode.get(record.episode_id)
        first = min(record.captures, key=lambda key: record.captures[key])
        return Provenance(
            origin=self._federation.origin(tenant),
            key=hmac.digest(self._key, first.encode(), "sha256").hex()[:32],
            episode_id=record.episode_id,
            captured_at=record.at,
            repeats=record.repeats,
            successes=said.successes,
            failures=said.failures,
            skill=None if skill is None else skill.status,
        )

    async def take(self, caller: Caller, request: CarryRequest) -> CarryAnswer:
        """Remember what is not known yet, as the caller's own captures; nothing is validated by that, nor reflected on.

        Raises:
          EmbedderLoading: the model is not there yet.
        """
        new: dict[str, Episode] = {}
        foreign = [carried for carried in request.episodes if not self._came_from_here(caller.tenant, carried)]
        for episode in await asyncio.to_thread(_taken_in, foreign):
            if self._memory.space(caller.tenant, episode.namespace).first_of(episode.digest) is None:
                new.setdefault(episode.digest, episode)
        try:
            vectors = await self._embedder.embed_many([episode_text(episode) for episode in new.values()])
        except EmbedderUnreachable as error:
            raise EmbedderLoading(str(error)) from error
        at, events = self._clock.now(), list[AnyEvent]()
        for episode, vector in zip(new.values(), vectors, strict=True):
            if vector is None:
                raise EmbedderLoading
            found_by = {"embedder": self._embedder.name, "vector": vector.tobytes()}
            kept = msgspec.structs.replace(episode, **found_by)
            events.append(Captured(tenant=caller.tenant, at=at, episode=kept, by=caller.key_id))
        duplicates = len(request.episodes) - len(events)
        if not events:
            return CarryAnswer(episode_ids=(), duplicates=duplicates)
        first = await self._journal.append(*events)
        await self._learner.reached(first + len(events) - 1)
        return CarryAnswer(episode_ids=tuple(range(first, first + len(events))), duplicates=duplicates)

    def _came_from_here(self, tenant: str, carried: CarriedEpisode) -> bool:
        """Whether it is what this tenant exports; a digest does not tell of one whose images stayed home."""
        record = self._memory.episode(tenant, carried.provenance.episode_id)
        return record is not None and self._carried(tenant, record).episode == carried.episode


def _taken_in(page: Sequence[CarriedEpisode]) -> list[Episode]:
    """As captures keep them; blocking, for to go through long texts takes long."""
    return [msgspec.structs.replace(episode_of(of.episode, ()), provenance=of.provenance) for of in page]
