"""An event loop that never waits: its time jumps to whatever comes next, and a seed draws which task goes first.

Time is what the loop says, threads are steps of it, and tasks that became ready together run in a drawn order.
Callbacks that are no task's keep theirs, which asyncio promises.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextvars import Context
from pathlib import Path
from typing import Any

TURNS = 1_000_000  # after which a run is taken to turn in circles
THREAD_S = (0.0, 0.0, 0.0005, 0.003, 0.03)  # how long a thread takes


class StandsStill(Exception):
    """Nothing is ready, and nothing ever will be."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """One seed's world of tasks. `alive` has those that are not done, oldest first."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.alive: dict[asyncio.Task[Any], None] = {}
        self.defects: list[str] = []  # what nobody was there to hear of
        self._rng, self._now, self._turns = rng, 0.0, 0
        self._threads: set[asyncio.TimerHandle] = set()
        self._selector = self
        self.set_task_factory(self._made)
        self.set_exception_handler(lambda _, context: self.defects.append(str(context)))

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Where another loop would sleep: time passes, or those who are ready are put in order."""
        self._turns += 1
        if timeout is None or self._turns > TURNS:
            raise StandsStill("; ".join(f"{task.get_name()} at {_place(task)}" for task in self.alive))
        self._now += timeout
        self._mix()
        return []

    def _mix(self) -> None:
        """Each task has one step waiting at most, so any order of them is one that could have come about."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        if len(ready) < 2:
            return
        steps = [i for i, handle in enumerate(ready) if isinstance(owner(handle), asyncio.Task)]
        drawn = [ready[i] for i in steps]
        self._rng.shuffle(drawn)
        for place, handle in zip(steps, drawn, strict=True):
            ready[place] = handle

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """A thread is a step that comes later; like one, it is done even when nobody waits for it any more."""
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            self._threads.discard(handle)
            try:
                result = func(*args)
            except Exception as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        handle = self.call_later(self._rng.choice(THREAD_S), work)
        self._threads.add(handle)
        return future

    async def kill(self, victims: list[asyncio.Task[Any]]) -> None:
        """End tasks where they stand, and every thread."""
        for handle in self._threads:
            handle.cancel()
        self._threads.clear()
        for task in victims:
            task.cancel()
        await asyncio.gather(*victims, return_exceptions=True)

    def _made(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, context=context)
        self.alive[task] = None
        task.add_done_callback(self.alive.pop)
        return task

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no files and no sockets."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


class SimulatedClock:
    """The loop's time for deadlines, and a wall clock beside it that somebody may set."""

    def __init__(self, loop: SimulatedLoop, now: float = 1_800_000_000.0) -> None:
        self._loop, self._wall = loop, now

    def now(self) -> float:
        return self._wall + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    def set_by(self, seconds: float) -> None:
        """Set the wall clock forwards or back."""
        self._wall += seconds


def _place(task: asyncio.Task[Any]) -> str:
    """Where a task waits, from the outside in."""
    waits, lines = task.get_coro(), []
    while (frame := getattr(waits, "cr_frame", None)) is not None:
        lines.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        waits = getattr(waits, "cr_await", None)
    return " > ".join(lines)


def owner(handle: Any) -> object:
    """Whose method a callback is: a task's, where it is a step of one."""
    return getattr(handle._callback, "__self__", None)
