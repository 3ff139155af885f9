"""Finds passages, and packs them into a text with their sources."""

from collections.abc import Mapping

import msgspec

from auditor.passage_events import Document, PassageKind

from ..contract import PassageResult
from ..embedding import Vector
from ..licences import Denylist
from .chunking import tokens
from .passages import Found, PassageSpace

OVERSAMPLING = 4  # passages looked at per result, so that filters have something to choose from


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for beside a vector; of `metadata` every entry has to be there, a list for any of its values."""

    kind: PassageKind | None
    origin: str | None
    metadata: Mapping[str, object]
    k: int
    min_similarity: float


def found(space: PassageSpace, vector: Vector, query: Query, denied: Denylist) -> tuple[list[Found], dict[str, int]]:
    """The k most similar passages that fit, and how many that are as similar did not, by why."""
    narrow = query.metadata or query.origin is not None
    hits = space.search(vector, query.kind, space.passages if narrow else query.k * OVERSAMPLING)
    kept, filtered = list[Found](), dict[str, int]()
    for hit in hits:
        why = _filtered_by(hit, query, denied)
        if why is not None:
            filtered[why] = filtered.get(why, 0) + 1
        else:
            kept.append(hit)
    return kept[: query.k], filtered


def _filtered_by(hit: Found, query: Query, denied: Denylist) -> str | None:
    document = hit.record.document
    if hit.similarity < query.min_similarity:
        return "min_similarity"
    if denied.denies(document.license):
        return "license"
    if query.origin not in (None, document.origin):
        return "origin"
    return next((name for name, wanted in query.metadata.items() if not _fits(document, name, wanted)), None)


def _fits(document: Document, name: str, wanted: object) -> bool:
    has = document.metadata.get(name)
    return has in wanted if isinstance(wanted, list) else has == wanted


def result(hit: Found) -> PassageResult:
    """A passage as it is told."""
    document = hit.record.document
    place, text = hit.record.passage(hit.passage_id)
    return PassageResult(
        passage_id=hit.passage_id,
        score=round(hit.similarity, 4),
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


def context(results: list[PassageResult], budget: int) -> tuple[str, int, list[PassageResult]]:
    """The passages as one text with numbered sources, its tokens, and those that found room, in that order."""
    told, used, size = list[str](), list[PassageResult](), 0
    for passage in results:
        part = f"[{len(used) + 1}] {_source(passage)}\n{passage.text}"
        cost = tokens(part)
        if size + cost <= budget:
            told.append(part)
            used.append(passage)
            size += cost
    return "\n\n".join(told), size, used


def _source(passage: PassageResult) -> str:
    named = f"{passage.title} " if passage.title else ""
    licence = f", licence {passage.license}" if passage.license else ""
    return f"{named}({passage.origin}: {passage.key}, part {passage.part} of {passage.parts}{licence})"
