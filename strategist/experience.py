"""Experience replay: what was learnt of is learnt of again, a few transitions at each fold (Lin 1992).

Draws are seeded by the event that caused the fold, so that a rebuilt table is the same. They move values, and raise
neither visits nor evidence.
"""

from collections import deque
from collections.abc import Iterator
from hashlib import blake2b

from .types import Transition

KEPT = 1000  # transitions; older ones are forgotten


class Experience:
    """The newest transitions of one policy."""

    def __init__(self) -> None:
        self.kept: deque[Transition] = deque(maxlen=KEPT)

    def add(self, transition: Transition) -> None:
        self.kept.append(transition)

    def draws(self, seed: int, count: int) -> Iterator[Transition]:
        """So many of them, evenly and with repetition; the same seed draws the same."""
        for draw in range(count if self.kept else 0):
            digest = blake2b(b"%d %d" % (seed, draw), digest_size=8).digest()
            yield self.kept[int.from_bytes(digest) % len(self.kept)]

    def __repr__(self) -> str:
        return f"<Experience of {len(self.kept)} transitions>"
