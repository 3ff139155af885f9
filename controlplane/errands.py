"""Acts of more than one step that are done to their end, also when whoever asked for them goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")


class Errands:
    """Keeps what is being done."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, act: Coroutine[Any, Any, T]) -> T:
        """What the act gives; being cancelled here does not stop it midway."""
        return await asyncio.shield(self._begun(act))

    def begin(self, act: Coroutine[Any, Any, None]) -> None:
        """Have the act done; nobody waits for it, so the log is told if it breaks."""
        self._begun(act).add_done_callback(_tell)

    def _begun(self, act: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(act)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self, within_s: float) -> None:
        """Wait so many seconds until everything is done, and end the rest."""
        ends = asyncio.get_running_loop().time() + within_s
        while self._running and (left_s := ends - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._running, timeout=left_s)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; that nobody waits any more is no reason to warn


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("errand_broke", exc_info=error)
