"""One state, several actions: find the best, in noise, at any scale, from unlucky starts, and after it moved."""

import random

import pytest

from strategist import EpsilonDecay, Policy, PolicySettings, State, StepSize

from .school import Reward, mean, pull, share

WORTH = {"a": 0.1, "b": 0.3, "c": 0.5, "d": 0.7, "e": 0.9}
ACTIONS = tuple(WORTH)


def noisy(sd: float, seed: int, worth: dict[str, float] = WORTH, scale: float = 1.0) -> Reward:
    rng = random.Random(seed)
    return lambda state, action, now: scale * (worth[action] + rng.gauss(0, sd))


@pytest.mark.parametrize("seed", range(5))
def test_bandit_is_solved(seed: int) -> None:
    """Guessing earns 0.5; the best possible with the final epsilon of about 0.05 is 0.88."""
    played = pull(Policy(PolicySettings()), ACTIONS, noisy(0.1, seed), 2000, seed=seed)
    assert mean(played[1000:]) > 0.85
    assert share(played[1000:], "e") > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_noise_larger_than_the_gaps_is_averaged_out(seed: int) -> None:
    """sd 1 against gaps of 0.2: a learner that follows the last reward takes the best action a fifth of the time."""
    policy = Policy(PolicySettings(epsilon=EpsilonDecay(start=0.3, floor=0.1)))
    played = pull(policy, ACTIONS, noisy(1.0, seed), 6000, seed=seed)
    assert share(played[4000:], "e") > 0.6
    follower = Policy(PolicySettings(step=StepSize(alpha=1.0), epsilon=EpsilonDecay(start=0.3, floor=0.1)))
    assert share(pull(follower, ACTIONS, noisy(1.0, seed), 6000, seed=seed)[4000:], "e") < 0.45


@pytest.mark.parametrize("scale", [2.0**-10, 0.25, 1024.0])
def test_scale_of_the_rewards_changes_no_choice(scale: float) -> None:
    """By powers of two the arithmetic is exact, so the very same actions must be taken."""

    def actions(scaled: float) -> list[str]:
        played = pull(Policy(PolicySettings()), ACTIONS, noisy(0.3, 7, scale=scaled), 1500, seed=7)
        return [action for action, _ in played]

    assert actions(scale) == actions(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_unlucky_start_is_overcome_by_exploration(seed: int) -> None:
    """The best action fails the first time; a learner that never explores does not try it again."""

    def last_share_of_the_best(epsilon: EpsilonDecay) -> float:
        tried: set[str] = set()

        def reward(state: State, action: str, now: int) -> float:
            first = action not in tried
            tried.add(action)
            return -1.0 if first and action == "e" else WORTH[action]

        played = pull(Policy(PolicySettings(epsilon=epsilon)), ACTIONS, reward, 5000, seed=seed)
        return share(played[4000:], "e")

    assert last_share_of_the_best(EpsilonDecay()) > 0.9
    assert last_share_of_the_best(EpsilonDecay(start=0.0)) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_drift_is_followed_because_steps_have_a_floor(seed: int) -> None:
    """After 3,000 steps the two change places. With its floor a cell remembers 99 samples; without it, all 3,000."""

    def reward(state: State, action: str, now: int) -> float:
        return 0.9 if (action == "e") == (now < 3000) else 0.1

    def share_of_the_new_best(step: StepSize) -> float:
        policy = Policy(PolicySettings(step=step, epsilon=EpsilonDecay(floor=0.1)))
        return share(pull(policy, ("a", "e"), reward, 4000, seed=seed)[3500:], "a")

    assert share_of_the_new_best(StepSize()) > 0.9
    assert share_of_the_new_best(StepSize(alpha=0.2)) > 0.9
    assert share_of_the_new_best(StepSize(floor=0.0001)) < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_rule_that_is_wrong_is_overruled_and_one_that_is_right_is_kept(seed: int) -> None:
    """The rule's head start is worth a few visits, not more."""
    for best, expected in (("HINT", "HINT"), ("PROCEED", "PROCEED")):
        worth = {"PROCEED": 0.0, "HINT": 0.0, "BLOCK": -0.15} | {best: 0.8}
        reward = noisy(0.2, seed, worth)
        played = pull(Policy(PolicySettings()), tuple(worth), reward, 400, seed=seed, rule="HINT")
        assert share(played[200:], expected) > 0.8


@pytest.mark.parametrize("seed", range(5))
def test_apprentice_follows_its_rule_and_its_table_learns_better_beside_it(seed: int) -> None:
    """The rule takes c for ever; the 5 % that tried the others suffice to know e."""
    policy = Policy(PolicySettings(mode="apprentice"))
    played = pull(policy, ACTIONS, noisy(0.1, seed), 3000, seed=seed, rule="c")
    assert share(played, "c") == pytest.approx(0.95, abs=0.02)
    policy.configure(PolicySettings(mode="frozen"))
    assert {action for action, _ in pull(policy, ACTIONS, noisy(0.1, seed), 20, seed=seed, rule="c")} == {"e"}
