"""The policy that is judged, and in which measure."""

from collections.abc import Sequence
from math import fsum

import msgspec

from ..errors import BadLog
from ..features.spec import FeatureSpec
from ..policy import PolicySettings
from .log import LoggedDecision

UNSTATED = ((0.0, 1.0), (-1.0, 1.0))  # ranges of rewards that are taken unstated
SLACK = 1e-9  # by which a sum may miss its range


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that is judged.

    spec: features that its states are made with; None keeps the states as they were logged.
    weights: of the reward's terms; None keeps the rewards as they were logged.
    reward_range: the lowest and the highest reward there can be, where weights do not say it.
    """

    settings: PolicySettings = PolicySettings()
    spec: FeatureSpec | None = None
    weights: dict[str, float] | None = None
    reward_range: tuple[float, float] | None = None

    def reward(self, decision: LoggedDecision) -> float:
        """What came of a decision, in this policy's measure."""
        if self.weights is None:
            return decision.reward
        return sum([weight * decision.terms.get(name, 0.0) for name, weight in sorted(self.weights.items())])

    def span(self, log: Sequence[LoggedDecision]) -> tuple[float, float] | None:
        """The range of rewards: as stated, as weights say (terms are in [-1, 1]), or [0, 1] or [-1, 1] if all fit.

        Raises:
          BadLog: a reward lies outside the stated range.
        """
        if self.reward_range is None and self.weights is not None:
            most = fsum(abs(weight) for weight in self.weights.values())
            return (-most, most) if most else None
        stated = () if self.reward_range is None else (self.reward_range,)
        for lowest, highest in stated or UNSTATED:
            outside = [d for d in log if not lowest - SLACK <= self.reward(d) <= highest + SLACK]
            if not outside:
                return lowest, highest
            if stated:
                said = f"reward {self.reward(outside[0])} is outside reward_range [{lowest:g}, {highest:g}]"
                raise BadLog(f"row {outside[0].row}: {said}")
        return None
