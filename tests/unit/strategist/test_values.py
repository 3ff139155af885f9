"""What an action is worth: where it starts, what is known of it beforehand, and tables and linear weights together."""

import random

import pytest

from strategist import Eligible, Policy, PolicySettings, Situation, State, Step, Transition
from strategist.linear import hashed_words
from strategist.values import Estimates

HERE = State((("t/", "t/x"),))
ARMS = ("acme/large", "acme/small", "other/one")
RELATED = PolicySettings(relatives_visits=3)


def rewarded(policy: Policy, action: str, reward: float, actions: tuple[str, ...] = ARMS, at: State = HERE) -> None:
    policy.fold(Transition.termination((Step(Situation(at, actions), action),), reward))


def values(policy: Policy, actions: tuple[str, ...] = ARMS, at: State = HERE) -> list[float]:
    return policy.values(Situation(at, actions))


def test_newcomer_starts_a_little_below_the_best_of_its_provider() -> None:
    policy = Policy(RELATED)
    for _ in range(2000):
        rewarded(policy, "acme/large", 0.9)
        rewarded(policy, "other/one", 0.4)
    new = policy.values(Situation(HERE, (*ARMS, "acme/new", "other/new", "third/new")))[3:]
    assert new == pytest.approx([0.9 * 0.9, 0.9 * 0.4, 0.9 * 0.9], abs=0.01)


def test_newcomer_with_bad_relatives_starts_at_0() -> None:
    policy = Policy(RELATED)
    rewarded(policy, "other/one", -0.5)
    assert policy.values(Situation(HERE, (*ARMS, "other/new")))[3] == 0.0


def test_one_unlucky_try_leaves_an_action_near_the_best() -> None:
    """Mean 0 of one try, best 0.8, worth three tries: 0.8 + 1/4 * (0 - 0.8) = 0.6."""
    policy = Policy(RELATED)
    rewarded(policy, "acme/large", 0.8)
    rewarded(policy, "acme/small", 0.0)
    elsewhere = State((("u/", "u/y"),))
    assert values(policy, ARMS[:2], elsewhere) == pytest.approx([0.8, 0.6], rel=1e-12)


def test_without_relatives_everything_starts_at_0() -> None:
    policy = Policy(PolicySettings())
    rewarded(policy, "acme/large", 0.9)
    assert values(policy) == [0.9, 0.0, 0.0]


@pytest.mark.parametrize("estimates", ["table", "linear", "stacked"])
def test_what_is_known_beforehand_is_added_and_not_learnt(estimates: Estimates) -> None:
    """Two candidates that succeed alike: the price alone decides, in the first minute and for a price that changed."""
    policy = Policy(PolicySettings(estimates=estimates, relatives_visits=3))
    known = {"cheap": -0.1, "dear": -0.4}
    situation = Situation(HERE, ("cheap", "dear"), None, (-0.1, -0.4))
    for _ in range(30):
        policy.fold(Transition.termination((Step(situation, "cheap"),), 0.5 - 0.1))
        policy.fold(Transition.termination((Step(situation, "dear"),), 0.5 - 0.4))
    chosen = policy.choose("arm", HERE, Eligible(actions=("cheap", "dear")), random.Random(1), None, known)
    assert chosen.q_values == pytest.approx((0.4, 0.1), abs=0.01)
    assert chosen.known == (-0.1, -0.4)
    dearer = policy.values(Situation(HERE, ("cheap", "dear"), None, (-0.9, -0.4)))
    assert dearer == pytest.approx([-0.4, 0.1], abs=0.01)


@pytest.mark.parametrize("estimates", ["table", "linear", "stacked"])
def test_one_move_goes_towards_the_target(estimates: Estimates) -> None:
    policy = Policy(PolicySettings(estimates=estimates, relatives_visits=3))
    state = State((("t/", "t/x"),), hashed_words(["disk", "full"]))
    rewarded(policy, "acme/large", 0.2, at=state)
    for reward in (1.0, -1.0):
        before = values(policy, at=state)[0]
        rewarded(policy, "acme/large", reward, at=state)
        assert (values(policy, at=state)[0] - before) * reward > 0.0


def test_words_tell_apart_what_no_key_does() -> None:
    """The same keys everywhere; the table alone cannot know which texts are hard."""
    rng = random.Random(7)

    def learnt(estimates: Estimates) -> list[float]:
        policy = Policy(PolicySettings(estimates=estimates, relatives_visits=3))
        hard = easy = HERE
        for _ in range(1500):
            is_hard = rng.random() < 0.5
            words = [*rng.sample([f"w{i}" for i in range(40)], 6), "proof" if is_hard else "sum"]
            state = State(HERE.chains, hashed_words(words))
            hard, easy = (state, easy) if is_hard else (hard, state)
            rewarded(policy, "small", 0.1 if is_hard else 0.9, ("small", "large"), state)
        return [values(policy, ("small",), state)[0] for state in (hard, easy)]

    table, (hard, easy) = learnt("table"), learnt("stacked")
    assert table[0] == table[1]
    assert hard < 0.3 < 0.7 < easy


def test_linear_alone_reads_no_cell_but_the_means() -> None:
    policy = Policy(PolicySettings(estimates="linear", relatives_visits=3))
    policy.table.put("t/", "acme/large", 0.9, 100)
    assert values(policy) == [0.0, 0.0, 0.0]


def test_noise_is_the_mean_squared_error_of_what_was_expected() -> None:
    """It begins at 0.04 worth ten folds: 0.04 + 1/11 * (1 - 0.04)."""
    policy = Policy(PolicySettings())
    rewarded(policy, "acme/large", 1.0)
    assert policy.noise == pytest.approx(0.04 + (1.0 - 0.04) / 11, rel=1e-12)
