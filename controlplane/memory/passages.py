"""Documents of every tenant and namespace with their passages: a fold of the journal, kept searchable.

Each space (tenant, namespace) has indexes of its own for each kind, of vectors and of words, so nothing of another
tenant can be found.
"""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import NamedTuple

import msgspec
import numpy as np

from auditor.passage_events import Document, DocumentKept, DocumentsDropped, OriginRegistered, Passage, PassageKind

from ..embedding import Vector
from ..licences import Said
from . import chunking
from .fusion import fused
from .index import Index, Spaces
from .lexical import Keep, LexicalIndex
from .space import Make

PassageEvent = DocumentKept | DocumentsDropped | OriginRegistered
MOST = 1024  # passages of a document: an id is the number of its event, and its place in the document


def embedded_as(document: Document, passage: Passage) -> str:
    """What a passage is embedded as: the title tells what its part is about."""
    return f"{document.title}\n{passage.text}" if document.title else passage.text


class DocumentRecord(msgspec.Struct, frozen=True, dict=True):
    """A document as it is kept now; its passages are found by ids."""

    seq: int
    at: float
    document: Document
    by: str  # the key that kept it

    @cached_property
    def said(self) -> Said:
        """What the whole document says of its licence."""
        return Said(lambda: chunking.whole(passage.text for passage in self.document.passages))

    @property
    def ids(self) -> range:
        return range(self.seq * MOST, self.seq * MOST + len(self.document.passages))

    @property
    def texts(self) -> Iterator[tuple[int, str]]:
        """What each passage is found by, by its id."""
        of = self.document
        return ((passage_id, embedded_as(of, part)) for passage_id, part in zip(self.ids, of.passages, strict=True))

    def passage(self, passage_id: int) -> tuple[int, str]:
        """Which passage of the document an id names, and its text."""
        place = passage_id % MOST
        return place, self.document.passages[place].text


class Found(NamedTuple):
    """A passage beside a query."""

    passage_id: int
    similarity: float  # cosine
    lexical: float  # share of the query's words that it has
    vector: Vector  # that it is found by
    record: DocumentRecord

    @property
    def scores(self) -> dict[str, float]:
        """How well it fits, term by term, in [0, 1]."""
        return {"similarity": max(0.0, min(1.0, self.similarity)), "lexical": self.lexical}


class PassageSpace:
    """The documents of one namespace of one tenant."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self.documents: dict[tuple[str, str], DocumentRecord] = {}  # by origin and key
        self.indexes: dict[PassageKind, Index] = {}
        self.words: dict[PassageKind, LexicalIndex] = {}
        self._by_seq: dict[int, DocumentRecord] = {}

    def keep(self, record: DocumentRecord) -> None:
        """In the place of the one that is kept under its key."""
        name = record.document.origin, record.document.key
        self.drop(*name)
        self.documents[name] = self._by_seq[record.seq] = record
        if (words := self.words.get(record.document.kind)) is None:
            words = self.words[record.document.kind] = LexicalIndex()
        for passage_id, text in record.texts:
            words.add(passage_id, text)

    def drop(self, origin: str, key: str) -> None:
        record = self.documents.pop((origin, key), None)
        if record is None:
            return
        del self._by_seq[record.seq]
        for passage_id, text in record.texts:
            self.words[record.document.kind].remove(passage_id, text)
        if (index := self.indexes.get(record.document.kind)) is not None:
            for passage_id in record.ids:
                index.remove(passage_id)

    def of_origin(self, origin: str) -> list[str]:
        """The keys of an origin, in order."""
        return sorted(key for name, key in self.documents if name == origin)

    def index(self, passage_id: int, vector: Vector) -> None:
        """Make a passage findable, unless it is gone meanwhile."""
        record = self._by_seq.get(passage_id // MOST)
        if record is not None:
            kind = record.document.kind
            if (index := self.indexes.get(kind)) is None:
                index = self.indexes[kind] = self._make(f"passages {kind}", len(vector))
            index.add(passage_id, vector)

    async def search(
        self, vector: Vector, text: str, kind: PassageKind | None, k: int, keep: Keep | None = None
    ) -> list[Found]:
        """Of a kind, or of each, the k passages that are nearest in meaning and the k that share most words.

        Where `keep` is given, those are looked for among the passages that it keeps.

        Raises:
          VectorsUnavailable: a hosted index does not answer.
        """
        kinds = [of for of in self.indexes if kind in (None, of)]
        hits = [hit for of in kinds for hit in await fused(self.indexes[of], self.words[of], vector, text, k, keep)]
        there = ((hit, self._by_seq.get(hit.key // MOST)) for hit in hits)  # what was dropped meanwhile is not
        return [Found(*hit, record) for hit, record in there if record is not None]

    async def nearest(self, vector: Vector, kind: PassageKind, k: int) -> dict[int, float]:
        """The documents that have the k passages of a kind that are nearest in meaning, each with its best cosine.

        Raises:
          VectorsUnavailable: a hosted index does not answer.
        """
        index, found = self.indexes.get(kind), dict[int, float]()
        for passage_id, similarity in [] if index is None else await index.search(vector, k):
            found.setdefault(passage_id // MOST, similarity)
        return found

    @property
    def passages(self) -> int:
        return sum(len(record.document.passages) for record in self.documents.values())


class StalePassage(NamedTuple):
    """A passage whose vector is another embedder's: it is embedded again before it can be found."""

    space: PassageSpace
    passage_id: int
    text: str


