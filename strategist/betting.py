"""A lower bound of a mean that holds however often it is looked at (Waudby-Smith & Ramdas 2024, "Estimating means of
bounded random variables by betting").

Who bets on each number to lie above m, with stakes that only look back, does not gain on average unless its mean does;
so the wealth ever reaches 1 / ALPHA with a chance of at most ALPHA (Ville). The bound is the largest m of a grid up to
which all bets won. What it knows does not grow with the numbers.
"""

from math import log, log1p

import msgspec

ALPHA = 0.05
ENOUGH = log(1.0 / ALPHA)  # of log wealth
PLACES = 39
GRID = tuple([(place + 1 - (PLACES + 1) // 2) / 20.0 for place in range(PLACES)])  # -0.95 to 0.95, 0 among them
MOST = 0.75  # of what could be lost, the largest stake
UNBET = 10.0  # numbers that the spread counts as if seen before any was


class LowerBound(msgspec.Struct, array_like=True):
    """Of the mean of numbers that are never below -`least`, which is at least 1, however far above they go."""

    numbers: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared deviations
    wealth: list[float] = msgspec.field(default_factory=lambda: [0.0] * PLACES)  # logarithms, by place of the grid

    def add(self, number: float, least: float = 1.0) -> None:
        """Take in the next one; `least` was known before it."""
        spread = (UNBET + self.squares) / (UNBET + self.numbers)
        for place, m in enumerate(GRID):
            ahead = self.mean - m
            if ahead > 0.0 and self.wealth[place] < ENOUGH:
                stake = min(MOST / (least + m), ahead / (spread + ahead * ahead))
                self.wealth[place] += log1p(stake * (number - m))
        self.numbers += 1
        step = number - self.mean
        self.mean += step / self.numbers
        self.squares += step * (number - self.mean)

    @property
    def low(self) -> float:
        """What the mean is at least, on the grid; -1 where nothing is known."""
        won = next((place for place, wealth in enumerate(self.wealth) if wealth < ENOUGH), PLACES)
        return GRID[won - 1] if won else -1.0
