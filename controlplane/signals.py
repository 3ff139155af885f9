"""Signals of the world outside (coherence and density, as in the Aurora seed), cached and never waited for twice."""

import asyncio
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from .clock import Clock
from .telemetry import Metrics
from .upstream import Upstream, UpstreamFailed

log = structlog.get_logger()
NEUTRAL = 0.5
Unit = Annotated[float, Meta(ge=0, le=1)]


class Reading(msgspec.Struct, frozen=True):
    """What the source last said; neutral values until it says something."""

    coherence: Unit = NEUTRAL
    density: Unit = NEUTRAL


class SignalCounts(msgspec.Struct):
    """Reads answered from a fresh value, reads that asked the source, and failures to get an answer."""

    hits: int = 0
    misses: int = 0
    errors: int = 0


class Signals:
    """One source behind a TTL cache. A stale value is served while one refresh runs in the background."""

    def __init__(
        self,
        url: str | None,
        upstream: Upstream,
        clock: Clock,
        metrics: Metrics,
        *,
        ttl_s: float,
    ) -> None:
        self.counts = SignalCounts()
        self.ttl_s = ttl_s
        self._url, self._upstream, self._clock, self._metrics = url, upstream, clock, metrics
        self._reading: Reading | None = None
        self._fetched_at = 0.0
        self._failed_at: float | None = None  # while the source fails: when it last did
        self._refresh: asyncio.Task[None] | None = None

    @property
    def configured(self) -> bool:
        return self._url is not None

    @property
    def age_s(self) -> float | None:
        return None if self._reading is None else self._clock.monotonic() - self._fetched_at

    @property
    def fresh(self) -> bool:
        return self.age_s is not None and self.age_s <= self.ttl_s

    @property
    def _due(self) -> bool:
        """Whether to ask: not while an answer is under way, and a failing source no more often than a good one."""
        if self._refresh is not None and not self._refresh.done():
            return False
        return self._failed_at is None or self._clock.monotonic() - self._failed_at >= self.ttl_s

    async def read(self) -> tuple[Reading, bool]:
        """The reading, and whether the source is failing us; waits only for the very first answer."""
        if self._url is None:
            return Reading(), False
        if self.fresh:
            self.counts.hits += 1
            self._metrics.signal_hits.inc()
            return self._reading or Reading(), False
        self.counts.misses += 1
        self._metrics.signal_misses.inc()
        if self._due:
            self._refresh = asyncio.create_task(self._fetch(), name="signals")
        if self._reading is None and self._failed_at is None and self._refresh is not None:
            await asyncio.shield(self._refresh)
        return self._reading or Reading(), self._failed_at is not None

    async def _fetch(self) -> None:
        """Ask the source; ends by its own deadline and is never cancelled from outside."""
        try:
            self._reading = await self._upstream.ask("GET", f"{self._url}/state", Reading)
            self._fetched_at, self._failed_at = self._clock.monotonic(), None
        except UpstreamFailed as error:
            self._failed_at = self._clock.monotonic()
            self.counts.errors += 1
            self._metrics.signal_errors.inc()
            log.warning("signal_source_failed", error=str(error))
