"""A choice as a mixture of a uniform share and a preference, and the one place that draws from it."""

from typing import NamedTuple


class Mixture(NamedTuple):
    """`uniform` spread evenly over all actions, the rest over `preferred` (indices), also evenly."""

    size: int
    preferred: tuple[int, ...]
    uniform: float

    def probabilities(self) -> tuple[float, ...]:
        """Probability of each action [A]; they sum to 1."""
        floor = self.uniform / self.size
        share = (1.0 - self.uniform) / len(self.preferred)
        return tuple(floor + share if i in self.preferred else floor for i in range(self.size))


def sample(mixture: Mixture, draw: float) -> tuple[int, bool]:
    """The action's index for a uniform `draw` in [0, 1), and whether it came from the uniform share."""
    if draw < mixture.uniform:
        return min(int(draw / mixture.uniform * mixture.size), mixture.size - 1), True
    rest = (draw - mixture.uniform) / (1.0 - mixture.uniform)
    return mixture.preferred[min(int(rest * len(mixture.preferred)), len(mixture.preferred) - 1)], False
