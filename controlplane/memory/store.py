"""Episodes and action signatures of every tenant and namespace: a fold of the journal, kept searchable.

Each space (tenant, namespace) has indexes of its own, so nothing of another tenant can be found.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import msgspec
import numpy as np

from auditor.events import (
    Captured,
    EpisodeDeleted,
    Recorded,
    SignatureSeen,
)
from auditor.hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted
from auditor.passage_events import DocumentKept, DocumentsDropped, OriginRegistered
from auditor.reflection_events import Reflected, ReflectionEvicted
from auditor.skill_events import SkillDescribed

from ..journal.port import MEMORY_KINDS
from ..licences import NOTHING, Denylist
from .hygiene import Hygiene
from .index import Spaces
from .passages import Passages
from .purging import Overwriting, overwrite_documents, overwrite_episode, overwrite_reflection
from .sharing import only
from .space import TEXT, EpisodeRecord, SignatureRecord, Space, recent
from .texts import episode_text
from .vectorizers.port import Vectorizer
from .vectors import InProcess


class Stale(msgspec.Struct, frozen=True):
    """A memory whose vector is another embedder's: it is embedded again before it can be found."""

    space: Space
    key: int
    text: str
    is_episode: bool
    modality: str = TEXT


class MemoryStore:
    """All spaces. `observe` folds events; nothing else changes it."""

    def __init__(
        self,
        vectorizers: Mapping[str, Vectorizer] | None = None,
        denied: Denylist = NOTHING,
        vectors: Spaces | None = None,
    ) -> None:
        """`vectorizers` by modality: what else than their text episodes are found by; `denied`: what is never told.

        `vectors`: who makes the indexes; unset: they are in this process.
        """
        self.vectorizers, self.denied, self.vectors = vectorizers or {}, denied, vectors or InProcess()
        self.vectors.follow(self)
        self._spaces: dict[tuple[str, str], Space] = {}
        self._named: dict[str, dict[int, Space]] = {}  # by tenant, where episodes are that are not in the unnamed one
        self.reflections: dict[tuple[str, str], Reflected] = {}  # by tenant and id
        self.hygiene = Hygiene(self._spaces, self.space_of, self.embed_again)
        self.passages = Passages(self.vectors)
        self._embedder = ""
        self.stale: list[Stale] = []
        self.position = 0  # the last event taken in
        self.tenants: set[str] = set()  # of events that were
        self.live = False
        self.overwriting: list[Overwriting] = []  # what was taken away, for whoever looks that it is off the disk
        self._held: list[Recorded] = []

    @property
    def embedder(self) -> str:
        """Vectors of other embedders cannot be compared with."""
        return self._embedder

    @embedder.setter
    def embedder(self, name: str) -> None:
        self._embedder = self.passages.embedder = name

    @property
    def complete(self) -> bool:
        """The past is loaded, and everything has the vector that it is found by."""
        return self.live and not self.stale and not self.passages.stale

    def space(self, tenant: str, namespace: str) -> Space:
        if (space := self._spaces.get((tenant, namespace))) is None:
            distrusted = self.hygiene.quarantines.keys(tenant)
            make = partial(self.vectors.index, tenant, namespace)
            space = self._spaces[tenant, namespace] = Space(make, distrusted, self.denied)
        return space

    def spaces(self) -> Iterator[Space]:
        yield from self._spaces.values()

    def spaces_of(self, tenant: str) -> list[Space]:
        return [space for (owner, _), space in self._spaces.items() if owner == tenant]

    def episode(self, tenant: str, episode_id: int) -> EpisodeRecord | None:
        space = self.space_of(tenant, episode_id)
        return None if space is None else space.known(episode_id)

    def space_of(self, tenant: str, episode_id: int) -> Space | None:
        unnamed = self._spaces.get((tenant, ""))
        if unnamed is not None and unnamed.known(episode_id) is not None:
            return unnamed
        return self._named.get(tenant, {}).get(episode_id)

    def observe(self, recorded: Recorded) -> None:
        """Take in one committed event; until the past is loaded it is held back."""
        if self.live:
            self.take(recorded)
        elif recorded.event.kind in MEMORY_KINDS:
            self._held.append(recorded)

    def go_live(self) -> None:
        """The past is loaded: take in what was held back and everything from here on."""
        for recorded in self._held:
            self.take(recorded)
        self._held.clear()
        self.live = True

    def take(self, recorded: Recorded) -> None:
        """Fold one event, once."""
        if recorded.seq <= self.position:
            return
        self.position = recorded.seq
        self.tenants.add(recorded.event.tenant)
        match recorded.event:
            case Captured() as event:
                self._captured(recorded.seq, event)
            case SignatureSeen() as event:
                self._signature_seen(recorded.seq, event)
            case EpisodeDeleted() as event:
                self._deleted(recorded.seq, event)
            case Reflected() as event:
                self._reflected(event)
            case SkillDescribed() as event:
                if (record := self.episode(event.tenant, event.episode_id)) is not None:
                    record.remake(described=event)
            case ReflectionEvicted() as event:
                gone = partial(overwrite_reflection, tenant=event.tenant, reflection_id=event.reflection_id)
                self.overwriting.append(gone)
                self._evicted(event.tenant, event.reflection_id)
                self._let_go(event.tenant, event.episode_id)
            case DocumentKept() | DocumentsDropped() | OriginRegistered() as event:
                self._superseded(recorded.seq, event)
                self.passages.take(recorded.seq, event)
            case Quarantined() | QuarantineLifted() | EpisodesArchived() | EpisodeReturned() as event:
                self.hygiene.fold(recorded.seq, event)

    def _captured(self, seq: int, event: Captured) -> None:
        space = self.space(event.tenant, event.episode.namespace)
        first = space.first_of(event.episode.digest)
        if event.episode.task_id:
            space.captured_by(event.episode.task_id, first or seq)
        if first is not None and (known := space.known(first)) is not None:
            known.repeats += 1
            known.captured(event.by, event.at)
            self.hygiene.captured(event.tenant, space, known, event.at)
            return
        record = EpisodeRecord.of(seq, event.at, event.episode, event.by, only(event.by))
        recent.add(record)
        space.admit(record, {})
        if event.episode.namespace:
            self._named.setdefault(event.tenant, {})[seq] = space
        if event.episode.embedder == self.embedder:
            space.index_episode(seq, np.frombuffer(event.episode.vector, np.float32))
        else:
            self._embed_again(space, record, TEXT)
        for modality in self.vectorizers:
            if modality != TEXT:
                self._index(space, record, event, modality)
        self.hygiene.captured(event.tenant, space, record, event.at)

    def _index(self, space: Space, record: EpisodeRecord, event: Captured, modality: str) -> None:
        """By its vector, where that is of the model in use; else, where its content is there yet, it is embedded."""
        vectorizer, kept = self.vectorizers[modality], event.modalities.get(modality)
        if kept is not None and kept.model == vectorizer.model:
            space.index_episode(record.episode_id, np.frombuffer(kept.vector, np.float32), modality)
        else:
            self._embed_again(space, record, modality)

    def embed_again(self, space: Space, record: EpisodeRecord, held: Iterable[str] = ()) -> None:
        """It has no vectors that it can be found by, but of the modalities that are held."""
        for modality in {TEXT, *self.vectorizers}.difference(held):
            self._embed_again(space, record, modality)

    def _embed_again(self, space: Space, record: EpisodeRecord, modality: str) -> None:
        content: object = episode_text(record.episode)
        if modality != TEXT:
            content = self.vectorizers[modality].content(record.episode, ())
        if isinstance(content, str):
            self.stale.append(Stale(space, record.episode_id, content, is_episode=True, modality=modality))

    def _signature_seen(self, seq: int, event: SignatureSeen) -> None:
        space = self.space(event.tenant, event.namespace)
        if event.signature in space.signatures:
            return
        record = SignatureRecord(seq, event.signature, event.text)
        space.signatures[event.signature] = space.signature_of[seq] = record
        if event.embedder == self.embedder:
            space.index_signature(seq, np.frombuffer(event.vector, np.float32))
        else:
            self.stale.append(Stale(space, seq, event.text, is_episode=False))

    def _reflected(self, event: Reflected) -> None:
        """An episode keeps its first one, unless that was wrongly reused; of what is gone nothing is remembered."""
        record = self.episode(event.tenant, event.episode_id)
        root = event if event.of is None else self.reflections.get((event.tenant, event.of))
        if record is None or record.made.evicted or root is None:
            return
        if (before := record.reflection) is not None:
            if event.replaces is None or before.of is None:
                return
            del self.reflections[event.tenant, before.reflection_id]
        reflection = msgspec.structs.replace(event, insight=root.insight)
        lent = self.episode(event.tenant, root.episode_id)
        record.remake(reflection=reflection, lender=lent if lent is not record else None)
        self.reflections[event.tenant, event.reflection_id] = reflection

    def _evicted(self, tenant: str, root: str) -> None:
        for name in [name for (of, name), made in self.reflections.items() if of == tenant and made.root == root]:
            gone = self.reflections.pop((tenant, name))
            if (record := self.episode(tenant, gone.episode_id)) is not None:
                record.remake(reflection=None)

    def _let_go(self, tenant: str, episode_id: int) -> None:
        """An episode whose reflection was bad gets no other, nor back what that one replaced."""
        if (record := self.episode(tenant, episode_id)) is not None:
            if record.reflection is not None:
                del self.reflections[tenant, record.reflection.reflection_id]
            record.remake(evicted=True, reflection=None)

    def uses(self, tenant: str, root: str) -> list[int]:
        """The episodes that have a reflection, or what was taken from it."""
        held = (made for (of, _), made in self.reflections.items() if of == tenant)
        return [made.episode_id for made in held if made.root == root]

    def _deleted(self, seq: int, event: EpisodeDeleted) -> None:
        space = self.space_of(event.tenant, event.episode_id)
        record = None if space is None else space.known(event.episode_id)
        if space is None or record is None:
            return
        gone = partial(overwrite_episode, tenant=event.tenant, record=record, until=seq, reflection=record.reflection)
        self.overwriting.append(gone)
        space.forget(record)
        self._named.get(event.tenant, {}).pop(event.episode_id, None)
        if record.reflection is not None and record.reflection.of is None:
            self._evicted(event.tenant, record.reflection.reflection_id)  # it tells of what is purged
        elif record.reflection is not None:
            del self.reflections[event.tenant, record.reflection.reflection_id]

    def _superseded(self, seq: int, event: DocumentKept | DocumentsDropped | OriginRegistered) -> None:
        """What documents said before, or say no more."""
        refs: list[str] = []
        match event:
            case DocumentKept() if (former := self.passages.former(event)) is not None:
                refs = [former.document.ref]
            case DocumentsDropped():
                refs = [document.ref for document in self.passages.dropped_by(event)]
        if refs:
            self.overwriting.append(partial(overwrite_documents, tenant=event.tenant, until=dict.fromkeys(refs, seq)))

    def counts(self, tenant: str | None = None) -> dict[str, int]:
        """Of one tenant, or of all."""
        spaces = [space for (owner, _), space in self._spaces.items() if tenant in (owner, None)]
        passages = self.passages.counts(tenant)
        return {
            **passages,
            "episodes": sum(len(space.episodes) for space in spaces),
            "set_aside": sum(len(space.aside) for space in spaces),
            "signatures": sum(len(space.signatures) for space in spaces),
            "stale_vectors": passages["stale_vectors"] + sum(stale.space in spaces for stale in self.stale),
        }
