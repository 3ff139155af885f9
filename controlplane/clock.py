"""Time, injected, so that windows and deadlines can be tested."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for events, monotonic time for deadlines; both in seconds."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class FixedClock:
    """A clock that moves when it is told to; ships for tests and simulations."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
