"""The newest committed events, kept at hand for the one consumer, and the bell that wakes it."""

import asyncio
from collections import deque

from auditor.events import Recorded

KEPT = 4096


class Tail:
    """A window on the end of the log; a consumer that fell behind it reads the log itself."""

    def __init__(self) -> None:
        self._events: deque[Recorded] = deque(maxlen=KEPT)
        self._bell = asyncio.Event()

    def extend(self, committed: list[Recorded]) -> None:
        self._events.extend(committed)
        self._bell.set()

    @property
    def newest(self) -> Recorded | None:
        """The last of them."""
        return self._events[-1] if self._events else None

    def replace(self, recorded: Recorded) -> None:
        """Forget an erased event's content."""
        if self._events and self._events[0].seq <= recorded.seq <= self._events[-1].seq:
            self._events[recorded.seq - self._events[-1].seq - 1] = recorded

    async def wait(self) -> None:
        await self._bell.wait()

    def after(self, seq: int) -> list[Recorded] | None:
        """Events past `seq` ([] when there is none yet), or None when they are no longer at hand."""
        if not self._events or self._events[-1].seq <= seq:
            self._bell.clear()
            return []
        if self._events[0].seq > seq + 1:
            return None
        return [self._events[i] for i in range(seq - self._events[-1].seq, 0)]
