"""What a log can say about a policy, before any figure: support, effective size, largest weight, propensities."""

from math import sqrt
from typing import Self

import msgspec
import numpy as np

from .estimators import Floats

LEAST_EFFECTIVE = 30.0  # decisions; with fewer an interval by the central limit theorem means nothing
LEAST_OF_ALL = 0.01  # of the logged decisions must be left; else a few weights rule the figure
MOST_OF_ONE = 0.1  # of all weights, that one decision may hold
MOST_UNSUPPORTED = 0.01  # of the target policy's probability, on actions that the log could not take
MOST_OFF = 5.0  # standard errors that the mean weight, or a bin of propensities, may be away from what it should be
BINS = 10


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a log speaks about a policy.

    decisions: rows of the log (tasks, where tasks are judged).
    effective: Kish's effective sample size, (sum w)^2 / sum w^2.
    largest_weight: of one decision, and `largest_share` of all weights.
    mean_weight: about 1 where logged propensities are right and nothing lacks support; `mean_weight_off` says how many
      standard errors it is away from that.
    unsupported: mean probability of actions that the log could not take.
    """

    decisions: int
    effective: float
    largest_weight: float
    largest_share: float
    mean_weight: float
    mean_weight_off: float
    unsupported: float

    @classmethod
    def of(cls, weights: Floats, unsupported: float) -> Self:
        """Of the weights [N] of the logged actions."""
        return cls.summed(
            count=len(weights),
            total=float(weights.sum()),
            squares=float((weights * weights).sum()),
            largest=float(weights.max()),
            deviation=float(weights.std(ddof=1)) if len(weights) > 1 else np.inf,
            unsupported=unsupported,
        )

    @classmethod
    def summed(
        cls, *, count: int, total: float, squares: float, largest: float, deviation: float, unsupported: float
    ) -> Self:
        """Of weights that were added up; `deviation` is the standard deviation of one."""
        mean, error = total / count, deviation / sqrt(count)
        return cls(
            decisions=count,
            effective=total * total / squares if squares else 0.0,
            largest_weight=largest,
            largest_share=largest / total if total else 1.0,
            mean_weight=mean,
            mean_weight_off=(mean + unsupported - 1.0) / error if error else 0.0,
            unsupported=unsupported,
        )

    def refusals(self) -> list[str]:
        """Why no figure should be made of this log; nothing where it can answer."""
        return [why for holds, why in self._doubts() if holds]

    def _doubts(self) -> list[tuple[bool, str]]:
        least = max(LEAST_EFFECTIVE, LEAST_OF_ALL * self.decisions)
        return [
            (
                self.unsupported > MOST_UNSUPPORTED,
                f"the policy takes actions that the log could not take, with a probability of {self.unsupported:.3f}",
            ),
            (
                self.effective < least,
                f"{self.decisions} logged ones are worth {self.effective:.1f} of the policy's own; "
                f"at least {least:.0f} are needed, and the largest weight is {self.largest_weight:.1f}",
            ),
            (
                self.largest_share > MOST_OF_ONE,
                f"one of them, of weight {self.largest_weight:.1f}, would be {self.largest_share:.0%} of the figure",
            ),
            (
                abs(self.mean_weight_off) > MOST_OFF,
                f"weights are {self.mean_weight:.3f} on average and should be 1: the logged propensities are not those "
                "with which the actions were drawn",
            ),
        ]


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Actions whose logged probability was about the same: what was said on average, and how often they were taken."""

    said: float
    taken: float
    actions: int
    off: float  # in standard errors


def calibration(probabilities: Floats, taken: Floats) -> list[Bin]:
    """Bins over all eligible actions [P] of the log, with 1 for the one that was taken and 0 for the others."""
    places = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    found = []
    for place in np.unique(places):
        said, came = probabilities[places == place], taken[places == place]
        error = float(np.sqrt((said * (1.0 - said)).sum())) / len(said)
        gap = float(came.mean() - said.mean())
        off = gap / error if error else 0.0  # all were certain, and no log with another outcome is read
        found.append(Bin(said=float(said.mean()), taken=float(came.mean()), actions=len(said), off=off))
    return found
