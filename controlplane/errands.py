"""Acts of more than one step that are done to their end, also when whoever asked for them goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Errands:
    """Keeps what is being done."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, act: Coroutine[Any, Any, T]) -> T:
        """What the act gives; being cancelled here does not stop it midway."""
        task = asyncio.create_task(act)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; that nobody waits any more is no reason to warn