class Passages:
    """All spaces and origins. `take` folds events; nothing else changes it."""

    def __init__(self, vectors: Spaces) -> None:
        self._vectors = vectors
        self._spaces: dict[tuple[str, str], PassageSpace] = {}
        self.origins: dict[tuple[str, str], OriginRegistered] = {}  # by tenant and name
        self.embedder = ""  # vectors of other embedders cannot be compared with
        self.stale: list[StalePassage] = []

    def space(self, tenant: str, namespace: str) -> PassageSpace:
        if (space := self._spaces.get((tenant, namespace))) is None:
            space = self._spaces[tenant, namespace] = PassageSpace(partial(self._vectors.index, tenant, namespace))
        return space

    def spaces(self, tenant: str | None = None) -> Iterator[PassageSpace]:
        """Of one tenant, or of all."""
        yield from (space for (owner, _), space in self._spaces.items() if tenant in (owner, None))

    def take(self, seq: int, event: PassageEvent) -> None:
        """Fold one event."""
        match event:
            case DocumentKept():
                self._kept(seq, event)
            case DocumentsDropped():
                for document in self.dropped_by(event):
                    self.space(event.tenant, event.namespace).drop(document.origin, document.key)
            case OriginRegistered():
                self.origins[event.tenant, event.origin] = event

    def _kept(self, seq: int, event: DocumentKept) -> None:
        space, document = self.space(event.tenant, event.document.namespace), event.document
        bare = tuple(Passage(passage.text) for passage in document.passages)
        record = DocumentRecord(seq, event.at, msgspec.structs.replace(document, passages=bare), event.by)
        space.keep(record)
        for passage_id, passage in zip(record.ids, document.passages, strict=True):
            if document.embedder == self.embedder:
                space.index(passage_id, np.frombuffer(passage.vector, np.float32))
            else:
                self.stale.append(StalePassage(space, passage_id, embedded_as(document, passage)))

    def former(self, event: DocumentKept) -> DocumentRecord | None:
        """What a document takes the place of."""
        document = event.document
        return self.space(event.tenant, document.namespace).documents.get((document.origin, document.key))

    def dropped_by(self, event: DocumentsDropped) -> list[Document]:
        """What is there of that which is let go of."""
        space = self.space(event.tenant, event.namespace)
        keys = space.of_origin(event.origin) if event.key is None else [event.key]
        records = (space.documents.get((event.origin, key)) for key in keys)
        return [record.document for record in records if record is not None]

    def counts(self, tenant: str | None = None) -> dict[str, int]:
        """Of one tenant, or of all."""
        spaces = list(self.spaces(tenant))
        return {
            "documents": sum(len(space.documents) for space in spaces),
            "passages": sum(space.passages for space in spaces),
            "stale_vectors": sum(stale.space in spaces for stale in self.stale),
        }
