"""Both loops in one process, as they ship: the plane decides, the auditor learns; only the journal is in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import msgspec

from auditor import Learner, Outcome, Rules, State
from auditor.events import Configured
from auditor.protocols import PrefixStore
from controlplane.clock import FixedClock
from controlplane.contract import DecisionAnswer, DecisionRequest, FeedbackRequest
from controlplane.embedding import BatchingEmbedder
from controlplane.executor.gate import GatePoint
from controlplane.executor.route import RoutePoint
from controlplane.journal import MemoryJournal
from controlplane.learning import Learning
from controlplane.memory.store import MemoryStore
from controlplane.plane import Plane
from controlplane.router import Router
from controlplane.rulebook import rules_of
from controlplane.settings import Settings
from controlplane.signals import Signals
from controlplane.telemetry import Metrics
from controlplane.tenants import LOCAL
from controlplane.upstream import Upstream

BETWEEN_S = 1.0  # two decisions


class NoPrefixes(PrefixStore):
    """Nobody restores anything here."""

    async def prefix(self, tenant: str, seq: int) -> bytes:
        raise LookupError(f"no prefix of {tenant} at {seq}")


class Loops:
    """Decides and learns like a server with the shipped settings, but for a task's reward weights."""

    def __init__(self, embedder: BatchingEmbedder, weights: Mapping[str, Mapping[str, float]], seed: int) -> None:
        self.settings = Settings(seed=seed)
        clock, metrics = FixedClock(), Metrics()
        self.journal, self.memory, self.clock = MemoryJournal(), MemoryStore(), clock
        upstream = Upstream(httpx.AsyncClient(), deadline_s=1.0)
        self.route = RoutePoint(
            Signals(None, upstream, clock, metrics, ttl_s=5.0), Router(None, upstream, metrics), embedder
        )
        self.gate = GatePoint(self.memory, embedder, self.settings)
        hashes = {point.name: point.features.spec_hash for point in (self.gate, self.route)}
        self.rules = with_weights(rules_of(self.settings, hashes), weights)
        self.learner = Learner(State(self.rules, self.settings.hash), self.journal, self.journal, NoPrefixes())
        self.learner.observe(lambda recorded, applied: self.memory.observe(recorded))
        self.plane = Plane((self.gate, self.route), self.learner, self.journal, clock, self.settings, metrics)
        self.learning = Learning(self.learner, self.journal, self.memory, clock, metrics)

    async def decide(self, request: DecisionRequest) -> DecisionAnswer:
        self.clock.advance(BETWEEN_S)
        return await self.plane.decide(LOCAL, request)

    async def report(self, answer: DecisionAnswer, outcome: Outcome) -> None:
        await self.learning.feedback(LOCAL, FeedbackRequest(trace_id=answer.trace_id or "", outcome=outcome))


@asynccontextmanager
async def loops(
    embedder: BatchingEmbedder, weights: Mapping[str, Mapping[str, float]], seed: int
) -> AsyncIterator[Loops]:
    """Loops whose learner runs."""
    made = Loops(embedder, weights, seed)
    await made.journal.append(
        Configured(tenant="", at=made.clock.now(), rules=made.rules, settings_hash=made.settings.hash)
    )
    learning = asyncio.create_task(made.learner.run())
    try:
        yield made
    finally:
        learning.cancel()
        await asyncio.gather(learning, return_exceptions=True)


def with_weights(rules: Rules, weights: Mapping[str, Mapping[str, float]]) -> Rules:
    """The same rules with other reward weights."""
    points = {
        name: msgspec.structs.replace(point, weights={**point.weights, **weights.get(name, {})})
        for name, point in rules.points.items()
    }
    return msgspec.structs.replace(rules, points=points)
