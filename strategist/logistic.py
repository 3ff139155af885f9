"""Log odds linear in hashed features, learnt online (logistic regression by AdaGrad; Duchi et al. 2011)."""

from collections.abc import Iterable, Iterator, Sequence
from math import exp, sqrt

from .linear import Weight, descend

RATE = 0.3  # in log odds
CAUTION = 0.3  # squared gradients of a weight that was never moved
SURE = 30.0  # log odds beyond which nothing is distinguished


class LogisticRegression:
    """A weight for every feature that ever spoke; each counts the less, the more of them there are."""

    def __init__(self, rows: Iterable[tuple[int, float, float]] = ()) -> None:
        self.weights = {place: Weight(value, squares) for place, value, squares in rows}

    def log_odds(self, places: Sequence[int]) -> float:
        """What these features add to the log odds; 0 where nothing is known."""
        known = self.weights
        return scale(places) * sum([known[place].value for place in places if place in known])

    def move(self, places: Sequence[int], error: float) -> None:
        """One step towards what happened; `error` is that (0 or 1) minus the probability it was given."""
        descend(self.weights, places, -error * scale(places), rate=RATE, caution=CAUTION)

    def rows(self) -> Iterator[tuple[int, float, float]]:
        """(place, value, squares), sorted, so that equal weights give equal bytes."""
        for place in sorted(self.weights):
            weight = self.weights[place]
            yield place, weight.value, weight.squares

    def __repr__(self) -> str:
        return f"<LogisticRegression {len(self.weights)} weights>"


def scale(places: Sequence[int]) -> float:
    """Of each feature: the fourth root of one over how many there are, between their sum and their mean."""
    return 1.0 / sqrt(sqrt(1.0 + len(places)))


def sigmoid(log_odds: float) -> float:
    """The probability with these log odds, in (0, 1)."""
    return 1.0 / (1.0 + exp(-max(-SURE, min(SURE, log_odds))))
