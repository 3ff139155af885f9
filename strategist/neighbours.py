"""Values by cases: what happened in the situations most like this one (kernel regression; Nadaraya 1964, Watson 1964).

How alike two texts are is told by the sign bits they share of random projections of their embeddings: their *sketches*
(SimHash; Charikar 2002).
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from math import cos, exp, log, pi
from typing import Self

import numpy as np
from numpy.typing import NDArray

KEPT = 4096  # newest cases of an action
NEAREST = 32  # of them that are asked
UNLIKE = 0.2  # the cosine from which on a case says something: by the square of what is beyond it
HALF_LIFE = 2000  # cases of an action after which one counts half
DOUBT = 1.0  # how much it weighs that cases may say nothing
Floats = NDArray[np.float64]


class Cases:
    """Sketches [bits / 64, N] and targets [N] of one action, in the order they came."""

    def __init__(self, words: int) -> None:
        self._sketches = np.empty((words, NEAREST), np.uint64)
        self._targets = np.empty(NEAREST)
        self._start = self._end = 0

    @classmethod
    def of(cls, sketches: NDArray[np.uint64], targets: Floats) -> Self:
        """These cases: sketches [N * bits / 64] one after the other, targets [N]."""
        made = cls(len(sketches) // len(targets))
        made._sketches, made._targets = sketches.reshape(len(targets), -1).T.copy(), targets.copy()
        made._end = len(targets)
        return made

    @property
    def sketches(self) -> NDArray[np.uint64]:
        return self._sketches[:, self._start : self._end]

    @property
    def targets(self) -> Floats:
        return self._targets[self._start : self._end]

    def add(self, sketch: bytes, target: float) -> None:
        if self._end == len(self._targets):
            self._make_room()
        self._sketches[:, self._end] = np.frombuffer(sketch, np.uint64)
        self._targets[self._end] = target
        self._end += 1
        self._start = max(self._start, self._end - KEPT)

    def _make_room(self) -> None:
        """Copied to the front of arrays that hold as many again, so that a case is seldom moved."""
        sketches, targets = self.sketches, self.targets
        words, count = sketches.shape
        self._sketches, self._targets = np.empty((words, 2 * count), np.uint64), np.empty(2 * count)
        self._sketches[:, :count], self._targets[:count] = sketches, targets
        self._start, self._end = 0, count

    def alike(self, sketch: bytes) -> tuple[float, float]:
        """(weights, weights times targets) of the cases that weigh most, summed."""
        differing = np.bitwise_count(self.sketches ^ np.frombuffer(sketch, np.uint64)[:, np.newaxis])
        distances = differing.sum(axis=0, dtype=np.uint16)
        weights = _kernel(8 * len(sketch))[distances] * _ageing()[-len(distances) :]
        most = weights.nonzero()[0]
        if len(most) > NEAREST:
            most = np.sort(most[weights[most].argpartition(-NEAREST)[-NEAREST:]])
        total = weighed = 0.0
        for weight, target in zip(weights[most].tolist(), self.targets[most].tolist(), strict=True):
            total += weight
            weighed += weight * target
        return total, weighed


@lru_cache(4)
def _kernel(bits: int) -> Floats:
    """What a case weighs by how many bits differ [bits + 1]."""
    beyond = [max(0.0, cos(pi * differing / bits) - UNLIKE) / (1.0 - UNLIKE) for differing in range(bits + 1)]
    return np.array([alike * alike for alike in beyond])


@cache
def _ageing() -> Floats:
    """What is left of a case's weight [KEPT], the newest last."""
    return np.array([exp(-log(2.0) * age / HALF_LIFE) for age in range(KEPT - 1, -1, -1)])


class NeighbourValues:
    """What each action's cases in similar situations differ by from where it starts."""

    def __init__(self) -> None:
        self.cases: dict[str, Cases] = {}

    def read(self, sketch: bytes, actions: Sequence[str], starts: Sequence[float]) -> list[float]:
        """What similar cases add to each action's start [A]; 0 where there are none."""
        return [self._differs(sketch, action, start) for action, start in zip(actions, starts, strict=True)]

    def _differs(self, sketch: bytes, action: str, start: float) -> float:
        if not sketch or action not in self.cases:
            return 0.0
        total, weighed = self.cases[action].alike(sketch)
        return (weighed - total * start) / (total + DOUBT)

    def add(self, sketch: bytes, action: str, target: float) -> None:
        """Keep what came of an action, where its situation has a sketch."""
        if sketch:
            self.cases.setdefault(action, Cases(len(sketch) // 8)).add(sketch, target)

    def blocks(self) -> Iterator[tuple[str, bytes, bytes]]:
        """(action, sketches, targets), actions sorted, each one's oldest case first."""
        for action in sorted(self.cases):
            known = self.cases[action]
            yield action, known.sketches.T.tobytes(), known.targets.tobytes()

    def put(self, action: str, sketches: bytes, targets: bytes) -> None:
        """Set an action's cases as they were kept elsewhere (a snapshot)."""
        self.cases[action] = Cases.of(np.frombuffer(sketches, np.uint64), np.frombuffer(targets))

    def __len__(self) -> int:
        return sum([len(known.targets) for known in self.cases.values()])

    def __repr__(self) -> str:
        return f"<NeighbourValues {len(self.cases)} actions, {len(self)} cases>"
