"""Retrieving: the best memories for a query, packed into a context; patches; and what came of them, by session."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from auditor import Learner
from auditor.answers import SessionResult
from auditor.changes import MemoryKind
from auditor.events import Validated
from auditor.fold import TenantFold
from auditor.session_events import Queried, SessionReported
from auditor.trace import Offered

from .clock import Clock
from .contract import (
    ContextAnswer,
    ContextRequest,
    OriginReturn,
    PatchAnswer,
    PatchRequest,
    PatchResult,
    Safety,
    SessionAnswer,
    SessionRequest,
    SessionsAnswer,
    UsedOrigin,
)
from .embedding import BatchingEmbedder, EmbeddingUnavailable, Vector
from .errands import Errands
from .errors import EmbedderLoading, JournalUnavailable, StorageFull
from .executor.matching import Sought
from .executor.telling import Asking, clustered, episodes, passages
from .executor.withholding import probability_of
from .failpoints import failpoint
from .idempotency import Receipt
from .ids import new_id
from .influence import Influence
from .journal import Journal
from .llm.redaction import redacted
from .memory.chunking import tokens
from .memory.context import Packed, pack
from .memory.fusion import WIDEST
from .memory.ranking import Weights, weights_of
from .memory.safety import Filters
from .memory.store import MemoryStore
from .memory.tellable import Tellable
from .memory.texts import plan_text
from .ranker import standing_weights
from .settings import Settings
from .tenants import Caller

PLURAL: dict[MemoryKind, str] = {
    "episode": "episodes",
    "document": "documents",
    "patch": "patches",
    "record": "records",
}
HEARSAY = "hearsay"  # kept out for being it, which hides nothing
WIDENING = 8  # times as many are looked at, while safety leaves too few
LookedAt = Callable[[int], Awaitable[list[Tellable]]]


class Retrieving:
    """Answers queries from memory, and learns from what comes of the answers."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        embedder: BatchingEmbedder,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._learner, self._journal, self._memory, self._embedder = learner, journal, memory, embedder
        self._clock = clock
        self._share, self._rng = settings.withheld_share, random.Random(_seed(settings.seed))
        self._influence, self._errands = Influence(learner, clock), Errands()

    async def context(self, caller: Caller, request: ContextRequest) -> ContextAnswer:
        """The best memories under a budget of tokens.

        Raises:
          EmbedderLoading: the model is not there yet.
          Unprocessable: a fingerprint that is none.
        """
        query = plan_text(request.goal, request.planned_action)
        vector, degraded = await self._embed(query)
        now, current = self._clock.now(), request.current_state
        sought = Sought.of(request.goal, request.planned_action, vector, current, now)
        asking = self._asking(caller, request.namespace, sought)
        kinds, weights = dict.fromkeys(request.kinds), weights_of(asking.fold)

        async def looked_at(most: int) -> list[Tellable]:
            return [one for kind in kinds for one in await _of_kind(asking, kind, most)]

        kept, filtered = await self._widened(looked_at, request.k, request.k, request.safety, request.min_similarity)
        ranked = sorted(kept, key=lambda one: -weights.of(one.scores))
        best = clustered(asking, ranked, request.k)

        counted = cache(tokens)  # what is withheld has it packed again

        def packed_of(told: Iterable[Tellable]) -> Packed:
            return pack([one.candidate(weights) for one in told], query, request.token_budget, counted)

        drawn, told = self._drawn(asking.fold, best)
        packed, offered = await asyncio.to_thread(_packed, best, told, drawn, packed_of)
        parts = {(candidate.entry["memory_id"], candidate.entry.get("part")) for candidate in packed.chosen}
        shown = _once(one for one in best if (one.item, one.entry.get("part")) in parts)
        session_id = await self._began(caller, request.namespace, shown, offered)
        origins = Counter((one.what, one.origin) for one in shown)
        return ContextAnswer(
            session_id=session_id,
            context=_by_kind(packed.chosen, {one.item: one.kind for one in best}),
            origins=[UsedOrigin(what=what, origin=name, memories=n) for (what, name), n in origins.most_common()],
            tokens=packed.tokens,
            left_out=packed.left_out,
            repeated=packed.repeated,
            filtered=filtered,
            degraded=degraded,
        )

    async def patches(self, caller: Caller, request: PatchRequest) -> PatchAnswer:
        """The best patches, each by the part of it that fits best.

        Raises:
          EmbedderLoading: the model is not there yet.
          Unprocessable: a fingerprint that is none.
        """
        query = redacted(request.query)
        vector, degraded = await self._embed(query)
        asking = self._asking(caller, request.namespace, Sought.of(query, "", vector, {}, self._clock.now()))
        weights, own = weights_of(asking.fold), request.enhancement_weight

        async def looked_at(most: int) -> list[Tellable]:
            return [_enhanced(one, weights, own) for one in await passages(asking, "patch", most)]

        kept, filtered = await self._widened(looked_at, request.k, 4 * request.k, request.safety)
        best = sorted(kept, key=lambda one: -one.scores["score"])
        good = [one for one in _once(best) if one.scores["score"] >= request.min_score][: request.k]
        offered, told = self._drawn(asking.fold, good)
        session_id = await self._began(caller, request.namespace, told, offered)
        results = [_patch(one) for one in told]
        return PatchAnswer(session_id=session_id, results=results, filtered=filtered, degraded=degraded)

    async def _embed(self, text: str) -> tuple[Vector, tuple[str, ...]]:
        try:
            vector = await self._embedder.embed(text)
        except EmbeddingUnavailable as error:
            raise EmbedderLoading(str(error)) from error
        return vector, ("embedding_fallback",) if self._embedder.state.status == "fallback" else ()

    def _asking(self, caller: Caller, namespace: str, sought: Sought) -> Asking:
        return Asking(self._memory, self._learner.state.of(caller.tenant), namespace, caller.key_id, sought)

    async def _widened(
        self, looked_at: LookedAt, k: int, most: int, bounds: Safety, min_similarity: float = -1.0
    ) -> tuple[list[Tellable], dict[str, int]]:
        """What may be told, and what of it was kept out by why: ever more is looked at, while bounds leave too few."""
        before = 0
        while True:
            found = await looked_at(most)
            near = [one for one in found if one.similarity >= min_similarity]
            kept, filtered = self._safe(near, bounds)
            if not filtered.keys() - {HEARSAY} or len(kept) >= k or len(near) == before or most >= WIDEST:
                return kept, filtered | ({"min_similarity": len(found) - len(near)} if len(near) < len(found) else {})
            before, most = len(near), min(WIDEST, WIDENING * most)

    def _safe(self, found: Iterable[Tellable], bounds: Safety) -> tuple[list[Tellable], dict[str, int]]:
        """What may be told, and how many may not, by why."""
        filters = Filters(bounds, self._memory.denied, self._clock.now())
        kept, filtered = list[Tellable](), Counter[str]()
        for one in found:
            harms = one.standing.status == "harms"
            why = HEARSAY if one.hearsay else "harms" if harms else filters.reason(one.looks)
            if why is None:
                kept.append(one)
            else:
                filtered[why] += 1
        return kept, dict(filtered)

    def _drawn(self, fold: TenantFold, best: Sequence[Tellable]) -> tuple[tuple[Offered, ...], list[Tellable]]:
        """A small share is withheld at random: what comes of sessions without it shows what it is worth."""
        if not self._share:
            return (), list(best)
        offered = {}
        for one in best:
            if one.item not in offered:
                probability = probability_of(fold, one.item, self._share)
                withheld = self._rng.random() < probability
                offered[one.item] = Offered(one.item, withheld, probability, one.like, one.origin, one.kind)
        return tuple(offered.values()), [one for one in best if not offered[one.item].withheld]

    async def _began(
        self, caller: Caller, namespace: str, shown: Sequence[Tellable], offered: tuple[Offered, ...]
    ) -> str:
        """The id of the session, once it is on disk."""
        session_id = new_id("se")
        event = Queried(
            tenant=caller.tenant,
            at=self._clock.now(),
            session_id=session_id,
            namespace=namespace,
            shown=tuple(one.shown for one in shown),
            offered=offered,
            by=caller.key_id,
        )
        seq = await self._journal.append(event)
        failpoint("query.appended")
        await self._learner.reached(seq)
        return session_id

    async def report(
        self, caller: Caller, session_id: str, request: SessionRequest, receipt: Receipt | None = None
    ) -> SessionAnswer:
        """Join what came of a session to it."""
        result = await self._errands.finish(self._reported(caller, session_id, request, receipt))
        return SessionAnswer(
            updated=result.updated, duplicate=result.duplicate, reason=result.reason, returned=result.returned
        )

    async def _reported(
        self, caller: Caller, session_id: str, request: SessionRequest, receipt: Receipt | None
    ) -> SessionResult:
        repeated = receipt is not None and receipt.received is not None
        with self._influence.claim(caller) as counts:
            event = SessionReported(
                tenant=caller.tenant,
                at=self._clock.now(),
                session_id=session_id,
                success=request.success,
                contribution=request.contribution,
                used=request.used,
                by=caller.key_id,
                counts=counts,
            )
            seq = await (receipt or self._journal).append(event)
            failpoint("session.appended")
            result = await self._learner.reached(seq)
        assert isinstance(result, SessionResult)
        if result.updated and not repeated:
            await self._judged(event)
        return result

    async def _judged(self, told: SessionReported) -> None:
        """A patch that was used is a fix that was run: how that ended is a validation of it.

        Where nobody said what was used, only what was shown alone was. The outcome is journalled already, so nothing
        here may refuse it.
        """
        session = self._learner.state.of(told.tenant).sessions.open.get(told.session_id)
        shown = () if session is None else session.shown  # none where its window ended meanwhile
        used = [one for one in shown if one.item in told.used] if told.used else shown if len(shown) == 1 else ()
        said: dict[str, Any] = {
            "tenant": told.tenant,
            "at": told.at,
            "trace_id": None,
            "success": told.success,
            "by": told.by,
        }
        validated = [
            Validated(**said, episode_id=one.item, applied_suggestion=True, fix=False)
            for one in used
            if one.kind == "patch"
        ]
        if validated:
            with contextlib.suppress(JournalUnavailable, StorageFull):
                await self._learner.reached(await self._journal.append(*validated) + len(validated) - 1)

    def sessions(self, tenant: str) -> SessionsAnswer:
        """What came of sessions, by where their memories were from, and the weights in force."""
        fold = self._learner.state.of(tenant)
        return SessionsAnswer(
            open=sum(session.outcome is None for session in fold.sessions.open.values()),
            outcomes=fold.sessions.outcomes,
            origins=[
                OriginReturn(
                    what=what,
                    origin=origin,
                    sessions=round(tally.sessions, 4),
                    success_rate=round(tally.success_rate, 4),
                    mean_return=round(tally.mean_return, 4),
                    deviation=round(tally.deviation, 4),
                )
                for (what, origin), tally in sorted(fold.sessions.origins.items())
            ],
            ranker=standing_weights(fold),
        )


