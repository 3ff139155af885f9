"""Signals of the world outside (coherence and density, as in the Aurora seed), cached and never waited for twice."""

import asyncio
from typing import Annotated

import httpx
import msgspec
import structlog
from msgspec import Meta

from .clock import Clock

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

    def __init__(self, url: str | None, http: httpx.AsyncClient, clock: Clock, *, ttl_s: float, deadline_s: float):
        self.counts = SignalCounts()
        self.ttl_s = ttl_s
        self._url, self._http, self._clock, self._deadline_s = url, http, clock, deadline_s
        self._reading: Reading | None = None
        self._fetched_at = 0.0
        self._refresh: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float | None:
        return None if self._reading is None else self._clock.monotonic() - self._fetched_at

    @property
    def fresh(self) -> bool:
        return self.age_s is not None and self.age_s <= self.ttl_s

    async def read(self) -> tuple[Reading, bool]:
        """The reading, and whether the source is failing us; waits only for the very first one."""
        if self._url is None:
            return Reading(), False
        if self.fresh:
            self.counts.hits += 1
            return self._reading or Reading(), False
        self.counts.misses += 1
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self._fetch(), name="signals")
        if self._reading is None:
            await asyncio.shield(self._refresh)
        return self._reading or Reading(), self._reading is None

    async def _fetch(self) -> None:
        """Ask the source; ends by its own deadline and is never cancelled from outside."""
        try:
            response = await self._http.get(f"{self._url}/state", timeout=self._deadline_s)
            response.raise_for_status()
            self._reading = msgspec.json.decode(response.content, type=Reading)
            self._fetched_at = self._clock.monotonic()
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError) as error:
            self.counts.errors += 1
            log.warning("signal_source_failed", error=f"{type(error).__name__}: {error}")
