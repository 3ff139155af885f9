"""How memories are ranked, every score explained term by term."""

import msgspec

from .space import EpisodeRecord

HALF_LIFE_DAYS = 30.0
DAY_S = 86_400.0


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A remembered episode beside a request. All figures are in [0, 1]."""

    record: EpisodeRecord
    similarity: float
    precondition: float
    recency: float
    worth: float

    @property
    def score(self) -> float:
        return 0.7 * self.similarity + 0.15 * self.precondition + 0.05 * self.recency + 0.1 * self.worth

    @property
    def scores(self) -> dict[str, float]:
        return {
            "similarity": self.similarity,
            "precondition": self.precondition,
            "recency": self.recency,
            "worth": self.worth,
        }


def recency(age_s: float) -> float:
    """1 now, 1/2 after a half-life, and never quite 0 (a power law)."""
    return 1.0 / (1.0 + max(0.0, age_s) / DAY_S / HALF_LIFE_DAYS)


def worth(successes: int, failures: int) -> float:
    """Validated success with one imagined outcome of each kind; 1/2 when nobody said anything."""
    return (successes + 1) / (successes + failures + 2)
