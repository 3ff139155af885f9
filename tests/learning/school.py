"""Small worlds for learners (after bsuite): each asks for one skill, and a learner without it fails the class."""

import random
from collections.abc import Callable, Sequence

from strategist import Eligible, Policy, State, Step, Transition

Reward = Callable[[State, str, int], float]  # of a state, the action taken in it, and the time


def key(*keys: str) -> State:
    """A state of one chain."""
    return State((keys,))


def pull(
    policy: Policy,
    actions: tuple[str, ...],
    reward: Reward,
    steps: int,
    *,
    seed: int,
    states: Sequence[State] = (key("s"),),
    rule: str | None = None,
) -> list[tuple[str, float]]:
    """Decide, be rewarded, learn: (action, reward) of every step. States come by in a seeded order."""
    rng, order = random.Random(seed), random.Random(seed + 1)
    played = []
    for now in range(steps):
        state = order.choice(states)
        chosen = policy.choose("verdict", state, Eligible(actions=actions), rng, rule)
        got = reward(state, chosen.action, now)
        policy.fold(Transition.termination((Step(chosen.situation, chosen.action),), got))
        played.append((chosen.action, got))
    return played


def share(played: Sequence[tuple[str, float]], action: str) -> float:
    """How often the action was taken."""
    return sum(taken == action for taken, _ in played) / len(played)


def mean(played: Sequence[tuple[str, float]]) -> float:
    """What was earned per step."""
    return sum(got for _, got in played) / len(played)
