"""How many of the blocks at low risk were wrong, by those that were let through to see.

Each counts by how likely it was to be blocked over how likely it was to be let through (self-normalised importance
weighting), so that a block that was seldom let through stands for all like it.
"""

from math import sqrt

import msgspec

Z = 1.959963984540054  # of a normal distribution, for 95 %


class FalseBlocks(msgspec.Struct, array_like=True):
    """What is known of them. Nothing is said of blocks at high risk: none was let through."""

    let_through: int = 0
    known: int = 0  # of which the plan was run, and said whether it worked
    weights: float = 0.0
    worked: float = 0.0  # the weight of those that did
    squares: float = 0.0

    def see(self, weight: float, *, worked: bool) -> None:
        """One of which it is known how it ended."""
        self.known += 1
        self.weights += weight
        self.worked += weight * worked
        self.squares += weight * weight

    @property
    def rate(self) -> float | None:
        """The share of false ones; None while nothing is known."""
        return self.worked / self.weights if self.weights else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's for 95 %, with as many samples as the weights are worth: approximate."""
        if not self.weights:
            return 0.0, 1.0
        samples, rate = self.weights * self.weights / self.squares, self.worked / self.weights
        shrunk = 1.0 + Z * Z / samples
        centre = (rate + Z * Z / (2.0 * samples)) / shrunk
        half = Z * sqrt(rate * (1.0 - rate) / samples + Z * Z / (4.0 * samples * samples)) / shrunk
        return max(0.0, centre - half), min(1.0, centre + half)
