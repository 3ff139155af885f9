"""The strategist alone: choosing and folding, four tilings of four levels, four actions, one core."""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from strategist import Eligible, Policy, PolicySettings, Situation, State, Step, Transition

ACTIONS = ("PROCEED", "HINT", "REWRITE", "BLOCK")
TILINGS, LEVELS, STATES, LEARNT, MEASURED = 4, 4, 2000, 40_000, 10_000


def random_state(rng: random.Random) -> State:
    chains = []
    for tiling in range(TILINGS):
        key, chain = f"tiling{tiling}", []
        for _ in range(LEVELS):
            key = f"{key}/{rng.randrange(4)}"
            chain.append(key)
        chains.append(tuple(chain))
    return State(tuple(chains))


def median_us(call: Callable[[int], object]) -> float:
    times = []
    for i in range(MEASURED):
        begun = time.perf_counter()
        call(i)
        times.append(time.perf_counter() - begun)
    return round(statistics.median(times) * 1e6, 2)


def measure() -> dict[str, Any]:
    """Median microseconds of a choice and of a fold, after the table has learnt."""
    rng = random.Random(1)
    policy = Policy(PolicySettings())
    situations = [Situation(random_state(rng), ACTIONS) for _ in range(STATES)]
    pairs = [(rng.choice(situations), rng.choice(situations)) for _ in range(LEARNT)]
    moves = [
        Transition.transition((Step(tm1, rng.choice(ACTIONS)),), rng.random(), 0.92, successor)
        for tm1, successor in pairs
    ]
    for move in moves:
        policy.fold(move)
    ends = [Transition.termination(move.steps, move.reward) for move in moves]
    eligible = Eligible(actions=ACTIONS)
    return {
        "choose_us_per_head": median_us(
            lambda i: policy.choose("verdict", situations[i % STATES].state, eligible, rng)
        ),
        "fold_with_bootstrap_us": median_us(lambda i: policy.fold(moves[i])),
        "fold_terminal_us": median_us(lambda i: policy.fold(ends[i])),
        "tilings": TILINGS,
        "levels": LEVELS,
        "actions": len(ACTIONS),
    }
