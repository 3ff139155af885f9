"""What a point that chooses a tier of language models knows of them, and how the gate asks one."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from auditor.money_events import Tier
from auditor.reflection_events import Reflected

from ..memory.space import EpisodeRecord

AskedTier = Literal["cheap", "premium"]
TIERS: tuple[Tier, ...] = ("cached", "cheap", "premium")  # in the order of what they cost


class AtHand(NamedTuple):
    """Why tiers cannot be had for a failure, the stored reflection that the tier `cached` would show, and prices."""

    masked: Mapping[str, str]
    known: Reflected | None
    usd: Mapping[str, float]  # of one try, of each tier that can be had


class Thought(NamedTuple):
    """A reflection that was asked for: it is there, is still being made, or (neither) nothing usable came."""

    reflection_id: str
    made: Reflected | None
    pending: bool
    nano_usd: int  # what it cost, or while it is being made what one try of it may cost


class Thinking(Protocol):
    """Asks models while a decision waits."""

    async def at_hand(self, tenant: str, asker: str, record: EpisodeRecord, wait_ms: int) -> AtHand:
        """Which tiers could show the key that asks a reflection on a failure within so many milliseconds."""
        ...

    async def ask(
        self, tenant: str, asker: str, trace_id: str, record: EpisodeRecord, tier: AskedTier, wait_ms: int
    ) -> Thought:
        """Have a decision's reflection made, and wait for it no longer than that; it is made all the same."""
        ...
