"""Leaves a provider alone that fails again and again, and asks it now and then whether it is back."""

from collections.abc import Callable

import structlog

from ..clock import Clock
from .provider import Kind, ProviderFailed

log = structlog.get_logger()
IN_A_ROW = 5  # failures after which a provider is left alone
PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0  # it doubles with each time the provider was asked and failed again
FAIR_S = 1.0  # a call that was given less says nothing about the provider when it was late
OUT: tuple[Kind, ...] = ("auth", "spend_limit")  # what no second try can change: out at once
ITS_FAULT: tuple[Kind, ...] = ("timeout", "connect", "status", "garbled", "too_large", "cut_stream")
REFUSED_CALL = 403  # may be about this call alone, as when its words were found offensive

Draw = Callable[[], float]  # from 0 to 1


class Breaker:
    """One provider's: closed, open until a moment, then half open for one call."""

    def __init__(self, provider: str, clock: Clock, draw: Draw) -> None:
        self.why: Kind | None = None  # it is open
        self._provider, self._clock, self._draw = provider, clock, draw
        self._in_a_row = self._openings = 0
        self._until = 0.0
        self._asking = False

    @property
    def lets_through(self) -> bool:
        """Whether a call may be made now."""
        return self.why is None or (not self._asking and self._clock.monotonic() >= self._until)

    def begin(self) -> None:
        """A call is made; one that asks whether the provider is back is alone."""
        self._asking = self.why is not None

    def answered(self) -> None:
        """The provider answered well."""
        if self.why is not None:
            log.info("provider_back", provider=self._provider)
        self.why, self._asking = None, False
        self._in_a_row = self._openings = 0

    def failed(self, failure: ProviderFailed, granted_s: float) -> None:
        """A call failed that had been given so much time."""
        asking, self._asking = self._asking, False
        out = failure.kind in OUT and failure.status != REFUSED_CALL
        if not out and (failure.kind not in ITS_FAULT or (failure.kind == "timeout" and granted_s < FAIR_S)):
            return
        self._in_a_row += 1
        if asking or ((out or self._in_a_row >= IN_A_ROW) and self.why is None):
            self._open(failure)

    def left(self) -> None:
        """Whoever made the call waits for it no more, and nothing is known of it."""
        self._asking = False

    def _open(self, failure: ProviderFailed) -> None:
        """Drawn apart, so that many servers do not come back in one moment."""
        pause = min(PAUSE_S * 2**self._openings, LONGEST_PAUSE_S) * (1 + self._draw())
        self._openings = min(self._openings + 1, 10)
        self.why, self._until = failure.kind, self._clock.monotonic() + pause
        log.error("provider_left_alone", provider=self._provider, kind=failure.kind, for_s=round(pause, 1))
