"""How steps and exploration shrink as evidence grows."""

from math import inf, sqrt

import msgspec

SMALLEST = 0.0001  # a cell with a smaller step would remember more samples than its steps are tabulated for


class StepSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Step of a cell by its visits: constant `alpha`, or max(floor, 1 / (1 + visits) ** omega).

    The floor lets a cell follow drift. omega is 1/2 or 1, so that a fold needs no pow.
    """

    alpha: float | None = None
    omega: float = 1.0
    floor: float = 0.02

    def __post_init__(self) -> None:
        if self.alpha is not None and not SMALLEST <= self.alpha <= 1.0:
            raise ValueError(f"alpha must be in [{SMALLEST:g}, 1], not {self.alpha}")
        if self.omega not in (0.5, 1.0):
            raise ValueError(f"omega must be 0.5 or 1, not {self.omega}")
        least = SMALLEST if self.omega == 1.0 else sqrt(SMALLEST)  # which is reached after as many visits
        if not least <= self.floor <= 1.0:
            raise ValueError(f"the step floor must be in [{least:g}, 1] with omega {self.omega:g}, not {self.floor}")

    def at(self, visits: int) -> float:
        """Step for the update that follows `visits` earlier ones."""
        if self.alpha is not None:
            return self.alpha
        decayed = 1.0 / (1.0 + visits)
        return max(self.floor, sqrt(decayed) if self.omega == 0.5 else decayed)

    def effective_visits(self, visits: int) -> float:
        """How many samples the cell still remembers: min(visits, (2 - step) / step)."""
        if visits == 0:
            return 0.0
        step = self.at(visits - 1)
        return min(float(visits), (2.0 - step) / step)

    def horizon(self) -> int:
        """Visits after which neither step nor effective visits change."""
        visits, memory = 1, self.effective_visits
        while self.at(visits) > self.at(visits + 1) or memory(visits) < memory(visits + 1):
            visits += 1
        return visits + 1


class EpsilonDecay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Share of uniform exploration: start * sqrt(scale / (scale + updates)), never under the floor."""

    start: float = 0.1
    floor: float = 0.02
    scale: float = 500.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.start <= 1.0:
            raise ValueError(f"epsilon must be in [0, 1], not {self.start}")
        if not 0.0 <= self.floor <= 1.0 or not 0.0 < self.scale < inf:
            raise ValueError(f"the floor must be in [0, 1] and the scale above 0, not {self.floor} and {self.scale}")

    def at(self, updates: int) -> float:
        return max(min(self.floor, self.start), self.start * sqrt(self.scale / (self.scale + updates)))
