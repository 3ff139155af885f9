"""Work that goes on to its end when whoever asked for it goes away: what half of it would leave is nobody's to mend."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
_going_on: set[asyncio.Task[Any]] = set()  # the event loop itself holds tasks by weak references only


async def finished(work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; a caller that is cancelled stops waiting for it, and nothing else."""
    task = asyncio.create_task(work, name="finishing")
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)
    return await asyncio.shield(task)
