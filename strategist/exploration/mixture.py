"""A choice as a mixture of a uniform share and a preference, and the one place that draws from it."""

from typing import NamedTuple


class Mixture(NamedTuple):
    """`uniform` spread evenly over all actions, the rest as `preference` says [A], which sums to 1."""

    preference: tuple[float, ...]
    uniform: float

    def probabilities(self) -> tuple[float, ...]:
        """Probability of each action [A]; they sum to 1."""
        floor, rest = self.uniform / len(self.preference), 1.0 - self.uniform
        return tuple([floor + rest * share for share in self.preference])

    def moved(self, source: int, target: int, share: float) -> "Mixture":
        """With this share of what the action at `source` is preferred by given to the one at `target`.

        >>> Mixture((0.0, 1.0), 0.0).moved(1, 0, 0.25).preference
        (0.25, 0.75)
        """
        preference = list(self.preference)
        preference[target] += share * preference[source]
        preference[source] -= share * preference[source]
        return Mixture(tuple(preference), self.uniform)


def evenly(size: int, indices: list[int]) -> tuple[float, ...]:
    """A preference for some actions, all alike."""
    share = 1.0 / len(indices)
    return tuple([share if i in indices else 0.0 for i in range(size)])


def sample(mixture: Mixture, draw: float) -> tuple[int, bool]:
    """The action's index for a uniform `draw` in [0, 1), and whether it came from the uniform share."""
    size = len(mixture.preference)
    if draw < mixture.uniform:
        return min(int(draw / mixture.uniform * size), size - 1), True
    rest, last = (draw - mixture.uniform) / (1.0 - mixture.uniform), 0
    for index, share in enumerate(mixture.preference):
        if share:
            if rest < share:
                return index, False
            rest, last = rest - share, index
    return last, False  # shares that sum to a little less than 1
