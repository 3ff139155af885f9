"""One running Pointsman: every part made, handed what it needs, started and stopped in order."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Self

import httpx
import msgspec
import structlog

from auditor import Learner, State
from auditor.events import Configured, Recorded, Reported, Validated
from auditor.fold import Applied
from auditor.reflection_events import ReuseChecked

from .administration import Administration, FirstKeys, load_registry
from .alarms import LABEL, Alarms, Sender
from .appeals import Appeals
from .background import Background
from .budgets import Budgets
from .challengers import Challengers
from .chat import Chat
from .checkpoints import CHECKPOINT_FOLDER, CheckpointFiles, RecoveryFiles, clear_unfinished
from .clock import Clock, SystemClock
from .data_folder import RECOVERY_FOLDER, lock_folder, open_journal
from .embedding import BatchingEmbedder, embedder_named
from .errors import JournalDamaged, PointsmanError
from .evictions import Evictions
from .executor.capture import CapturePoint
from .executor.chat import ChatPoint, Conversations
from .executor.gate import GatePoint
from .executor.route import RoutePoint
from .failed_fixes import FailedFixes
from .failpoints import failpoint
from .federation import Federation
from .idempotency import Idempotency
from .intake import Intake
from .journal import Journal
from .learning import Learning
from .lifecycle import Lifecycle
from .llm.models import Models
from .llm.provider import Provider
from .memory.store import MemoryStore
from .origin import Origin, find
from .outbox import DEADLINE_S, Deed, Outbox
from .plane import Plane
from .policies import Policies
from .rechecks import Rechecks
from .reflections import Reflections, Reflects
from .refold import BEGINNING, Prefixes
from .remembering import Remembering
from .replay.at_rest import REPLAY_FOLDER
from .replay.jobs import Replays
from .reuse import Reuses
from .router import Router
from .rulebook import rules_of
from .settings import Settings
from .signals import Signals
from .telemetry import Metrics
from .tenants import Limiter, Registry
from .thinking import DecisionThinking
from .tiering import Tiering
from .upstream import Upstream

log = structlog.get_logger()
AHEAD = "but recovery/{} knows a later one: acknowledged events are gone; to go on without them, move that file away"


class Service:
    """Holds the parts. `open` starts everything that must be there before the first request."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        state: State,
        recovery: RecoveryFiles,
        registry: Registry,
        clock: Clock,
        origin: Origin = BEGINNING,
        transport: httpx.AsyncBaseTransport | None = None,
        providers: Mapping[str, Provider] | None = None,
    ) -> None:
        self.settings, self.journal, self.clock, self.recovery = settings, journal, clock, recovery
        self.registry, self.limiter, self.intake = registry, Limiter(clock), Intake(clock)
        self.first_keys: FirstKeys | None = None  # until they were shown
        self.started_at = clock.monotonic()
        self.metrics = Metrics()
        self.http = httpx.AsyncClient(follow_redirects=False, transport=transport)
        self.embedder, self.memory = BatchingEmbedder(), MemoryStore()
        checkpoints = CheckpointFiles(Path(settings.data_dir) / CHECKPOINT_FOLDER)
        self.prefixes = Prefixes(journal, checkpoints, origin)
        self.learner = Learner(state, journal, journal, self.prefixes)
        upstream = Upstream(self.http, deadline_s=settings.upstream_deadline_s)
        self.signals = Signals(settings.psi_url, upstream, clock, self.metrics, ttl_s=settings.cache_ttl_s)
        self.router = Router(settings.router_url, upstream, self.metrics)
        self.models, conversations = Models(settings, clock, self.metrics, providers), Conversations()
        self.catalogue, self.budgets = self.models.catalogue, Budgets(self.learner, journal, registry, clock)
        self.reuses = Reuses(self.learner, self.memory, self.embedder, settings.wrong_reuse_target, settings.seed)
        self.reflects = Reflects(self.learner, journal, self.memory, self.reuses, self.models, self.budgets, clock)
        self.rechecks = Rechecks(self.learner, journal, self.memory, self.reuses, self.models, self.reflects, clock)
        self.thinking = DecisionThinking(self.reflects, self.intake)
        asked = (
            GatePoint(self.memory, self.embedder, self.thinking, settings),
            RoutePoint(self.signals, self.router, self.embedder),
            ChatPoint(self.models, self.budgets, conversations, self.embedder),
        )
        capture = CapturePoint()
        specs = {point.name: point.features.spec for point in (*asked, capture)}
        self.rules = rules_of(settings, {point: spec.hash for point, spec in specs.items()})
        self.idempotency = Idempotency(self.learner, journal, clock)
        self.plane = Plane(asked, (capture,), self.learner, journal, clock, settings, self.metrics)
        failed_fixes = FailedFixes(self.learner, journal, self.memory, self.embedder, clock)
        self.learning = Learning(self.learner, journal, self.memory, failed_fixes, clock, self.metrics)
        self.administration = Administration(registry, journal, self.learner, clock)
        self.chat = self._chat(conversations)
        tiering = Tiering(self.plane, capture, self.reflects, clock)
        self.remembering = Remembering(self.learner, journal, self.memory, self.embedder, tiering, clock)
        self.appeals = Appeals(self.learner, journal, clock)
        self.policies = Policies(self.learner, journal, clock)
        self.challengers = Challengers(self.learner, journal, self.prefixes, self.policies, clock)
        self.federation = Federation(self.learner, journal, registry, specs, clock)
        self.lifecycle = Lifecycle(self.learner, journal, checkpoints, self.prefixes, clock)
        self.replays = Replays(settings.data_dir, self.learner)
        self.outbox = Outbox(journal, clock, self._deeds(settings.alarm_url), settings.seed)
        self.alarms = Alarms(self.outbox, clock)
        self.reflections = Reflections(self.outbox, clock)
        self.evictions = Evictions(self.learner, journal, self.memory, clock)
        self.background = self._background()
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: int | None = None

    def _chat(self, conversations: Conversations) -> Chat:
        return Chat(
            self.models,
            self.budgets,
            self.plane,
            self.learning,
            conversations,
            self.metrics,
            self.clock,
            self.settings.chat_deadline_s,
        )

    def _background(self) -> Background:
        return Background(
            self.learner,
            self.journal,
            self.memory,
            self.embedder,
            self.recovery,
            self.clock,
            self.outbox,
            self.metrics,
            (self.policies, self.challengers, self.budgets),
            self.settings.recovery_interval_s,
        )

    @classmethod
    async def open(cls, settings: Settings, clock: Clock | None = None) -> Self:
        """Open the data folder, catch up with the journal, start the loops; the model loads meanwhile."""
        folder = Path(settings.data_dir)
        async with contextlib.AsyncExitStack() as failing:
            lock = lock_folder(folder)
            failing.callback(os.close, lock)
            failpoint("start.locked")
            for name in (RECOVERY_FOLDER, CHECKPOINT_FOLDER, REPLAY_FOLDER):
                (folder / name).mkdir(exist_ok=True)
                clear_unfinished(folder / name)
            journal = await open_journal(folder)
            failing.push_async_callback(journal.close)
            origin = find(folder, journal.archives)
            service = await cls.over(journal, settings, clock or SystemClock(), origin=origin)
            failing.pop_all()
        service._lock = lock
        return service

    @classmethod
    async def over(
        cls,
        journal: Journal,
        settings: Settings,
        clock: Clock,
        *,
        origin: Origin = BEGINNING,
        transport: httpx.AsyncBaseTransport | None = None,
        providers: Mapping[str, Provider] | None = None,
    ) -> Self:
        """Catch up with an open journal, from its origin on, and start the loops.

        `transport` and `providers` are other ways out than the network.

        Raises:
          JournalDamaged: recovery files know of events that the journal does not have.
        """
        folder = Path(settings.data_dir)
        recovery = RecoveryFiles(folder / RECOVERY_FOLDER)
        state = recovery.newest(journal.last_seq)
        if state is None or state.seq < origin.seq:
            state = origin.state()
        if recovery.ahead is not None:
            raise JournalDamaged(f"it ends with event {journal.last_seq}, {AHEAD.format(recovery.ahead)}")
        registry = await load_registry(journal, folder)
        service = cls(settings, journal, state, recovery, registry, clock, origin, transport, providers)
        await service.start()
        return service

    def _deeds(self, alarm_url: str | None) -> dict[str, Deed]:
        """Who does which of the outbox's work."""
        asking: dict[str, Deed] = {"reflection": self.reflects, "reuse_check": self.rechecks}
        deeds = asking if self.reflects.able else {}
        if alarm_url is not None:
            upstream = Upstream(self.http, deadline_s=DEADLINE_S)
            deeds["alarm"] = Sender(alarm_url, self.registry.derived(LABEL), upstream, self.clock)
        return deeds

    async def start(self) -> None:
        await self.outbox.load()
        self.learner.observe(self._observe)
        self.learner.observe(self.budgets.observe)
        self._run(self.learner.run(), "learner")
        await self._caught_up()
        if self.learner.state.rules != self.rules:
            event = Configured(tenant="", at=self.clock.now(), rules=self.rules, settings_hash=self.settings.hash)
            seq = await self.journal.append(event)
            failpoint("start.configured")
            await self.learner.reached(seq)
        if not self.settings.insecure_local:
            self.first_keys = await self.administration.first_keys()
        self._run(self.embedder.load(lambda: embedder_named(self.settings.embedder)), "embedder")
        self._run(self.background.load_memory(), "memory")
        self._run(self.background.run(), "background")
        self.replays.go_on()
        for file in self.recovery.damaged:
            self.alarms.damaged(file)
        self._run(self.outbox.run("alarm", lambda: self.alarms.look(self._wrong())), "outbox")
        if self.reflects.able:
            self._run(self._ask("reflection"), "reflections")
            self._run(self._ask("reuse_check"), "reuse checks")

    async def _ask(self, work: str) -> None:
        """Before memory is there, a try could only fail, and the next one is minutes later."""
        await self.loaded()
        await self.outbox.run(work, lambda: None)

    def _wrong(self) -> dict[str, str | None]:
        """What can be wrong, and why it is."""
        parts = {task.get_name(): _death(task) for task in self._tasks}
        shedding = f"{self.intake.refused} refused so far" if self.intake.shedding else None
        return {"journal": self.journal.trouble, "recovery": self.recovery.trouble, "shedding": shedding, **parts}

    async def _caught_up(self) -> None:
        if self.learner.version < self.journal.last_seq:
            await self.learner.reached(self.journal.last_seq)

    def _run(self, loop: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(loop, name=name)
        task.add_done_callback(_report_death)
        self._tasks.append(task)

    def _observe(self, recorded: Recorded, applied: Applied) -> None:
        self.memory.observe(recorded)
        self.registry.observe(recorded)
        if isinstance(recorded.event, Reported | Validated) and not recorded.event.counts:
            self.metrics.withheld.inc()
        self.alarms.observe(recorded, applied)
        self.reflections.observe(recorded)
        if isinstance(recorded.event, ReuseChecked) and recorded.event.reused:
            self.metrics.reuses_checked.labels("right" if recorded.event.agreed else "wrong").inc()
        for alarm in applied.alarms:
            self.metrics.drift_alarms.labels(alarm.point).inc()
            log.warning("value_drifted", tenant=recorded.event.tenant, **msgspec.structs.asdict(alarm))
        for learned in applied.learned:
            if learned.update is not None and learned.report is not None:
                self.metrics.q_updates.inc()
                self.metrics.rewards.labels(learned.point).observe(learned.report.total)

    async def loaded(self) -> None:
        """Wait until model and memory are there, or cannot be."""
        await asyncio.wait([task for task in self._tasks if task.get_name() == "memory"])

    @property
    def ready(self) -> bool:
        """Model and memory are there, and the journal can be written; the fold had caught up before the first call."""
        return self.healthy and self.journal.trouble is None and self.memory.live

    @property
    def healthy(self) -> bool:
        """Nothing that must run has failed."""
        return self.learner.failure is None and not any(map(_death, self._tasks))

    async def close(self) -> None:
        """Stop the loops, write a recovery file, let go of everything."""
        await self.replays.close()
        await self.chat.close()
        await self.thinking.close()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks[1:], return_exceptions=True)
        try:
            await self.budgets.flush()
            if self.learner.failure is None:
                await self._caught_up()
                failpoint("shutdown.recovery")
                await self.background.write_recovery()
            await self.outbox.flush()
        except (OSError, PointsmanError) as error:
            log.error("recovery_file_not_written", error=str(error), costs="the next start folds more of the journal")
        finally:  # a recovery file that cannot be written must not leave threads that keep the process alive
            await self._let_go()

    async def _let_go(self) -> None:
        self._tasks[0].cancel()
        await asyncio.gather(self._tasks[0], return_exceptions=True)
        await self.journal.close()
        await self.http.aclose()
        await self.models.close()
        self.embedder.close()
        if self._lock is not None:
            os.close(self._lock)


def _death(task: "asyncio.Task[None]") -> str | None:
    """Why a task ended that should not have."""
    if not task.done() or task.cancelled() or (error := task.exception()) is None:
        return None
    return f"{type(error).__name__}: {error}"


def _report_death(task: "asyncio.Task[None]") -> None:
    if (error := _death(task)) is not None:
        log.critical("task_died", task=task.get_name(), error=error)
