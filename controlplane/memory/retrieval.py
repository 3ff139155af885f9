"""Finds passages, and packs them into a text with their sources."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from auditor.passage_events import Document, PassageKind

from ..contract import PassageResult
from ..embedding import Vector
from .chunking import tokens
from .context import Candidate, pack
from .fusion import WIDEST
from .lexical import Keep
from .passages import DocumentRecord, Found, PassageSpace
from .ranking import Weights

OVERSAMPLING = 4  # passages looked at per result, so that ranking and filters have something to choose from
WIDENING = 8  # times as many, while filters leave too few
TURN = 200  # documents that are gone through before others have theirs
LONGEST_MARK = "[100]"  # the number of a source, at most

Unsafe = Callable[[DocumentRecord], str | None]  # why a document is not told, by the name of what keeps it out


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; of `metadata` every entry has to be there, a list for any of its values."""

    vector: Vector
    text: str
    kind: PassageKind | None
    origin: str | None
    metadata: Mapping[str, object]
    k: int
    min_similarity: float


async def found(
    space: PassageSpace, query: Query, weights: Weights, unsafe: Unsafe
) -> tuple[list[Found], dict[str, int]]:
    """The k best passages that fit, and how many were looked at that do not, by why.

    Ever more are looked at while too few fit; where WIDEST are not enough, all documents are gone through, once.
    """

    def kept_out_by(record: DocumentRecord) -> str | None:
        return _filtered_by(record.document, query) or unsafe(record)

    most, keep, removed = query.k * OVERSAMPLING, None, Counter[str]()
    while True:
        hits = await space.search(query.vector, query.text, query.kind, most, keep)
        kept, filtered = list[Found](), removed.copy()
        for hit in hits:
            near = hit.similarity >= query.min_similarity
            why = None if near and keep else kept_out_by(hit.record) if near else "min_similarity"
            if why is None:
                kept.append(hit)
            else:
                filtered[why] += 1
        near_enough = sum(hit.similarity >= query.min_similarity for hit in hits)
        if len(kept) >= query.k or near_enough < most or keep:
            best = sorted(kept, key=lambda hit: (-weights.of(hit.scores), hit.passage_id))
            return best[: query.k], dict(filtered)
        if most >= WIDEST:
            keep, removed = await _fitting(space, query.kind, kept_out_by)
            most = query.k * OVERSAMPLING
        else:
            most = min(WIDEST, WIDENING * most)


async def _fitting(space: PassageSpace, kind: PassageKind | None, kept_out_by: Unsafe) -> tuple[Keep, Counter[str]]:
    """Which passages are of documents that no filter removes, and how many each one does."""
    fits, removed = set[int](), Counter[str]()
    for place, record in enumerate([*space.documents.values()]):
        if place % TURN == 0:
            await asyncio.sleep(0)
        if kind not in (None, record.document.kind):
            continue
        if (why := kept_out_by(record)) is None:
            fits.update(record.ids)
        else:
            removed[why] += len(record.ids)
    return fits.__contains__, removed


def _filtered_by(document: Document, query: Query) -> str | None:
    if query.origin not in (None, document.origin):
        return "origin"
    return next((name for name, wanted in query.metadata.items() if not _fits(document, name, wanted)), None)


def _fits(document: Document, name: str, wanted: object) -> bool:
    has = document.metadata.get(name)
    return has in wanted if isinstance(wanted, list) else has == wanted


def result(hit: Found, weights: Weights) -> PassageResult:
    """A passage as it is told."""
    document = hit.record.document
    place, text = hit.record.passage(hit.passage_id)
    return PassageResult(
        passage_id=hit.passage_id,
        score=round(weights.of(hit.scores), 4),
        scores={term: round(score, 4) for term, score in hit.scores.items()},
        text=text,
        part=place + 1,
        parts=len(document.passages),
        key=document.key,
        origin=document.origin,
        kind=document.kind,
        title=document.title,
        license=document.license,
        metadata=document.metadata,
        enhancement=document.enhancement,
        alignment_severity=document.alignment_severity,
        semantic_alerts=document.semantic_alerts,
    )


def context(
    results: Sequence[PassageResult], hits: Sequence[Found], query: str, budget: int
) -> tuple[str, int, list[PassageResult]]:
    """The passages as one text with numbered sources, its tokens, and those that found room, in that order.

    `hits` are what the results were made of, in the same order.
    """
    candidates = [
        Candidate(of.score, {"place": place, "source": _source(of), "text": of.text}, hit.vector)
        for place, (of, hit) in enumerate(zip(results, hits, strict=True))
    ]
    chosen = pack(candidates, query, budget, tokens, _told).chosen
    text = "".join(_told(one.entry, f"[{number}]") for number, one in enumerate(chosen, 1)).strip()
    return text, tokens(text), [results[int(str(one.entry["place"]))] for one in chosen]


def _told(entry: Mapping[str, object], mark: str = LONGEST_MARK) -> str:
    return f"{mark} {entry['source']}\n{entry['text']}\n\n"


def _source(passage: PassageResult) -> str:
    named = f"{passage.title} " if passage.title else ""
    licence = f", licence {passage.license}" if passage.license else ""
    return f"{named}({passage.origin}: {passage.key}, part {passage.part} of {passage.parts}{licence})"
