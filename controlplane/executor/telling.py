"""Memories as they may be told to who asks: episodes as far as the asking key may read them, passages with sources."""

from collections.abc import Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import NamedTuple

import msgspec

from auditor.fold import TenantFold
from auditor.passage_events import Document, PassageKind

from ..memory.clusters import representatives
from ..memory.context import CUT
from ..memory.passages import DocumentRecord, Found
from ..memory.ranking import Match, recency, worth
from ..memory.safety import Looks
from ..memory.space import EpisodeRecord
from ..memory.store import MemoryStore
from ..memory.tellable import Tellable
from .hearsay import Hearsay
from .matching import Sought, recall_matches, validations_of

METADATA, LONGEST = 16, 200  # entries that are told of a document's metadata, and what each may have
EPISODES, DOCUMENTS, PATCHES, RECORDS = "errors", "documents", "enhancements", "records"  # what an unnamed origin is
OF_KIND: dict[PassageKind, str] = {"document": DOCUMENTS, "patch": PATCHES, "record": RECORDS}


class Asking(NamedTuple):
    """Who asks, in which namespace, for what."""

    memory: MemoryStore
    fold: TenantFold
    namespace: str
    asker: str
    sought: Sought

    def what(self, origin: str, default: str) -> str:
        """That which an origin is: as it was registered, else by what is kept of it."""
        registered = self.memory.passages.origins.get((self.fold.tenant, origin))
        return default if registered is None else registered.what

    def trust(self, what: str, origin: str) -> float:
        """How often sessions with memories of an origin went well, in (0, 1)."""
        return self.fold.sessions.origin(what, origin).success_rate

    def looks_of(self, record: EpisodeRecord) -> Looks:
        """What safety looks at in a failure."""
        episode, custom, alerts = record.episode, record.episode.custom, record.episode.custom.get("semantic_alerts")
        return Looks(
            at=record.at,
            alignment_severity=_number(custom.get("alignment_severity")),
            semantic_alerts=len(alerts) if isinstance(alerts, list) else int(_number(alerts)),
            license=episode.license,
            text=episode.resolution,
            trust=self.trust(self.what(episode.origin, EPISODES), episode.origin),
        )

    def looks_of_document(self, record: DocumentRecord) -> Looks:
        """What safety looks at in a document, whichever part of it was found."""
        document = record.document
        return Looks(
            at=record.at,
            alignment_severity=document.alignment_severity or 0.0,
            semantic_alerts=document.semantic_alerts or 0,
            license=document.license,
            text=record.said,
            trust=self.trust(self.what(document.origin, OF_KIND[document.kind]), document.origin),
        )


async def episodes(asking: Asking, k: int) -> list[Tellable]:
    """Similar failures: the k best that the asking key may read, and what else is among the k best of all.

    Of the latter some words may be told, until the key has a fix of its own that was seen to work; else it is hearsay.
    """
    space, fold, sought = asking.memory.space(asking.fold.tenant, asking.namespace), asking.fold, asking.sought
    hearsay = Hearsay(asking.asker, space, fold)
    matches = await recall_matches(space, fold, sought, k)
    other = [match for match in matches if not hearsay.may_read(match.record)]
    if other:
        matches = await recall_matches(space, fold, sought, k, lambda key: hearsay.may_read(space.episodes[key]))
    proven = hearsay.has_proof
    return [
        *(_episode(asking, match, _told(match, hearsay)) for match in matches),
        *(_episode(asking, match, {} if proven else _told(match, hearsay)) for match in other),
    ]


def clustered(asking: Asking, ranked: Sequence[Tellable], k: int) -> list[Tellable]:
    """The k best: of failures that are nearly the same the first alone, with how many others it stands for."""
    space = asking.memory.space(asking.fold.tenant, asking.namespace)
    readable = Hearsay(asking.asker, space, asking.fold).may_read
    shown = representatives([one.match for one in ranked if one.match is not None], readable, k)
    best = [one for one in ranked if one.match is None or one.item in shown][:k]
    return [one._replace(alike=shown.get(one.item, 0)) for one in best]


def _told(match: Match, hearsay: Hearsay) -> dict[str, object]:
    """The words of an episode that may be told; none where only one other key tells them."""
    record = match.record
    goal, plan, cause = hearsay.goal(record), hearsay.plan(record), hearsay.cause(record)
    resolution = hearsay.resolution(record)
    lines = [goal, plan and f"Tried: {plan}", cause and f"Failed: {cause}"]
    said: dict[str, object] = {"text": "\n".join(line for line in lines if line), "resolution": resolution}
    return {"error_class": hearsay.error_class(record), **said} if any(said.values()) else {}


def _episode(asking: Asking, match: Match, told: dict[str, object]) -> Tellable:
    episode = match.record.episode
    what = asking.what(episode.origin, EPISODES)
    return Tellable(
        item=match.record.episode_id,
        kind="episode",
        what=what,
        origin=episode.origin,
        like=episode.error_class,
        scores=match.scores,
        similarity=match.similarity,
        entry={**told, "license": episode.license, "worth": match.standing.spoken},
        vector=match.vector,
        looks=asking.looks_of(match.record),
        standing=match.standing,
        match=match,
        hearsay=not told,
    )


def _number(value: object) -> float:
    """A figure that a capture states, also where it is a text: a bound is not passed by writing it so."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0
    return number if isfinite(number) else 0.0


async def passages(asking: Asking, kind: PassageKind, k: int) -> list[Tellable]:
    """Parts of documents of a kind."""
    space = asking.memory.passages.space(asking.fold.tenant, asking.namespace)
    return [_passage(asking, hit) for hit in await space.search(asking.sought.vector, asking.sought.text, kind, k)]


def _passage(asking: Asking, hit: Found) -> Tellable:
    document, fold = hit.record.document, asking.fold
    what = asking.what(document.origin, OF_KIND[document.kind])
    standing, place_text = fold.worth.standing(hit.record.seq, document.kind), hit.record.passage(hit.passage_id)
    uplift, trust = fold.worth.uplift_of_origin(document.origin), asking.trust(what, document.origin)
    used = validations_of(asking.memory.space(fold.tenant, asking.namespace), fold, hit.record.seq)
    return Tellable(
        item=hit.record.seq,
        kind=document.kind,
        what=what,
        origin=document.origin,
        like=document.kind,
        scores={
            **hit.scores,
            "recency": recency(asking.sought.now - hit.record.at),
            "worth": worth(used.successes, used.failures, standing.uplift),
            "origin": max(0.0, min(1.0, trust + uplift / 2.0)),
        },
        similarity=hit.similarity,
        entry={**_source(document), "part": place_text[0] + 1, "text": place_text[1], "worth": standing.spoken},
        vector=hit.vector,
        looks=asking.looks_of_document(hit.record),
        standing=standing,
    )


def _source(document: Document) -> dict[str, object]:
    return {
        "key": document.key,
        "title": document.title,
        "license": document.license,
        "enhancement": document.enhancement,
        "metadata": _brief(document.metadata),
    }


def _brief(metadata: Mapping[str, object]) -> dict[str, object]:
    """As much of it as leaves room for the text that it is about."""
    told = islice(((name, value) for name, value in metadata.items() if len(name) <= LONGEST), METADATA)
    return {name: value if len(msgspec.json.encode(value)) <= LONGEST else _begun(value) for name, value in told}


def _begun(value: object) -> str:
    return f"{value[:LONGEST]} {CUT}" if isinstance(value, str) else CUT
