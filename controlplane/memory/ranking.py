"""How memories are ranked, every score explained term by term."""

import math
from collections.abc import Mapping

import msgspec

from .store import EpisodeRecord

HALF_LIFE_DAYS = 30.0
DAY_S = 86_400.0


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What each term counts; together 1. Chosen on one half of the tasks of `make bench-retrieval`."""

    similarity: float = 0.38
    lexical: float = 0.44
    precondition: float = 0.08
    recency: float = 0.02
    worth: float = 0.08

    def of(self, scores: Mapping[str, float]) -> float:
        """The terms together."""
        return math.fsum(weight * scores[term] for term, weight in msgspec.structs.asdict(self).items())


WEIGHTS = Weights()


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A remembered episode beside a request. All figures are in [0, 1]."""

    record: EpisodeRecord
    similarity: float  # of meaning
    lexical: float  # share of the plan's words it has
    precondition: float
    recency: float
    worth: float

    @property
    def scores(self) -> dict[str, float]:
        return {term: getattr(self, term) for term in WEIGHTS.__struct_fields__}

    @property
    def score(self) -> float:
        return WEIGHTS.of(self.scores)


def recency(age_s: float) -> float:
    """1 now, 1/2 after a half-life, and never quite 0 (a power law)."""
    return 1.0 / (1.0 + max(0.0, age_s) / DAY_S / HALF_LIFE_DAYS)


def worth(successes: int, failures: int) -> float:
    """Validated success with one imagined outcome of each kind; 1/2 when nobody said anything."""
    return (successes + 1) / (successes + failures + 2)
