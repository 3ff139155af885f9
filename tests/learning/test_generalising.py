"""Many states: coarse keys carry over what fine keys have not seen, and fine keys overrule them once they have."""

import random

import pytest

from strategist import Policy, PolicySettings, State

from .school import key, mean, pull

CONTEXTS = [f"context{i}" for i in range(300)]
ACTIONS = ("a", "b", "c")


def chained(context: str) -> State:
    return key("all", f"all/{context}")


def flat(context: str) -> State:
    return key(context)


@pytest.mark.parametrize("seed", range(3))
def test_new_contexts_profit_from_what_old_ones_taught(seed: int) -> None:
    """One action is best everywhere, 300 contexts, four visits each: a flat table is still guessing."""
    rng = random.Random(seed)

    def reward(state: State, action: str, now: int) -> float:
        return (1.0 if action == "b" else 0.0) + rng.gauss(0, 0.5)

    coarse = pull(Policy(PolicySettings()), ACTIONS, reward, 1200, seed=seed, states=[chained(c) for c in CONTEXTS])
    alone = pull(Policy(PolicySettings()), ACTIONS, reward, 1200, seed=seed, states=[flat(c) for c in CONTEXTS])
    assert mean(coarse[600:]) > 0.85
    assert mean(coarse[600:]) > mean(alone[600:]) + 0.15


@pytest.mark.parametrize("seed", range(3))
def test_exceptions_are_learnt_against_the_general_rule(seed: int) -> None:
    """`a` is best in nine contexts of ten, and worst in the tenth."""
    contexts = [f"context{i}" for i in range(10)]

    def reward(state: State, action: str, now: int) -> float:
        good = "c" if state.chains[0][-1].endswith("context9") else "a"
        return 1.0 if action == good else -0.5

    policy = Policy(PolicySettings())
    pull(policy, ACTIONS, reward, 4000, seed=seed, states=[chained(c) for c in contexts])
    policy.configure(PolicySettings(mode="frozen"))
    best = {c: pull(policy, ACTIONS, reward, 1, seed=seed, states=[chained(c)])[0][0] for c in contexts}
    assert best == {c: "c" if c == "context9" else "a" for c in contexts}


@pytest.mark.parametrize("seed", range(3))
def test_tilings_that_say_nothing_do_not_drown_the_one_that_does(seed: int) -> None:
    """Four chains; only one of them sees what decides."""
    order = random.Random(seed)

    def state(signal: int) -> State:
        noise = [(f"n{i}", f"n{i}/{order.randrange(20)}") for i in range(3)]
        return State((*noise, ("signal", f"signal/{signal}")))

    def reward(seen: State, action: str, now: int) -> float:
        return 1.0 if action == ACTIONS[int(seen.chains[-1][-1].rpartition("/")[2])] else 0.0

    states = [state(signal) for signal in range(3) for _ in range(60)]
    played = pull(Policy(PolicySettings()), ACTIONS, reward, 4000, seed=seed, states=states)
    assert mean(played[3000:]) > 0.85
