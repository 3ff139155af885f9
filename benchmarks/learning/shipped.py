"""The plane and the auditor as they are shipped, in this process, over the journal's in-memory twin."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec

from auditor import Learner, Outcome, Rules, State
from auditor.events import Reported
from controlplane.budgets import Budgets
from controlplane.checkpoints import CheckpointFiles
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, DecisionAnswer, DecisionRequest
from controlplane.embedding import BatchingEmbedder
from controlplane.executor.capture import CapturePoint
from controlplane.executor.gate import GatePoint
from controlplane.executor.route import RoutePoint
from controlplane.intake import Intake
from controlplane.journal.memory import MemoryJournal
from controlplane.llm.models import Models
from controlplane.memory.store import MemoryStore
from controlplane.memory.vectorizers import vectorizers
from controlplane.plane import Plane
from controlplane.reflections import Reflects
from controlplane.refold import Prefixes
from controlplane.remembering import Remembering
from controlplane.reuse import Reuses
from controlplane.router import Router
from controlplane.rulebook import rules_of
from controlplane.settings import Settings
from controlplane.signals import Signals
from controlplane.telemetry import Metrics
from controlplane.tenants import LOCAL, Registry
from controlplane.thinking import DecisionThinking
from controlplane.tiering import Tiering
from controlplane.upstream import Upstream


class Shipped:
    """Decides and is reported to, as a server is; a report is folded when it returns."""

    def __init__(
        self, settings: Settings, weights: dict[str, float], embedder: BatchingEmbedder, point: str = "route"
    ) -> None:
        """`weights` are those of a reward's terms at `point`; everything else is the settings'."""
        clock, metrics = FixedClock(), Metrics()
        upstream = Upstream(httpx.AsyncClient(), deadline_s=settings.upstream_deadline_s)
        signals = Signals(settings.psi_url, upstream, clock, metrics, ttl_s=settings.cache_ttl_s)
        self.route = RoutePoint(signals, Router(settings.router_url, upstream, metrics), embedder)
        self.memory = MemoryStore(vectorizers(embedder, settings))
        self.memory.embedder = embedder.name
        self.memory.go_live()
        self.journal, self.settings, self._clock = MemoryJournal(), settings, clock
        prefixes = Prefixes(self.journal, CheckpointFiles(Path(settings.data_dir)))
        self.learner = Learner(State(Rules(points={})), self.journal, self.journal, prefixes)
        budgets = Budgets(self.learner, self.journal, Registry(pepper=b""), clock)
        models = Models(settings, clock, metrics, {})
        reuses = Reuses(self.learner, self.memory, embedder, settings.wrong_reuse_target, settings.seed)
        reflects = Reflects(self.learner, self.journal, self.memory, reuses, models, budgets, clock)
        gate = GatePoint(self.memory, embedder, DecisionThinking(reflects, Intake(clock)), settings)
        asked, capture = (gate, self.route), CapturePoint()
        specs = {of.name: of.features.spec_hash for of in (*asked, capture)}
        self.rules = _weighed(rules_of(settings, specs), point, weights)
        self.learner.state = State(self.rules, settings.hash)
        self.learner.observe(lambda recorded, _: self.memory.observe(recorded))
        self._plane = Plane(asked, (capture,), self.learner, self.journal, clock, settings, metrics)
        tiering = Tiering(self._plane, capture, reflects, clock)
        self._remembering = Remembering(self.learner, self.journal, self.memory, embedder, tiering, clock)

    async def decide(self, asked: DecisionRequest) -> DecisionAnswer:
        return await self._plane.decide(LOCAL, asked)

    async def report(self, trace_id: str, outcome: Outcome) -> None:
        told = Reported(tenant=LOCAL.tenant, at=self._clock.now(), trace_id=trace_id, outcome=outcome)
        await self.learner.reached(await self.journal.append(told))

    async def capture(self, failure: CaptureRequest) -> int:
        """The id of the episode."""
        return (await self._remembering.capture(LOCAL, failure)).episode_id


@contextlib.asynccontextmanager
async def shipped(
    settings: Settings, weights: dict[str, float], embedder: BatchingEmbedder | None = None, point: str = "route"
) -> AsyncIterator[Shipped]:
    """One with these settings, learning until it is left; without an embedder it reads no text."""
    made = Shipped(settings, weights, embedder or BatchingEmbedder(), point)
    learning = asyncio.create_task(made.learner.run())
    try:
        yield made
    finally:
        learning.cancel()
        await asyncio.gather(learning, return_exceptions=True)


def _weighed(rules: Rules, point: str, weights: dict[str, float]) -> Rules:
    changed = msgspec.structs.replace(rules.points[point], weights=weights)
    return msgspec.structs.replace(rules, points={**rules.points, point: changed})
