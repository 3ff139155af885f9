"""Whether a report may move a value: decided before it is journalled, so that the fold has nothing to decide."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from auditor import Learner

from .clock import Clock
from .tenants import Caller


class Influence:
    """Holds each key to its share of what its tenant learns."""

    def __init__(self, learner: Learner, clock: Clock) -> None:
        self._learner, self._clock = learner, clock
        self._claimed: dict[str, Counter[str]] = {}  # by tenant and key, until the fold has counted them

    @contextmanager
    def claim(self, caller: Caller) -> Iterator[bool]:
        """Whether what the key says counts; a claim holds until it is folded, so that a burst cannot pass as one."""
        claimed = self._claimed.setdefault(caller.tenant, Counter())
        counts = self._learner.state.shares.allow(caller.tenant, caller.key_id, self._clock.now(), claimed)
        claimed[caller.key_id] += counts
        try:
            yield counts
        finally:
            claimed[caller.key_id] -= counts
