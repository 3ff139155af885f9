"""Action values linear in a state: a weight for every key and every word of it, by action (AdaGrad; Duchi et al. 2011).

Keys and words are hashed (Weinberger et al. 2009), so that what one action's weights take is bounded. They learn how a
state differs from the action's mean over all states, which the tables keep.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import sqrt
from zlib import crc32

import msgspec

from .types import State

RATE = 0.05  # in units of the reward, which is about 1
CAUTION = 0.001  # of a weight that was never moved, in squared units of the reward
MASK = (1 << 18) - 1  # at most so many weights of an action


class Weight(msgspec.Struct, gc=False):
    """A weight, and the sum of its squared gradients."""

    value: float
    squares: float


class LinearValues:
    """What a state adds to each action's mean."""

    def __init__(self) -> None:
        self.weights: dict[str, dict[int, Weight]] = {}

    def read(self, state: State, actions: Sequence[str]) -> list[float]:
        """What the state adds to each action [A]; 0 where nothing is known."""
        places = features(state)
        scale = 1.0 / sqrt(1.0 + len(places))
        return [scale * self._sum(action, places) for action in actions]

    def _sum(self, action: str, places: Sequence[int]) -> float:
        known = self.weights.get(action)
        if known is None:
            return 0.0
        return sum([known[place].value for place in places if place in known])

    def move(self, state: State, action: str, error: float) -> None:
        """One step down the squared error of what was read (target minus value)."""
        places = features(state)
        gradient = -error / sqrt(1.0 + len(places))
        descend(self.weights.setdefault(action, {}), places, gradient, rate=RATE, caution=CAUTION)

    def put(self, action: str, place: int, value: float, squares: float) -> None:
        """Set a weight as it was learnt elsewhere (a snapshot)."""
        self.weights.setdefault(action, {})[place] = Weight(value, squares)

    def rows(self) -> Iterator[tuple[str, int, float, float]]:
        """(action, place, value, squares), sorted, so that equal weights give equal bytes."""
        for action in sorted(self.weights):
            known = self.weights[action]
            for place in sorted(known):
                yield action, place, known[place].value, known[place].squares

    def __len__(self) -> int:
        return sum(map(len, self.weights.values()))

    def __repr__(self) -> str:
        return f"<LinearValues {len(self.weights)} actions, {len(self)} weights>"


def descend(weights: dict[int, Weight], places: Sequence[int], gradient: float, *, rate: float, caution: float) -> None:
    """One step of AdaGrad for the weights at these places, all of which have this gradient.

    caution: the sum of squared gradients of a weight that was never moved.
    """
    squared = gradient * gradient
    for place in places:
        weight = weights.get(place)
        if weight is None:
            weight = weights[place] = Weight(0.0, caution)
        weight.squares += squared
        weight.value -= rate * gradient / sqrt(weight.squares)


def features(state: State) -> list[int]:
    """Where the weights of a state's finer keys and its words lie; each once, in order.

    The coarsest keys say nothing that the action's mean does not.
    """
    return sorted({*state.words, *[hashed_word(key) for chain in state.chains for key in chain[1:]]})


@lru_cache(50_000)
def hashed_word(text: str) -> int:
    """Where the weight of a word or a key lies."""
    return crc32(text.encode(errors="replace")) & MASK


def hashed_words(words: Sequence[str]) -> tuple[int, ...]:
    """The words of a text as features read them.

    >>> hashed_words(["disk", "full", "disk"]) == hashed_words(["full", "disk"])
    True
    """
    return tuple(sorted({hashed_word(word) for word in words}))
