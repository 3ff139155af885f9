"""The exploration rules by name, each with its one parameter, and what they need to know."""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .epsilon_greedy import epsilon_greedy
from .inverse_gap import inverse_gap
from .mixture import Mixture
from .softmax import softmax
from .thompson import thompson
from .ucb import ucb

Parameter = Annotated[float, Meta(ge=0.0, le=1e6)]
Variances = Callable[[], Sequence[float]]  # of the values [A], in squared units of the reward; looked up where needed


class EpsilonGreedy(msgspec.Struct, frozen=True, tag="epsilon_greedy", gc=False, forbid_unknown_fields=True):
    """Mostly the best value."""

    def over(self, q: Sequence[float], epsilon: float, updates: int, variances: Variances) -> Mixture:
        return epsilon_greedy(q, epsilon)


class Softmax(msgspec.Struct, frozen=True, tag="softmax", gc=False, forbid_unknown_fields=True):
    """The larger the value, the likelier; `temperature` in units of the reward."""

    temperature: Annotated[float, Meta(gt=0.0, le=1e6)] = 0.1

    def over(self, q: Sequence[float], epsilon: float, updates: int, variances: Variances) -> Mixture:
        return softmax(q, self.temperature, epsilon)


class InverseGap(msgspec.Struct, frozen=True, tag="inverse_gap", gc=False, forbid_unknown_fields=True):
    """What lies further behind is tried less often; `gamma` grows as the root of what was learnt."""

    gamma: Parameter = 5.0

    def over(self, q: Sequence[float], epsilon: float, updates: int, variances: Variances) -> Mixture:
        return inverse_gap(q, self.gamma * sqrt(1.0 + updates), epsilon)


class Ucb(msgspec.Struct, frozen=True, tag="ucb", gc=False, forbid_unknown_fields=True):
    """The best value an action may yet have; `bonus` in standard deviations of the value."""

    bonus: Parameter = 0.7

    def over(self, q: Sequence[float], epsilon: float, updates: int, variances: Variances) -> Mixture:
        return ucb(q, variances(), updates, self.bonus, epsilon)


class Thompson(msgspec.Struct, frozen=True, tag="thompson", gc=False, forbid_unknown_fields=True):
    """Each action as often as it is likely to be the best, if what is unknown were `spread` times as large."""

    spread: Parameter = 1.0

    def over(self, q: Sequence[float], epsilon: float, updates: int, variances: Variances) -> Mixture:
        return thompson(q, variances(), self.spread, epsilon)


ExplorationRule = EpsilonGreedy | Softmax | InverseGap | Ucb | Thompson
ExplorationName = Literal["epsilon_greedy", "softmax", "ucb", "thompson", "inverse_gap"]
EXPLORATION_RULES: dict[ExplorationName, type[ExplorationRule]] = {
    "epsilon_greedy": EpsilonGreedy,
    "softmax": Softmax,
    "ucb": Ucb,
    "thompson": Thompson,
    "inverse_gap": InverseGap,
}


def exploration_rule(name: ExplorationName) -> ExplorationRule:
    """The rule of that name with its default parameter."""
    return EXPLORATION_RULES[name]()
