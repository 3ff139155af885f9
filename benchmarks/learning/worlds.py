"""The worlds (after bsuite): each asks for one skill, and a learner without it stays near what guessing earns.

A world is a seeded stream of tasks at `route`. It says what is asked, what an arm is worth on average and what is told
of it; its score is the share of the way from guessing to the best policy over the second half of the stream. Rewards
are in [-1, 1], as every term of a reward is.
"""

import random
from collections.abc import Mapping
from typing import ClassVar

from strategist import UpdateRule

ARMS = ("a", "b", "c", "d")
REGIONS = ("north", "south", "east")
Context = Mapping[str, str]


class World:
    """Noise-free contexts with one best arm each, which every reward but for a little noise tells."""

    threshold: ClassVar[float] = 0.8  # a score that guessing does not reach
    tasks: ClassVar[int] = 1000
    steps: ClassVar[int] = 1  # decisions of one task
    delay: ClassVar[int] = 0  # tasks that begin before a task's reports arrive
    weight: ClassVar[float] = 1.0  # of the reward's term
    update_rule: ClassVar[UpdateRule] = "q_learning"  # of who goes to school there; as shipped where nothing is said

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.best = {region: self.rng.choice(ARMS) for region in REGIONS}
        self.now = 0  # tasks that were begun

    def begin(self) -> Context:
        """What the next task asks first."""
        self.now += 1
        return {"region": self.rng.choice(REGIONS)}

    def after(self, context: Context, arm: str) -> Context:
        """What the task asks next, where it has several steps."""
        return context

    def worth(self, context: Context, arm: str) -> float:
        """The arm's average reward."""
        return 0.8 if arm == self.best[context["region"]] else 0.2

    def report(self, context: Context, arm: str) -> float:
        """What is told of it."""
        return self.worth(context, arm) + self.rng.gauss(0.0, 0.1)

    def guess(self, context: Context) -> float:
        """What guessing is worth."""
        return sum(self.worth(context, arm) for arm in ARMS) / len(ARMS)

    def optimum(self, context: Context) -> float:
        return max(self.worth(context, arm) for arm in ARMS)


class Bandit(World):
    """One context, four arms: find the best."""

    def begin(self) -> Context:
        return {**super().begin(), "region": REGIONS[0]}


class Noise(World):
    """Rewards are 1 or -1, and the best arm only shifts the odds: gaps of 0.6 in a noise of standard deviation 0.95."""

    threshold = 0.6
    tasks = 2000

    def worth(self, context: Context, arm: str) -> float:
        return super().worth(context, arm) - 0.2

    def report(self, context: Context, arm: str) -> float:
        return 1.0 if self.rng.random() < (1.0 + self.worth(context, arm)) / 2.0 else -1.0


class Small(World):
    """Every reward is a thousandth of what it is elsewhere."""

    def worth(self, context: Context, arm: str) -> float:
        return super().worth(context, arm) / 1000.0

    def report(self, context: Context, arm: str) -> float:
        return self.worth(context, arm) + self.rng.gauss(0.0, 0.0001)


class Large(World):
    """The term has a weight of a thousand."""

    weight = 1000.0


class Delay(World):
    """What came of a task is told a hundred tasks later."""

    threshold = 0.7
    delay = 100


class Drift(World):
    """Half-way the best arms move on; what was learnt is wrong from there on."""

    threshold = 0.5
    tasks = 2000

    def begin(self) -> Context:
        if self.now == self.tasks // 2:
            self.best = {region: ARMS[(ARMS.index(arm) + 1) % len(ARMS)] for region, arm in self.best.items()}
        return super().begin()


class Credit(World):
    """A lock of three dials: only the last step of a task is rewarded, and only if every step was right."""

    threshold = 0.6
    tasks = 4000
    steps = 3

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.combination = [self.rng.choice(ARMS) for _ in range(self.steps)]

    def begin(self) -> Context:
        self.now += 1
        return {"region": "0 open"}

    def after(self, context: Context, arm: str) -> Context:
        dial, state = context["region"].split()
        right = state == "open" and arm == self.combination[int(dial)]
        return {"region": f"{int(dial) + 1} {'open' if right else 'stuck'}"}

    def worth(self, context: Context, arm: str) -> float:
        """Of the last step; the steps before it are worth nothing by themselves."""
        return float(self.after(context, arm)["region"] == f"{self.steps} open")

    def report(self, context: Context, arm: str) -> float:
        return self.worth(context, arm)

    def guess(self, context: Context) -> float:
        """Of a whole task."""
        return float(len(ARMS)) ** -self.steps

    def optimum(self, context: Context) -> float:
        """Of a whole task."""
        return 1.0


class CreditTree(Credit):
    """The same lock, for the rule that folds a task as a whole."""

    update_rule = "tree_backup"


class Sparse(World):
    """The best arm is rewarded once in twenty times, the others once in a hundred."""

    threshold = 0.6
    tasks = 4000

    def begin(self) -> Context:
        return {**super().begin(), "region": REGIONS[0]}

    def worth(self, context: Context, arm: str) -> float:
        return 0.05 if arm == self.best[context["region"]] else 0.01

    def report(self, context: Context, arm: str) -> float:
        return float(self.rng.random() < self.worth(context, arm))


class Adversary(World):
    """A quarter of the reports says the opposite."""

    threshold = 0.6

    def report(self, context: Context, arm: str) -> float:
        told = super().report(context, arm)
        return 1.0 - told if self.rng.random() < 0.25 else told


WORLDS: dict[str, type[World]] = {
    "bandit": Bandit,
    "noise": Noise,
    "scale-small": Small,
    "scale-large": Large,
    "delay": Delay,
    "drift": Drift,
    "credit": Credit,
    "credit-tree": CreditTree,
    "sparse": Sparse,
    "adversary": Adversary,
}
