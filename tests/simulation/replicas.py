"""Replicas on one log that die and stand still at any await, in a world whose time and order a seed draws."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any

import msgspec

from auditor import Outcome
from auditor.events import AnyEvent, Captured, EpisodeDeleted
from controlplane.contract import DecisionRequest, FeedbackRequest
from controlplane.errors import Conflict, Unavailable
from controlplane.idempotency import Asked
from controlplane.journal.codec import decode_event
from controlplane.journal.postgres import PostgresJournal
from controlplane.outbox import LONGEST_PAUSE_S
from controlplane.refold import refold
from controlplane.service import Service
from controlplane.settings import Settings
from controlplane.tenants import LOCAL, Caller

from .engines import SETTINGS, Engines
from .loop import SimulatedClock, SimulatedLoop, owner
from .memory import Memories
from .shared import SimulatedDatabase, Tables
from .store import Faults

OF: ContextVar[int | None] = ContextVar("whose task it is", default=None)
BETWEEN_S, AWAY_S, STILL_S = (0.1, 1.5), (0.0, 2.0), (0.1, 8.0)  # faults; a dead replica; a paused one
SETTLED_S = 30.0
PATIENCE = 400  # tries of one call
WINDOW_S, THINKS_S = 3.0, 0.2
WAITS_S = 1.0  # for one answer; then another replica is asked
REMEMBERING, HOURS = 2, 5  # clients beside; within which everything that is owed is done


class ReplicatedLoop(SimulatedLoop):
    """Knows whose each task is, and lets those of a paused replica stand where they are."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.of: dict[asyncio.Task[Any], int | None] = {}
        self.paused: set[int] = set()
        self._held: list[Any] = []

    def _made(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = super()._made(loop, work, context)
        self.of[task] = OF.get()
        task.add_done_callback(self.of.pop)
        return task

    def select(self, timeout: float | None) -> list[Any]:
        ready: Any = self._ready  # type: ignore[attr-defined]
        for handle in list(ready):
            task = owner(handle)
            if isinstance(task, asyncio.Task) and self.of.get(task) in self.paused:
                ready.remove(handle)
                self._held.append(handle)
        return super().select(timeout if ready or timeout else self._next())

    def _next(self) -> float | None:
        """Until the next timer, where all that was ready is held."""
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        return max(0.0, scheduled[0].when() - self.time()) if scheduled else None

    def go_on(self, number: int) -> None:
        self.paused.discard(number)
        held, self._held = self._held, []
        self._ready.extend(held)  # type: ignore[attr-defined]

    async def end(self, number: int) -> None:
        """As of `kill -9`; threads of others go on."""
        self.go_on(number)
        victims = [task for task, whose in self.of.items() if whose == number]
        for task in victims:
            task.cancel()
        await asyncio.gather(*victims, return_exceptions=True)

    def begin(self, number: int, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of a replica's, and all that it begins."""
        token = OF.set(number)
        try:
            return self.create_task(work)
        finally:
            OF.reset(token)


class Group:
    """So many replicas, their clients, and what was acknowledged to them."""

    def __init__(self, loop: ReplicatedLoop, rng: random.Random, folder: Path, count: int) -> None:
        self.loop, self.rng, self.count = loop, rng, count
        self.clock, self.tables, self.faults = SimulatedClock(loop), Tables(loop.time), Faults(rng, share=0.03)
        self.engines = Engines(loop.time, rng, self.faults)
        self.memories = Memories(rng, self._sent, self._asked_once)
        self.services: dict[int, Service] = {}
        self.decided: list[str] = []
        self.reported: list[str] = []
        self.happened = Counter[str]()
        self._folder = folder

    async def start(self, number: int) -> None:
        """Start one; a start that the database does not answer is tried again."""
        folder = self._folder / f"{number}"
        folder.mkdir(exist_ok=True)
        chosen = Settings(
            data_dir=str(folder),
            pepper="ab" * 32,
            embedder="hashing",
            seed=number,
            gate_window_s=WINDOW_S,
            trajectory_ttl_s=WINDOW_S,
            recovery_interval_s=5.0,
            **SETTINGS,
        )
        while number not in self.services:
            database: Any = SimulatedDatabase(self.tables, self.faults)
            try:
                self.services[number] = await self.loop.begin(number, self._opened(database, chosen))
            except Unavailable:
                await self.loop.end(number)
                self.happened["start refused"] += 1

    async def _opened(self, database: Any, chosen: Settings) -> Service:
        journal = await PostgresJournal.over(database, self.clock)
        return await Service.over(journal, chosen, self.clock, ways=self.engines.ways())

    async def client(self, steps: int) -> None:
        """Decides and reports, each call wherever somebody answers."""
        for _ in range(steps):
            await asyncio.sleep(self.rng.random() * THINKS_S)
            request = DecisionRequest(planned_action=f"ls {self.rng.randrange(6)}", task_id=f"t{self.rng.random()}")
            made = await self._sent(
                LOCAL, "/v1/decisions", lambda s, r, request=request: s.plane.decide(LOCAL, request, r)
            )
            self.decided.append(made["trace_id"])
            if self.rng.random() < 0.8:
                outcome = Outcome(success=self.rng.random() < 0.7, terminal=self.rng.random() < 0.5)
                report = FeedbackRequest(trace_id=made["trace_id"], outcome=outcome)
                await self._sent(
                    LOCAL, "/v1/feedback", lambda s, r, report=report: s.learning.feedback(LOCAL, report, r)
                )
                self.reported.append(made["trace_id"])

    async def remembering(self) -> None:
        """Another client, until it is cancelled."""
        while True:
            await asyncio.sleep(self.rng.random() * THINKS_S)
            await self.memories.one()

    async def _sent(self, caller: Caller, route: str, call: Callable[..., Any]) -> Any:
        """Under one key, again and again; what its replica does not live to answer, another one does."""
        key = f"k{self.rng.random()}"
        for _ in range(PATIENCE):
            answer = await self._asked_once(lambda service: _keyed(service, caller, route, key, call))
            if answer is not None:
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError("nobody answered")

    async def _asked_once(self, call: Callable[[Service], Coroutine[Any, Any, Any]]) -> Any:
        """What some replica answers; None where it does not in time, or cannot."""
        up = [number for number in self.services if number not in self.loop.paused]
        if not up:
            return None
        number = self.rng.choice(up)
        asking = self.loop.begin(number, call(self.services[number]))
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever asked may be gone
        await asyncio.wait({asking}, timeout=WAITS_S)
        return self._answer(asking)

    def _answer(self, asking: asyncio.Task[Any]) -> Any:
        """What was answered by now; whoever stands still may answer yet, and nobody hears it."""
        if not asking.done():
            self.happened["given up on"] += 1
        elif asking.cancelled():
            self.happened["died of"] += 1
        elif (error := asking.exception()) is None:
            return asking.result()
        elif isinstance(error, Unavailable | Conflict):
            self.happened[type(error).__name__] += 1
        else:
            raise error
        return None

    async def trouble(self) -> None:
        """Kill and pause, one at a time, for ever."""
        while True:
            await asyncio.sleep(self.rng.uniform(*BETWEEN_S))
            number = self.rng.choice(list(self.services))
            if self.rng.random() < 0.5:
                self.happened["killed"] += 1
                del self.services[number]
                await self.loop.end(number)
                await asyncio.sleep(self.rng.uniform(*AWAY_S))
                await self.start(number)
            else:
                self.happened["paused"] += 1
                self.loop.paused.add(number)
                await asyncio.sleep(self.rng.uniform(*STILL_S))
                self.loop.go_on(number)

    async def run(self, clients: int, steps: int) -> list[str]:
        """All of it; what is wrong in the end."""
        for number in range(self.count):
            await self.start(number)
        beside = [
            self.trouble(),
            self.engines.trouble(self.happened),
            *(self.remembering() for _ in range(REMEMBERING)),
        ]
        tasks = [self.loop.create_task(work) for work in beside]
        await asyncio.gather(*(self.client(steps) for _ in range(clients)))
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [repr(error) for error in ended if not isinstance(error, asyncio.CancelledError)]
        self.faults.over()
        self.engines.over()
        for number in range(self.count):
            self.loop.go_on(number)
            if number not in self.services:  # it may be starting
                await self.loop.end(number)
            await self.start(number)
        await self._settled()
        wrong = broken + await self._wrong() + await self._beside()
        for number, service in self.services.items():
            await self.loop.begin(number, service.close())
        return wrong

    async def _settled(self) -> None:
        """Hours pass until nothing is owed to the world outside."""
        await asyncio.sleep(SETTLED_S + WINDOW_S)
        for _ in range(HOURS):
            if not any(service.outbox.jobs.open for service in self.services.values()):
                return
            self.clock.set_by(LONGEST_PAUSE_S)
            await asyncio.sleep(SETTLED_S)

    async def _beside(self) -> list[str]:
        """What is wrong with memory, and with what the other engines hold of it."""
        services = list(self.services.values())
        events = [(seq, decode_event(payload)) for seq, _, _, _, _, payload, _ in self.tables.events]
        wrong = self.engines.wrong(services, events) + self.memories.wrong
        wrong += [f"event {seq} is in the database, though it was purged" for seq in _unerased(events)]
        return wrong + [left for service in services for left in await self.memories.left(service)]

    async def _wrong(self) -> list[str]:
        services = list(self.services.values())
        last = len(self.tables.events)
        versions = [service.learner.version for service in services]
        wrong = [] if versions == [last] * self.count else [f"{versions} are folded, of {last}"]
        leading = sum(service.journal.leads for service in services)
        wrong += [] if leading == 1 else [f"{leading} lead"]
        states = {(await service.learner.dump())[1] for service in services}
        states.add((await refold(services[0].journal, last)).state.dump())
        wrong += [f"{len(states)} states of one log"] if len(states) != 1 else []
        counts = {kind: Counter[str]() for kind in ("decision", "feedback", "window_closed")}
        for _, _, kind, ref, *_ in self.tables.events:
            if kind in counts:
                counts[kind][ref.decode()] += 1
        wrong += [f"decision {name} lost" for name in self.decided if not counts["decision"][name]]
        wrong += [f"report on {name} lost" for name in self.reported if not counts["feedback"][name]]
        twice = [(kind, name) for kind, of in counts.items() for name, times in of.items() if times > 1]
        return wrong + [f"{kind} of {name} more than once" for kind, name in twice]


async def _keyed(service: Service, caller: Caller, route: str, key: str, call: Callable[..., Any]) -> Any:
    asked = Asked(tenant=caller.tenant, by="", route=route, key=key, fingerprint=b"same")
    return msgspec.to_builtins(await service.idempotency.once(asked, lambda receipt: call(service, receipt)))


def _unerased(events: list[tuple[int, AnyEvent]]) -> list[int]:
    """What was purged, whoever died meanwhile, and is there."""
    purged = {(event.tenant, event.episode_id) for _, event in events if isinstance(event, EpisodeDeleted)}
    return [seq for seq, event in events if isinstance(event, Captured) and (event.tenant, seq) in purged]
