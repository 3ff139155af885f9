"""Learnt values at rest come back as they were, and only under the feature spec they were learnt with."""

import random

import msgspec
import pytest

from strategist import (
    Policy,
    PolicySettings,
    PolicySnapshot,
    Situation,
    SpecMismatch,
    State,
    Step,
    StepSize,
    StrategistError,
    Transition,
)

SETTINGS = PolicySettings()


def transitions(seed: int, count: int) -> list[Transition]:
    rng = random.Random(seed)

    def situation() -> Situation:
        x, y = rng.randrange(4), rng.randrange(9)
        return Situation(State(((f"x{x}", f"x{x}/{y}"), (f"y{y}",))), ("a", "b", "c"), rng.choice(("a", None)))

    return [
        Transition.transition((Step(situation(), rng.choice("abc")),), rng.gauss(0, 1), 0.9, situation())
        for _ in range(count)
    ]


def learnt(seed: int = 1, count: int = 300, settings: PolicySettings = SETTINGS) -> Policy:
    policy = Policy(settings)
    for transition in transitions(seed, count):
        policy.fold(transition)
    return policy


@pytest.mark.parametrize("settings", [SETTINGS, PolicySettings(step=StepSize(alpha=0.2)), PolicySettings(kappa=3.0)])
def test_snapshot_gives_back_the_policy_it_was_taken_of(settings: PolicySettings) -> None:
    policy = learnt(settings=settings)
    restored = PolicySnapshot.of(policy, "h1").restore(settings, "h1")
    assert list(restored.table.cells()) == list(policy.table.cells())
    assert restored.updates == policy.updates == 300
    state = State((("x1", "x1/3"), ("y3",)))
    assert restored.table.read(state, ("a", "b", "c")) == policy.table.read(state, ("a", "b", "c"))


def test_restored_policy_goes_on_learning_as_if_nothing_had_happened() -> None:
    policy = learnt(count=150)
    restored = PolicySnapshot.of(policy, "h1").restore(SETTINGS, "h1")
    for transition in transitions(2, 150):
        assert policy.fold(transition) == restored.fold(transition)
    assert PolicySnapshot.of(policy, "h1") == PolicySnapshot.of(restored, "h1")


def test_snapshot_survives_encoding_bit_for_bit() -> None:
    snapshot = PolicySnapshot.of(learnt(), "h1")
    encoded = msgspec.msgpack.encode(snapshot)
    assert msgspec.msgpack.encode(msgspec.msgpack.decode(encoded, type=PolicySnapshot)) == encoded
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=PolicySnapshot) == snapshot


def test_equal_policies_give_equal_bytes_and_a_snapshot_does_not_follow_its_policy() -> None:
    one, other = learnt(), learnt()
    taken = msgspec.msgpack.encode(PolicySnapshot.of(one, "h1"))
    assert taken == msgspec.msgpack.encode(PolicySnapshot.of(other, "h1"))
    snapshot = PolicySnapshot.of(one, "h1")
    one.fold(transitions(3, 1)[0])
    assert msgspec.msgpack.encode(snapshot) == taken != msgspec.msgpack.encode(PolicySnapshot.of(one, "h1"))


def test_snapshot_refuses_a_table_made_for_another_feature_spec() -> None:
    snapshot = PolicySnapshot.of(learnt(), "h1")
    with pytest.raises(SpecMismatch, match="h1, asked for h2") as refused:
        snapshot.restore(SETTINGS, "h2")
    assert isinstance(refused.value, StrategistError)
