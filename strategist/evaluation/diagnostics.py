"""What a log can say about a policy, before any figure: support, effective size, largest weight, propensities."""

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from .estimators import Floats

LEAST_EFFECTIVE = 30.0  # decisions; with fewer an interval by the central limit theorem means nothing
MOST_OF_ONE = 0.2  # of all weights, that one decision may hold
MOST_UNSUPPORTED = 0.01  # of the target policy's probability, on actions that the log could not take
MOST_OFF = 5.0  # standard errors that the mean weight may be away from 1


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a log speaks about a policy.

    decisions: rows of the log.
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
        total, squares, largest = float(weights.sum()), float((weights * weights).sum()), float(weights.max())
        count, mean = len(weights), float(weights.mean())
        error = float(weights.std(ddof=1)) / np.sqrt(count) if count > 1 else np.inf
        return cls(
            decisions=count,
            effective=total * total / squares if squares else 0.0,
            largest_weight=largest,
            largest_share=largest / total if total else 1.0,
            mean_weight=mean,
            mean_weight_off=float((mean + unsupported - 1.0) / error) if error else 0.0,
            unsupported=unsupported,
        )

    def refusals(self) -> list[str]:
        """Why no figure should be made of this log; nothing where it can answer."""
        return [why for holds, why in self._doubts() if holds]

    def _doubts(self) -> list[tuple[bool, str]]:
        return [
            (
                self.unsupported > MOST_UNSUPPORTED,
                f"the policy takes actions that the log could not take, with a probability of {self.unsupported:.3f}",
            ),
            (
                self.effective < LEAST_EFFECTIVE,
                f"{self.decisions} logged decisions are worth {self.effective:.1f} of the policy's own; "
                f"at least {LEAST_EFFECTIVE:.0f} are needed",
            ),
            (
                self.largest_share > MOST_OF_ONE,
                f"one decision, of weight {self.largest_weight:.1f}, would be {self.largest_share:.0%} of the figure",
            ),
            (
                abs(self.mean_weight_off) > MOST_OFF,
                f"weights are {self.mean_weight:.3f} on average and should be 1: the logged propensities are not those "
                "with which the actions were drawn",
            ),
        ]


def unsupported(target: Floats, eligible: NDArray[np.bool_]) -> float:
    """The target policy's mean probability [N, A] of actions that were not eligible [N, A]."""
    return float(np.where(eligible, 0.0, target).sum(axis=1).mean())
