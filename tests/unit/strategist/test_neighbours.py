"""Cases: what similar situations came to is believed by how similar they are; by hand and against a transcription."""

import random
from math import cos, pi

import numpy as np
import pytest

from strategist import Policy, PolicySettings, PolicySnapshot, Situation, State, Step, Transition
from strategist.neighbours import DOUBT, HALF_LIFE, KEPT, NEAREST, UNLIKE, NeighbourValues

ARMS = ("acme/large", "acme/small")
SKETCH = bytes(32)


def flipped(sketch: bytes, bits: int) -> bytes:
    """The sketch with its first so many bits turned over."""
    return (int.from_bytes(sketch) ^ (2**256 - 2 ** (256 - bits))).to_bytes(32)


def of(*cases: tuple[bytes, str, float]) -> NeighbourValues:
    values = NeighbourValues()
    for case in cases:
        values.add(*case)
    return values


def test_a_case_like_this_one_counts_as_much_as_the_doubt() -> None:
    """Weight 1 for the same sketch: (1 * 0.9 - 1 * 0.5) / (1 + 1)."""
    assert of((SKETCH, "a", 0.9)).read(SKETCH, ("a", "b"), (0.5, 0.5)) == [pytest.approx(0.2, rel=1e-12), 0.0]


def test_a_case_at_right_angles_says_nothing() -> None:
    assert of((flipped(SKETCH, 128), "a", 0.9)).read(SKETCH, ("a",), (0.5,)) == [0.0]


def test_what_is_read_is_the_kernel_regression_of_the_nearest(seed: int) -> None:
    rng = random.Random(seed)
    cases = [(rng.getrandbits(256) & rng.getrandbits(256), rng.gauss(0.0, 1.0)) for _ in range(300)]
    values, asked = of(*[(bits.to_bytes(32), "a", target) for bits, target in cases]), rng.getrandbits(256)
    weighed = []
    for age, (bits, target) in enumerate(reversed(cases)):
        alike = max(0.0, (cos(pi * (bits ^ asked).bit_count() / 256) - UNLIKE) / (1.0 - UNLIKE)) ** 2
        weighed.append((alike * 0.5 ** (age / HALF_LIFE), target))
    most = sorted(weighed)[-NEAREST:]
    expected = sum(weight * (target - 0.1) for weight, target in most) / (sum(weight for weight, _ in most) + DOUBT)
    assert values.read(asked.to_bytes(32), ("a",), (0.1,)) == [pytest.approx(expected, rel=1e-9, abs=1e-12)]


def test_of_equally_near_cases_the_newest_are_asked() -> None:
    values = of(*[(SKETCH, "a", -1.0)] * NEAREST, *[(SKETCH, "a", 1.0)] * NEAREST)
    assert values.read(SKETCH, ("a",), (0.0,)) == [pytest.approx(NEAREST / (NEAREST + DOUBT), abs=0.001)]


def test_a_case_counts_half_after_so_many_others_of_its_action() -> None:
    """Weight 1/2: (0.5 * 0.9 - 0.5 * 0.5) / (0.5 + 1)."""
    values = of((SKETCH, "a", 0.9), *[(flipped(SKETCH, 128), "a", 0.0)] * HALF_LIFE)
    assert values.read(SKETCH, ("a",), (0.5,)) == [pytest.approx(0.2 / 1.5, rel=1e-12)]


def test_the_newest_cases_of_an_action_are_kept_and_come_back_as_they_were(seed: int) -> None:
    rng = random.Random(seed)
    cases = [(rng.randbytes(32), rng.choice(ARMS), rng.random()) for _ in range(4 * KEPT + 77)]
    values = of(*cases)
    again = NeighbourValues()
    for action, sketches, targets in values.blocks():
        newest = [(sketch, target) for sketch, chosen, target in cases if chosen == action][-KEPT:]
        assert sketches == b"".join(sketch for sketch, _ in newest)
        assert np.frombuffer(targets).tolist() == [target for _, target in newest]
        again.put(action, sketches, targets)
    for _ in range(50):
        asked = rng.randbytes(32)
        assert again.read(asked, ARMS, (0.5, 0.5)) == values.read(asked, ARMS, (0.5, 0.5))
    for sketch, action, target in cases[:99]:
        values.add(sketch, action, target)
        again.add(sketch, action, target)
    assert list(again.blocks()) == list(values.blocks())


def test_without_a_sketch_nothing_is_kept_and_nothing_said() -> None:
    values = of((b"", "a", 0.9))
    assert (len(values), values.read(b"", ("a",), (0.5,))) == (0, [0.0])


def answered(policy: Policy, sketch: bytes, rewards: tuple[float, float]) -> None:
    at = State((("all/",),), (), sketch)
    for action, reward in zip(ARMS, rewards, strict=True):
        policy.fold(Transition.termination((Step(Situation(at, ARMS), action),), reward))


def test_stacked_values_follow_cases_where_nothing_else_tells_situations_apart(seed: int) -> None:
    rng, policy = random.Random(seed), Policy(PolicySettings(estimates="stacked", relatives_visits=5))
    kinds = [rng.randbytes(32), rng.randbytes(32)]
    for _ in range(200):
        kind = rng.randrange(2)
        answered(policy, flipped(kinds[kind], rng.randrange(40)), (1.0, 0.0) if kind else (0.0, 1.0))
    for kind, sketch in enumerate(kinds):
        large, small = policy.values(Situation(State((("all/",),), (), sketch), ARMS))
        assert (large > small + 0.5) if kind else (small > large + 0.5)


def test_a_snapshot_brings_the_cases_back(seed: int) -> None:
    rng, settings = random.Random(seed), PolicySettings(estimates="stacked", relatives_visits=5)
    policy = Policy(settings)
    for _ in range(100):
        answered(policy, rng.randbytes(32), (rng.random(), rng.random()))
    snapshot = PolicySnapshot.of(policy, "spec")
    again = snapshot.restore(settings, "spec")
    here = Situation(State((("all/",),), (), rng.randbytes(32)), ARMS)
    assert again.values(here) == policy.values(here)
    assert PolicySnapshot.of(again, "spec") == snapshot


def test_a_repetition_is_no_case_and_proves_nothing(seed: int) -> None:
    """What is learnt of again finds itself among the cases: it would make them look better than they are."""
    policy = Policy(PolicySettings(estimates="stacked", relatives_visits=5))
    values, rng = policy.action_values, random.Random(seed)
    for _ in range(20):
        answered(policy, rng.randbytes(32), (rng.random(), rng.random()))
    before = list(values.neighbours.blocks()), list(values.stacking.rows())
    here = Situation(State((("all/",),), (), rng.randbytes(32)), ARMS)
    values.move(here, ARMS[0], 5.0, again=True)
    assert (list(values.neighbours.blocks()), list(values.stacking.rows())) == before
    values.move(here, ARMS[0], 5.0)
    assert (list(values.neighbours.blocks()), list(values.stacking.rows())) != before
