"""How much each estimate of a value counts: stacked regression, learnt online (Wolpert 1992; Breiman 1996).

Tilings that say nothing about a task would drown those that do if all counted alike for ever.
"""

from collections.abc import Iterator, Sequence
from math import sqrt

import msgspec

RATE = 0.05  # of a weight, which begins at 1
MOST = 3.0
CAUTION = 0.000001  # of a weight that was never moved, in squared units of the reward


class Trust(msgspec.Struct, gc=False):
    """How much one estimate counts, as a multiple of its share, and the sum of its squared gradients."""

    weight: float = 1.0
    squares: float = CAUTION


class Stacking:
    """Weights by the estimate's name."""

    def __init__(self) -> None:
        self.trusts: dict[str, Trust] = {}

    def weight(self, name: str) -> float:
        trust = self.trusts.get(name)
        return 1.0 if trust is None else trust.weight

    def move(self, names: Sequence[str], shares: Sequence[float], error: float) -> None:
        """One step down the squared error of the whole.

        Args:
          names, shares: of the estimates [E]: a share is what one adds to the value at weight 1.
        """
        for name, share in zip(names, shares, strict=True):
            if (gradient := -error * share) == 0.0:
                continue
            trust = self.trusts.get(name)
            if trust is None:
                trust = self.trusts[name] = Trust()
            trust.squares += gradient * gradient
            trust.weight = min(MOST, max(0.0, trust.weight - RATE * gradient / sqrt(trust.squares)))

    def put(self, name: str, weight: float, squares: float) -> None:
        """Set a weight as it was learnt elsewhere (a snapshot)."""
        self.trusts[name] = Trust(weight, squares)

    def rows(self) -> Iterator[tuple[str, float, float]]:
        """(name, weight, squares), sorted."""
        for name in sorted(self.trusts):
            yield name, self.trusts[name].weight, self.trusts[name].squares

    def __repr__(self) -> str:
        return f"<Stacking of {len(self.trusts)} estimates>"