def _packed(
    best: Sequence[Tellable],
    told: Sequence[Tellable],
    drawn: Sequence[Offered],
    packed_of: Callable[[Iterable[Tellable]], Packed],
) -> tuple[Packed, tuple[Offered, ...]]:
    """What is told, and of what was drawn that which found room, or would have found it were it not withheld.

    Blocking: to count the tokens of much takes long.
    """
    packed, there = packed_of(told), {one.item for one in told}

    def has_room(of: Offered) -> bool:
        item = of.episode_id
        with_it = packed_of(one for one in best if one.item in there | {item}) if of.withheld else packed
        return any(candidate.entry["memory_id"] == item for candidate in with_it.chosen)

    return packed, tuple(filter(has_room, drawn))


def _seed(seed: int | None) -> str | None:
    return None if seed is None else f"sessions {seed}"


def _by_kind(chosen: Iterable[Any], kinds: dict[int, MemoryKind]) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {}
    for candidate in chosen:
        told.setdefault(PLURAL[kinds[candidate.entry["memory_id"]]], []).append(candidate.entry)
    return told


def _enhanced(one: Tellable, weights: Weights, weight: float) -> Tellable:
    """With its score: how well it fits, mixed with the patch's own figure where it states one."""
    fits, own = weights.of(one.scores), one.entry["enhancement"]
    mixed = fits if own is None else (1.0 - weight) * fits + weight * float(str(own))
    return one._replace(scores={**one.scores, "score": mixed})


async def _of_kind(asking: Asking, kind: MemoryKind, most: int) -> list[Tellable]:
    return await (episodes(asking, most) if kind == "episode" else passages(asking, kind, most))


def _once(best: Iterable[Tellable]) -> list[Tellable]:
    """Of several parts of one document the best."""
    return list({one.item: one for one in reversed(list(best))}.values())[::-1]


def _patch(one: Tellable) -> PatchResult:
    told = {name: one.entry[name] for name in ("key", "title", "text", "license", "enhancement", "metadata")}
    scores = {name: round(value, 4) for name, value in one.scores.items()}
    fields = {**told, "memory_id": one.item, "origin": one.origin, "score": scores.pop("score"), "scores": scores}
    return msgspec.convert(fields, PatchResult)
