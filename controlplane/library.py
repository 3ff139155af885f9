"""The calls about documents: keep, find, list and drop them, and register where they come from."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

import msgspec
import structlog

from auditor import Learner
from auditor.events import AnyEvent
from auditor.passage_events import Document, DocumentKept, DocumentsDropped, OriginRegistered, Passage

from .clock import Clock
from .contract import (
    DocumentList,
    DocumentOriginAnswer,
    DocumentRequest,
    DocumentsAnswer,
    DocumentSearchAnswer,
    DocumentSearchRequest,
    DocumentsRequest,
    KeptAnswer,
    ListedDocument,
    OriginRequest,
)
from .embedding import BatchingEmbedder, EmbedderUnreachable, EmbeddingUnavailable
from .errands import Errands
from .errors import EmbedderLoading, JournalUnavailable, NotFound, StorageFull
from .executor.matching import Sought
from .executor.telling import Asking
from .failpoints import failpoint
from .journal import Journal
from .llm.redaction import redacted
from .masking import masked, without_secrets
from .memory import chunking
from .memory.passages import MOST, DocumentRecord, embedded_as
from .memory.purging import overwrite_documents
from .memory.ranking import weights_of
from .memory.retrieval import Query, context, found, result
from .memory.safety import Filters
from .memory.store import MemoryStore
from .tenants import Caller

log = structlog.get_logger()
PAGE = 1000  # documents of one page of a list
TOGETHER = 16  # passages embedded at once, so that a decision that comes meanwhile waits for no more
SECRET_KEY = "its key holds what looks like a secret, which would be shown; give it another"
NO_TEXT = "it has no text but blanks and marks that are not seen"
TOO_MANY = f"it has more than {MOST} passages; send it in parts"
DROPPED_BUT = (
    "It is dropped, but its content is still on disk: it is overwritten with the next write, or by the next start."
)
NOT_EMBEDDED = "the embedding model fails on one of its passages"

Kept = Mapping[tuple[str, str], DocumentRecord]  # by origin and key


class Library:
    """Everything a client does to documents."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        embedder: BatchingEmbedder,
        clock: Clock,
    ) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._embedder, self._clock, self._errands = embedder, clock, Errands()
        self._appending = asyncio.Lock()
        self._cutter = ThreadPoolExecutor(1, thread_name_prefix="documents")  # long ones hold up no other kind of call

    async def keep(self, caller: Caller, request: DocumentsRequest) -> DocumentsAnswer:
        """Keep documents, each in the place of the one under its key; one that is there as it is changes nothing.

        Raises:
          EmbedderLoading: nothing can be embedded for now.
        """
        kept = self._memory.passages.space(caller.tenant, request.namespace).documents
        answers, new = dict[int, KeptAnswer](), dict[int, Document]()
        for place, asked in enumerate(request.documents):
            cut = asyncio.get_running_loop().run_in_executor
            document = await cut(self._cutter, self._document, caller.tenant, request, asked)
            if isinstance(document, KeptAnswer):
                answers[place] = document
                continue
            if _has(kept, document):
                answers[place] = _answer(document, "unchanged")
            elif (embedded := await self._embedded(document)) is None:
                answers[place] = KeptAnswer(key=document.key, status="refused", passages=0, why=NOT_EMBEDDED)
            else:
                new[place] = embedded
        if new:
            answers.update(await self._errands.finish(self._append_new(caller, kept, new)))
        return DocumentsAnswer(documents=[answers[place] for place in range(len(answers))])

    def _document(self, tenant: str, request: DocumentsRequest, asked: DocumentRequest) -> Document | KeptAnswer:
        """A document as it is kept, not embedded yet; or why it is not."""
        origin, text = request.origin, redacted(asked.text)
        key = asked.key or blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        registered = self._memory.passages.origins.get((tenant, origin))
        licence = asked.license or (registered.license if registered else None)
        parts = chunking.passages(text)
        violation = self._memory.denied.objection(licence, asked.text)
        why = violation or (NO_TEXT if not parts else TOO_MANY if len(parts) > MOST else None)
        if key != without_secrets(key):
            key, why = without_secrets(key), SECRET_KEY
        if why is not None:
            return KeptAnswer(key=key, status="refused", passages=0, why=why, violation=why == violation)
        fields: dict[str, Any] = {
            "namespace": request.namespace,
            "origin": origin,
            "key": key,
            "kind": asked.kind,
            "title": redacted(asked.title),
            "license": licence and without_secrets(licence),
            "metadata": masked(asked.metadata, most=None),
            "version": without_secrets(asked.version),
            "enhancement": asked.enhancement,
            "alignment_severity": asked.alignment_severity,
            "semantic_alerts": asked.semantic_alerts,
        }
        digest = blake2b(msgspec.json.encode([fields, text], order="sorted"), digest_size=16).hexdigest()
        return Document(**fields, digest=digest, embedder="", passages=tuple(Passage(part) for part in parts))

    async def _embedded(self, document: Document) -> Document | None:
        """With the vectors that its passages are found by; None where one cannot be embedded.

        Raises:
          EmbedderLoading: none can, for now.
        """
        texts = [embedded_as(document, passage) for passage in document.passages]
        vectors = list[bytes]()
        for start in range(0, len(texts), TOGETHER):
            try:
                page = await self._embedder.embed_many(texts[start : start + TOGETHER])
            except EmbedderUnreachable as error:
                raise EmbedderLoading(str(error)) from error
            for vector in page:
                if vector is None:
                    return None
                vectors.append(vector.tobytes())
        parts = tuple(Passage(p.text, vector) for p, vector in zip(document.passages, vectors, strict=True))
        return msgspec.structs.replace(document, embedder=self._embedder.name, passages=parts)

    async def _append_new(self, caller: Caller, kept: Kept, new: Mapping[int, Document]) -> dict[int, KeptAnswer]:
        """Journal what no other call did meanwhile; the answers, by place."""
        async with self._appending:
            fresh = {place: document for place, document in new.items() if not _has(kept, document)}
            if fresh:
                await self._append(caller, list(fresh.values()))
        return {place: _answer(doc, "kept" if place in fresh else "unchanged") for place, doc in new.items()}

    async def _append(self, caller: Caller, documents: Sequence[Document]) -> None:
        """Journal them, and overwrite what they take the place of."""
        at, by = self._clock.now(), caller.key_id
        events = [DocumentKept(tenant=caller.tenant, at=at, document=document, by=by) for document in documents]
        known = {event.ref for event in events if self._memory.passages.former(event) is not None}
        seq = await self._commit(*events)
        newest = {event.ref: place for place, event in enumerate(events, seq)}
        former = newest if len(newest) < len(events) else {ref: newest[ref] for ref in known}
        try:
            await overwrite_documents(self._journal, caller.tenant, former)
        except (StorageFull, JournalUnavailable) as error:  # what was asked for is done, and this is owed
            log.error("documents_not_overwritten", documents=sorted(former), error=str(error), until="the next write")

    async def _commit(self, *events: AnyEvent) -> int:
        """The first's number, once all are folded."""
        first = await self._journal.append(*events)
        failpoint("documents.appended")
        await self._learner.reached(first + len(events) - 1)
        return first

    async def search(self, caller: Caller, request: DocumentSearchRequest) -> DocumentSearchAnswer:
        """The k best passages after filters, and as a text with its sources where that is asked for.

        Raises:
          EmbedderLoading: the model is not there yet.
          Unprocessable: a fingerprint that is none.
        """
        text, now = redacted(request.query), self._clock.now()
        filters = Filters(request.safety, self._memory.denied, now)
        try:
            vector = await self._embedder.embed(text)
        except EmbeddingUnavailable as error:
            raise EmbedderLoading(str(error)) from error
        fold = self._learner.state.of(caller.tenant)
        space = self._memory.passages.space(caller.tenant, request.namespace)
        sought, weights = Sought.of(text, "", vector, {}, now), weights_of(fold)
        asking = Asking(self._memory, fold, request.namespace, caller.key_id, sought)
        query = Query(
            vector=vector,
            text=text,
            kind=request.kind,
            origin=request.origin,
            metadata=request.filters,
            k=request.k,
            min_similarity=request.min_similarity,
        )
        hits, filtered = await found(space, query, weights, lambda of: filters.reason(asking.looks_of_document(of)))
        results = [result(hit, weights) for hit in hits]
        told, size = None, None
        if request.format == "context":
            told, size, results = await asyncio.to_thread(context, results, hits, text, request.token_budget)
        fallback = ("embedding_fallback",) if self._embedder.state.status == "fallback" else ()
        return DocumentSearchAnswer(results=results, filtered=filtered, context=told, tokens=size, degraded=fallback)

    def listed(self, tenant: str, origin: str, namespace: str, after: str) -> DocumentList:
        """A page of an origin's documents, by their keys."""
        space = self._memory.passages.space(tenant, namespace)
        keys = [key for key in space.of_origin(origin) if key > after]
        page = [(space.documents[origin, key].by, space.documents[origin, key].document) for key in keys[:PAGE]]
        shown = [ListedDocument(key=d.key, by=by, version=d.version, passages=len(d.passages)) for by, d in page]
        return DocumentList(documents=shown, next=keys[PAGE - 1] if len(keys) > PAGE else None)

    async def drop(self, caller: Caller, origin: str, namespace: str, key: str | None) -> None:
        """Let go of a document, or of an origin's whole namespace; their contents are overwritten.

        Raises:
          NotFound: there is none.
        """
        drop = DocumentsDropped(
            tenant=caller.tenant, at=self._clock.now(), namespace=namespace, origin=origin, key=key, by=caller.key_id
        )
        documents = self._memory.passages.dropped_by(drop)
        if not documents:
            raise NotFound("No such document is kept; GET /v1/documents lists those of an origin.")
        await self._errands.finish(self._drop(drop, [document.ref for document in documents]))

    async def _drop(self, drop: DocumentsDropped, refs: Sequence[str]) -> None:
        seq = await self._commit(drop)
        try:
            await overwrite_documents(self._journal, drop.tenant, dict.fromkeys(refs, seq))
        except (StorageFull, JournalUnavailable) as refusal:
            raise type(refusal)(DROPPED_BUT) from refusal

    async def register(self, caller: Caller, request: OriginRequest) -> DocumentOriginAnswer:
        """Say what an origin is, and under which licence its documents are that name none."""
        registered = OriginRegistered(
            tenant=caller.tenant,
            at=self._clock.now(),
            origin=request.origin,
            what=request.what,
            license=request.license and without_secrets(request.license),
            by=caller.key_id,
        )
        await self._commit(registered)
        return _origin(registered.origin, registered, self._sizes(caller.tenant).get(registered.origin, []))

    def origins(self, tenant: str) -> list[DocumentOriginAnswer]:
        """Every origin that is registered, or of which something is kept."""
        registered = {name: event for (owner, name), event in self._memory.passages.origins.items() if owner == tenant}
        sizes = self._sizes(tenant)
        return [_origin(name, registered.get(name), sizes.get(name, [])) for name in sorted({*registered, *sizes})]

    def _sizes(self, tenant: str) -> dict[str, list[int]]:
        """How many passages each document of an origin has."""
        sizes = dict[str, list[int]]()
        for space in self._memory.passages.spaces(tenant):
            for (origin, _), record in space.documents.items():
                sizes.setdefault(origin, []).append(len(record.document.passages))
        return sizes


def _origin(name: str, registered: OriginRegistered | None, sizes: Sequence[int]) -> DocumentOriginAnswer:
    return DocumentOriginAnswer(
        origin=name,
        what="documents" if registered is None else registered.what,
        license=None if registered is None else registered.license,
        registered=registered is not None,
        documents=len(sizes),
        passages=sum(sizes),
    )


def _has(kept: Kept, document: Document) -> bool:
    """Whether it is there as it is."""
    known = kept.get((document.origin, document.key))
    return known is not None and known.document.digest == document.digest


def _answer(document: Document, status: Any) -> KeptAnswer:
    return KeptAnswer(key=document.key, status=status, passages=len(document.passages), why=None)
