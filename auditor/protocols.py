"""What the learner needs from the world; the control plane implements these."""

from collections.abc import Sequence
from typing import Protocol

from .answers import Learned
from .events import Recorded


class EventSource(Protocol):
    """Committed events in sequence order."""

    async def committed(self, after: int) -> Sequence[Recorded]:
        """The next events past `after`; waits until there is at least one."""
        ...


class LearnedSink(Protocol):
    """Where records of learnt decisions go; derived, so nobody waits for it."""

    def record(self, tenant: str, learned: Sequence[Learned]) -> None: ...


class PrefixStore(Protocol):
    """Learnt state of earlier moments."""

    async def prefix(self, tenant: str, seq: int) -> bytes:
        """The tenant's encoded dump after folding up to `seq`."""
        ...
