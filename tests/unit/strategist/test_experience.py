"""Experience replay: repetitions move values, are drawn by the event's number, and raise no evidence."""

from collections import Counter

import pytest

from strategist import Policy, PolicySettings, PolicySnapshot, Situation, State, Step, StepSize, Transition
from strategist.experience import KEPT, Experience

ACTIONS = ("left", "right")


def situation(name: str) -> Situation:
    return Situation(State(((name,),)), ACTIONS)


def ended(reward: float, name: str = "s", action: str = "left") -> Transition:
    return Transition.termination((Step(situation(name), action),), reward)


def test_same_event_draws_the_same_and_every_transition_is_drawn_alike() -> None:
    experience = Experience()
    for number in range(10):
        experience.add(ended(float(number)))
    assert list(experience.draws(7, 5)) == list(experience.draws(7, 5)) != list(experience.draws(8, 5))
    drawn = Counter(t.reward for t in experience.draws(1, 10_000))
    assert min(drawn.values()) > 850
    assert max(drawn.values()) < 1150


def test_nothing_is_drawn_from_nothing_and_only_the_newest_are_kept() -> None:
    experience = Experience()
    assert list(experience.draws(1, 3)) == []
    for number in range(KEPT + 5):
        experience.add(ended(float(number)))
    assert (len(experience.kept), experience.kept[0].reward) == (KEPT, 5.0)


def test_repetition_moves_the_value_and_counts_no_visit() -> None:
    """Alpha 1/2: 0 -> 1/2 by the fold of reward 1; then 1/2 -> 1/4 by one of reward 0, and the first again -> 5/8."""
    policy = Policy(PolicySettings(step=StepSize(alpha=0.5), replayed=1))
    policy.fold(ended(1.0), seed=1)
    policy.fold(ended(0.0), seed=2)
    assert list(policy.table.cells()) == [("s", "left", 0.625, 2)]
    assert policy.updates == 2


def test_reward_at_the_end_of_a_corridor_comes_to_its_beginning_in_fewer_walks() -> None:
    def beginning(replayed: int) -> float:
        policy, seq = Policy(PolicySettings(step=StepSize(alpha=0.5), replayed=replayed)), 0
        for _ in range(4):
            for place in range(6):
                steps, seq = (Step(situation(str(place)), "right"),), seq + 1
                last = place == 5
                move = (
                    Transition.termination(steps, 1.0)
                    if last
                    else Transition.transition(steps, 0.0, 0.9, situation(str(place + 1)))
                )
                policy.fold(move, seq)
        return policy.values(situation("0"))[1]

    assert beginning(0) == 0.0
    assert beginning(5) > 0.1


@pytest.mark.parametrize("replayed", [0, 3])
def test_policy_comes_back_with_its_experience_and_goes_on_the_same(replayed: int) -> None:
    settings = PolicySettings(replayed=replayed)
    policy = Policy(settings)
    for seq in range(50):
        policy.fold(ended(seq / 50, str(seq % 3)), seq)
    again = PolicySnapshot.of(policy, "spec").restore(settings, "spec")
    for seq in range(50, 80):
        assert policy.fold(ended(0.3, str(seq % 4)), seq) == again.fold(ended(0.3, str(seq % 4)), seq)
    assert PolicySnapshot.of(policy, "spec") == PolicySnapshot.of(again, "spec")
