"""Reflections that a decision waits for: asked at once, waited for as long as the caller said, made and kept anyhow."""

import asyncio

import structlog

from auditor.reflection_events import Reflected

from .executor.tiers import AskedTier, AtHand, Thought
from .ids import new_id
from .intake import Intake
from .memory.space import EpisodeRecord
from .reflections import ASKED, NOTHING_SIMILAR, Owed, Reflects

log = structlog.get_logger()
LONGEST_S = 60.0  # for which a stop waits for what is being made


class DecisionThinking:
    """What the gate asks models."""

    def __init__(self, reflects: Reflects, intake: Intake) -> None:
        self._reflects, self._intake = reflects, intake
        self._running: set[asyncio.Task[Reflected | None]] = set()

    async def at_hand(self, tenant: str, asker: str, record: EpisodeRecord, wait_ms: int) -> AtHand:
        """Which tiers could show the key that asks a reflection on a failure within so many milliseconds."""
        known = await self._reflects.stored(tenant, record)
        masked: dict[str, str] = {} if known is not None else {"cached": NOTHING_SIMILAR}
        usd = {} if known is None else {"cached": 0.0}
        for tier in ASKED:
            if why := self._too_slow(tier, wait_ms) or self._reflects.cannot(tenant, tier, record, asker):
                masked[tier] = why
            else:
                usd[tier] = self._reflects.one_try(tier, record) / 1e9
        return AtHand(masked, known, usd)

    def _too_slow(self, tier: AskedTier, wait_ms: int) -> str:
        """Why the caller would not wait long enough, or ""."""
        needed_ms = self._reflects.times.needed_ms(tier)
        return f"it takes {needed_ms:.0f} ms, and {wait_ms} may be waited" if wait_ms < needed_ms else ""

    async def ask(
        self, tenant: str, asker: str, trace_id: str, record: EpisodeRecord, tier: AskedTier, wait_ms: int
    ) -> Thought:
        """Have a decision's reflection made, and wait for it no longer than that; it is made all the same."""
        name = new_id("rf")
        # Another decision, of the same moment, was faster.
        if self._reflects.cannot(tenant, tier, record, asker):
            return Thought(name, None, pending=False, nano_usd=0)
        expected = self._reflects.one_try(tier, record)
        owed = Owed(tenant, record.episode_id, "", trace_id=trace_id, reflection_id=name, tier=tier, agent=asker)
        self._reflects.begin(owed)
        task = asyncio.create_task(self._reflects.at_once(owed, tier, record), name="reflecting")
        self._running.add(task)
        task.add_done_callback(self._ended)
        self._intake.end()  # while a model is waited for, nobody waits for this call
        try:
            done, _ = await asyncio.wait({task}, timeout=wait_ms / 1000.0)
        finally:
            self._intake.begin()
        if not done:
            return Thought(name, None, pending=True, nano_usd=expected)
        made = task.result() if task.exception() is None else None
        return Thought(name, made, pending=False, nano_usd=made.nano_usd if made is not None else 0)

    def _ended(self, task: "asyncio.Task[Reflected | None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("reflecting_failed", error=f"{type(error).__name__}: {error}", exc_info=error)

    async def close(self) -> None:
        """Wait for what is being made, as long as a stop may take."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=LONGEST_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
