"""The strategist alone: choosing and folding, four actions, one core; four tilings of four levels, and a flat table."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from strategist import Eligible, Policy, PolicySettings, Situation, State, Step, Transition
from strategist.neighbours import KEPT, NeighbourValues

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


def flat_state(rng: random.Random) -> State:
    return State(((f"state{rng.randrange(STATES)}",),))


def measure() -> dict[str, Any]:
    """Median microseconds of a choice and of folds, and folds a second, after the table has learnt."""
    shape = {"tilings": TILINGS, "levels": LEVELS, "actions": len(ACTIONS)}
    return {
        "backoff": {**measured(random_state), **shape},
        "flat": measured(flat_state),
        "cases_read_us_per_action": cases_us(),
    }


def cases_us() -> float:
    """To read an action that has as many cases as are kept, of random texts."""
    rng, neighbours = random.Random(1), NeighbourValues()
    for _ in range(KEPT):
        neighbours.add(rng.randbytes(32), "a", rng.random())
    asked = [rng.randbytes(32) for _ in range(MEASURED)]
    return median_us(lambda i: neighbours.read(asked[i], ("a",), (0.5,)))


def measured(state: Callable[[random.Random], State]) -> dict[str, Any]:
    rng = random.Random(1)
    policy = Policy(PolicySettings())
    situations = [Situation(state(rng), ACTIONS) for _ in range(STATES)]
    pairs = [(rng.choice(situations), rng.choice(situations)) for _ in range(LEARNT)]
    moves = [
        Transition.transition((Step(tm1, rng.choice(ACTIONS)),), rng.random(), 0.92, successor)
        for tm1, successor in pairs
    ]
    for move in moves:
        policy.fold(move)
    ends = [Transition.termination(move.steps, move.reward) for move in moves]
    cells = [(move.steps[0].situation.state, move.steps[0].action, move.reward) for move in moves]
    eligible = Eligible(actions=ACTIONS)
    return {
        "choose_us_per_head": median_us(
            lambda i: policy.choose("verdict", situations[i % STATES].state, eligible, rng)
        ),
        "fold_with_bootstrap_us": median_us(lambda i: policy.fold(moves[i])),
        "fold_terminal_us": median_us(lambda i: policy.fold(ends[i])),
        "table_read_us": median_us(lambda i: policy.table.read(situations[i % STATES].state, ACTIONS)),
        "folds_with_bootstrap_per_s": per_second(policy.fold, moves),
        "folds_terminal_per_s": per_second(policy.fold, ends),
        "table_moves_per_s": per_second(lambda cell: policy.table.move(*cell), cells),
    }


def per_second(call: Callable[[Any], object], items: Sequence[Any]) -> int:
    """The best of five rounds, in CPU seconds."""
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        for item in items:
            call(item)
        rounds.append(len(items) / (time.process_time() - begun))
    return round(max(rounds))
