"""A memory as it could be told, of whichever kind: what it says, how it is ranked, where it is from."""

from typing import NamedTuple

from auditor.changes import MemoryKind
from auditor.session_events import Shown
from auditor.worth import Standing

from ..embedding import Vector
from .context import Candidate
from .ranking import Match, Weights
from .safety import Looks


class Tellable(NamedTuple):
    """An episode, or a passage of a document.

    item: the number of its event, by which its use is reported; what: that which its origin is; like: its error class
    or kind; entry: how it is told, with its `text`.
    """

    item: int
    kind: MemoryKind
    what: str
    origin: str
    like: str
    scores: dict[str, float]  # in [0, 1]
    similarity: float  # cosine
    entry: dict[str, object]
    vector: Vector | None
    looks: Looks
    standing: Standing
    match: Match | None = None  # an episode's
    alike: int = 0  # near-duplicates that it stands for
    hearsay: bool = False  # only another key tells it

    def candidate(self, weights: Weights) -> Candidate:
        """As it is packed."""
        score = weights.of(self.scores)
        told: dict[str, object] = {"memory_id": self.item, "origin": self.origin, "score": round(score, 4)}
        if self.alike:
            told["alike"] = self.alike
        return Candidate(score, told | self.entry, self.vector, fix=str(self.entry.get("resolution", "")))

    @property
    def shown(self) -> Shown:
        """As a session remembers it."""
        return Shown(item=self.item, kind=self.kind, origin=self.origin, of=self.what, scores=self.scores)
