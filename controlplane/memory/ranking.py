"""How memories are ranked, every score explained term by term."""

import math
from collections.abc import Mapping

import msgspec

from auditor.fold import TenantFold
from auditor.worth import Standing

from ..embedding import Vector
from .space import EpisodeRecord

HALF_LIFE_DAYS = 30.0
DAY_S = 86_400.0


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What each term counts; together 1. Chosen on one half of the tasks of `make bench-retrieval`."""

    similarity: float = 0.38
    lexical: float = 0.44
    precondition: float = 0.08
    recency: float = 0.02
    worth: float = 0.05
    origin: float = 0.03

    def of(self, scores: Mapping[str, float]) -> float:
        """The terms together; those that a memory does not have count nothing, in [0, 1]."""
        counted = math.fsum(getattr(self, term) for term in scores)
        return math.fsum(getattr(self, term) * score for term, score in scores.items()) / counted if counted else 0.0


SHIPPED = Weights()
TERMS = Weights.__struct_fields__


def weights_of(fold: TenantFold) -> Weights:
    """Those that were fitted last to what came of the tenant's sessions, else those that are shipped."""
    fitted = fold.sessions.ranker
    return SHIPPED if fitted is None else msgspec.convert(fitted.set.weights, Weights)


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A remembered episode beside a request. All figures are in [0, 1]."""

    record: EpisodeRecord
    similarity: float  # of meaning
    lexical: float  # share of the plan's words it has
    precondition: float
    recency: float
    worth: float
    origin: float  # the same of where it comes from
    standing: Standing
    weights: Weights
    vector: Vector  # that it was found by

    @property
    def score(self) -> float:
        return self.weights.of(self.scores)

    @property
    def scores(self) -> dict[str, float]:
        return {term: getattr(self, term) for term in TERMS}


def recency(age_s: float) -> float:
    """1 now, 1/2 after a half-life, and never quite 0 (a power law)."""
    return 1.0 / (1.0 + max(0.0, age_s) / DAY_S / HALF_LIFE_DAYS)


def worth(successes: int, failures: int, uplift: float) -> float:
    """Validated success with one imagined outcome of each kind (1/2 when nobody said anything), moved by the uplift."""
    return max(0.0, min(1.0, (successes + 1) / (successes + failures + 2) + uplift / 2.0))
