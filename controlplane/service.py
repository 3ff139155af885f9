"""One running Pointsman: every part started and stopped in order."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Self

import msgspec
import structlog

from auditor.events import Configured, Recorded, Reported, Validated
from auditor.fold import Applied
from auditor.reflection_events import ReuseChecked

from .administration import FirstKeys, load_registry
from .checkpoints import CHECKPOINT_FOLDER, RecoveryFiles, clear_unfinished
from .clock import Clock, SystemClock
from .data_folder import RECOVERY_FOLDER, lock_folder, open_any
from .errors import JournalDamaged, PointsmanError
from .failpoints import failpoint
from .journal import Journal
from .origin import Origin
from .parts import NETWORK, Parts, Ways
from .refold import BEGINNING
from .replay.at_rest import REPLAY_FOLDER
from .settings import Settings
from .whole_log import origin_of

log = structlog.get_logger()
LAST_S = 5.0  # how long a stop waits for a database to take what is not written yet
AHEAD = "but recovery/{} knows a later one: acknowledged events are gone; to go on without them, move that file away"


class Service(Parts):
    """The parts at work. `open` starts everything that must be there before the first request."""

    first_keys: FirstKeys | None = None  # until they were shown
    _lock: int | None = None

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
            clock = clock or SystemClock()
            journal = await open_any(settings, clock)
            failing.push_async_callback(journal.close)
            service = await cls.over(journal, settings, clock, origin=await origin_of(journal, folder))
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
        ways: Ways = NETWORK,
    ) -> Self:
        """Catch up with an open journal, from its origin on, and start the loops.

        Raises:
          JournalDamaged: recovery files know of events that the journal does not have.
        """
        folder = Path(settings.data_dir)
        recovery, pepper = RecoveryFiles(folder / RECOVERY_FOLDER), None
        if journal.shared:
            from .replication import join

            pepper = await join(journal, settings, recovery)
        state = recovery.newest(journal.last_seq)
        if state is None or state.seq < origin.seq:
            state = origin.state()
        if recovery.ahead is not None:
            raise JournalDamaged(f"it ends with event {journal.last_seq}, {AHEAD.format(recovery.ahead)}")
        registry = await load_registry(journal, folder, pepper)
        service = cls(settings, journal, state, recovery, registry, clock, origin, ways)
        await service.start()
        return service

    async def start(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        await self.outbox.load()
        await self.webhooks.load()
        self.learner.observe(self._observe)
        self.learner.observe(self.budgets.observe)
        self.learner.observe(self.news.observe)
        self._run(self.learner.run(), "learner")
        async with self.journal.in_turn("start"):
            await self._caught_up()
            await self._begin()
        self._run(self.embedder.load(*self.embedders.ways()), "embedder")
        self._run(self.background.load_memory(), "memory")
        self._run(self.background.run(), "background")
        self._run(self.memory.vectors.run(), "vectors")
        if self.replication is not None:
            self._run(self.replication.run(lambda: self.healthy), "replication")
        self.replays.go_on()
        for file in self.recovery.damaged:
            self.alarms.damaged(file)
        if self.redis is not None:
            await self.redis.beat()
            self._run(self.redis.watch(), "redis heartbeats")
        self._run(self.outbox.run("alarm", lambda: self.alarms.look(self._wrong())), "outbox")
        self._run(self.outbox.run("webhook", lambda: None), "webhooks")
        if self.broker is not None:
            stream = self.broker.stream
            self._run(stream.run(), "broker's connection")
            self._run(self.outbox.run("broker", lambda: None, lambda: stream.trouble is None), "broker")
        if self.reflects.able:
            self._run(self._ask("reflection"), "reflections")
            self._run(self._ask("reuse_check"), "reuse checks")
            self._run(self._ask("skill_text"), "skill texts")

    async def _begin(self) -> None:
        """What a start may have to write: the rules of this version and its settings, and the first keys."""
        if self.learner.state.rules != self.rules:
            event = Configured(tenant="", at=self.clock.now(), rules=self.rules, settings_hash=self.settings.hash)
            seq = await self.journal.append(event)
            failpoint("start.configured")
            await self.learner.reached(seq)
        if not self.settings.insecure_local:
            self.first_keys = await self.administration.first_keys()

    async def _ask(self, work: str) -> None:
        """Before memory is there, a try could only fail, and the next one is minutes later."""
        await self.loaded()
        await self.outbox.run(work, lambda: None)

    def _wrong(self) -> dict[str, str | None]:
        """What can be wrong, and why it is."""
        parts = {task.get_name(): _death(task) for task in self._tasks}
        shedding = f"{self.intake.refused} refused so far" if self.intake.shedding else None
        redis = None if self.redis is None else self.redis.trouble
        wrong = {"journal": self.journal.trouble, "recovery": self.recovery.trouble, "redis": redis}
        return {**wrong, "shedding": shedding, **parts}

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
        self.outbox.observe(recorded)
        if self.journal.shared:
            self.metrics.snapshot_lag.observe(max(0.0, self.clock.now() - recorded.event.at))
        if isinstance(recorded.event, Reported | Validated) and not recorded.event.counts:
            self.metrics.withheld.inc()
        self.alarms.observe(recorded, applied)
        self.reflections.observe(recorded)
        self.descriptions.observe(recorded, applied)
        self.webhooks.observe(recorded, applied, self.outbox)
        if self.broker is not None:
            self.broker.observe(recorded, applied, self.outbox)
        self.forgetting.observe(recorded)
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
        await self.news.close()
        await self.chat.close()
        await self.thinking.close()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks[1:], return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_S if self.journal.shared else None):
                await self._write_down()
        except TimeoutError:
            costs = "reservations are charged whole, and the next leader does again what was not noted as done"
            log.error("stopped_without_database", waited_s=LAST_S, costs=costs)
        except (OSError, PointsmanError) as error:
            log.error("recovery_file_not_written", error=str(error), costs="the next start folds more of the journal")
        finally:  # a recovery file that cannot be written must not leave threads that keep the process alive
            await self._let_go()

    async def _write_down(self) -> None:
        """What is not journalled yet, and what was learnt."""
        await self.budgets.flush()
        if self.learner.failure is None:
            await self._caught_up()
            failpoint("shutdown.recovery")
            await self.background.write_recovery()
        await self.outbox.flush()

    async def _let_go(self) -> None:
        self._tasks[0].cancel()
        await asyncio.gather(self._tasks[0], return_exceptions=True)
        await self.journal.close()
        await self.http.aclose()
        if self.redis is not None:
            await self.redis.close()
        await self.memory.vectors.close()
        await self.models.close()
        await self.embedders.close()
        self.embedder.close()
        if self._lock is not None:
            os.close(self._lock)


def _death(task: "asyncio.Task[None]") -> str | None:
    """Why a task ended that should not have."""
    if not task.done() or task.cancelled() or (error := task.exception()) is None:
        return None
    while isinstance(error, BaseExceptionGroup):  # its own text names nothing
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _report_death(task: "asyncio.Task[None]") -> None:
    if (error := _death(task)) is not None:
        log.critical("task_died", task=task.get_name(), error=error)
