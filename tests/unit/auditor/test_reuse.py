"""Thresholds of reuse: hand-worked, and over drawn streams of failures."""

import random
from collections.abc import Callable

import pytest

from auditor.packing import encode
from auditor.reflection_events import ReuseChecked
from auditor.reuse import CLASSES, FIRST, FLOOR, MOST, NEWEST, USUAL, Check, Measured, Reuse, drawn, measured, threshold

TARGET = 0.05
PROVING = 59  # the fewest right ones in a row that prove a share below the target: 0.95 ** 59 <= 0.05 < 0.95 ** 58
STREAM = 2000  # failures of a class, each beside a similar one


def checks(right: int, at: int, wrong: int = 0, *, reused: bool = True) -> list[Check]:
    return [Check(at, agreed, reused) for agreed in [True] * right + [False] * wrong]


def event(similarity: float, *, agreed: bool, error_class: str = "timeout", reused: bool = True) -> ReuseChecked:
    return ReuseChecked(
        tenant="acme", at=1.0, reflection_id="rf_1", of="rf_0", error_class=error_class, similarity=similarity,
        agreed=agreed, reused=reused,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "at"),
    [
        ([], USUAL),
        (checks(PROVING - 1, 88), USUAL),
        (checks(PROVING, 88), FLOOR),
        (checks(PROVING, 95), USUAL),
        (checks(PROVING - 1, 88) + checks(500, 99), USUAL),
        (checks(0, 93, wrong=1), 94),
        (checks(0, 99, wrong=1), MOST),
        (checks(0, 86, wrong=1), USUAL),
        (checks(PROVING, 96) + checks(0, 93, wrong=20), 94),
        (checks(PROVING, 88) + checks(0, 86, wrong=1), 87),
        (checks(PROVING, 95) + checks(0, 93, wrong=1), 94),
        (checks(100, 95) + checks(0, 93, wrong=1), USUAL),
    ],
    ids=[
        "without evidence the usual one",
        "too little below it",
        "enough below it",
        "nothing below it",
        "however much there is above it",
        "a wrong one raises it at once",
        "to the highest at most",
        "one that was not reused does not",
        "no further than needed",
        "a wrong one below is stepped over",
        "a single wrong one among few",
        "among many",
    ],
)
def test_the_threshold_is_the_lowest_that_is_proven(seen: list[Check], at: int) -> None:
    assert threshold(seen, TARGET) == at


def test_the_bound_is_clopper_and_pearsons() -> None:
    """Of 20 none: 1 - 0.05 ** (1 / 20); of 1 one: 1; the others are from their tables."""
    assert Measured(0, 0).at_most == pytest.approx(1.0)
    assert Measured(20, 0).at_most == pytest.approx(1.0 - 0.05 ** (1 / 20))
    assert Measured(1, 1).at_most == pytest.approx(1.0)
    assert Measured(10, 1).at_most == pytest.approx(0.3942, abs=1e-4)
    assert Measured(100, 5).at_most == pytest.approx(0.1023, abs=1e-4)


def test_the_bound_and_the_threshold_say_the_same() -> None:
    for n in range(1, 200, 7):
        for wrong in range(0, min(n, 9)):
            found = Measured(n, wrong)
            assert found.below(TARGET) == (found.at_most <= TARGET), (n, wrong)


def test_the_first_reuses_of_a_class_are_checked_and_a_share_of_the_later_ones() -> None:
    assert all(drawn(checks(n, 95), 0.99) for n in range(FIRST))
    assert not drawn(checks(FIRST, 95), 0.1)
    assert drawn(checks(FIRST, 95), 0.09)
    assert drawn(checks(100, 88, reused=False), 0.99)


def test_only_the_newest_checks_count_and_the_class_that_was_checked_longest_ago_makes_room() -> None:
    reuse = Reuse()
    reuse.fold(event(0.95, agreed=False))
    for _ in range(NEWEST):
        reuse.fold(event(0.95, agreed=True))
    assert measured(reuse.of("acme", "timeout")) == (NEWEST, 0)
    for n in range(CLASSES):
        reuse.fold(event(0.95, agreed=True, error_class=f"class {n}"))
    assert len(reuse.classes("acme")) == CLASSES
    assert reuse.of("acme", "timeout") == ()


def test_a_fold_goes_on_from_its_dump_bit_for_bit(seed: int) -> None:
    rng = random.Random(seed)
    events = [event(rng.uniform(0.85, 1), agreed=rng.random() < 0.9, error_class=rng.choice("abc")) for _ in range(400)]
    whole = Reuse()
    for one in events:
        whole.fold(one)
    half = Reuse()
    for one in events[:200]:
        half.fold(one)
    rest = Reuse(half.dump())
    for one in events[200:]:
        rest.fold(one)
    assert encode(rest.dump()) == encode(whole.dump())


def lived(rng: random.Random, wrong: Callable[[float], float], fixed: int | None = None) -> tuple[int, int, int]:
    """A stream of failures of one class: (reused, wrongly reused) of the last half, and the last threshold."""
    reuse, reused, wrongly = Reuse(), 0, 0
    for n in range(STREAM):
        similarity = rng.uniform(0.85, 1.0)
        at = fixed or threshold(reuse.of("acme", "timeout"), TARGET)
        agreed, taken = rng.random() >= wrong(similarity), similarity * 100 >= at
        if not taken or drawn(reuse.of("acme", "timeout"), rng.random()):
            reuse.fold(event(similarity, agreed=agreed, reused=taken))
        if n >= STREAM // 2 and taken:
            reused, wrongly = reused + 1, wrongly + (not agreed)
    return reused, wrongly, threshold(reuse.of("acme", "timeout"), TARGET)


@pytest.mark.parametrize("streams", [1, pytest.param(20, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: 0.5 if s < 0.95 else 0.0,
        lambda s: 0.9 if s < 0.97 else 0.01,
        lambda s: max(0.0, min(1.0, (0.93 - s) * 10)),
        lambda s: 0.3 if s < 0.89 else 0.0,
    ],
    ids=["half below .95", "nearly all below .97", "more and more below .93", "a third below .89"],
)
def test_wrong_reuses_stay_below_the_target_and_more_is_reused_than_above_a_threshold_of_99(
    seed: int, wrong: Callable[[float], float], streams: int
) -> None:
    for drawn_by in range(seed, seed + streams):
        reused, wrongly, at = lived(random.Random(drawn_by), wrong)
        cautious, _, _ = lived(random.Random(drawn_by), wrong, fixed=MOST)
        print(f"{wrongly} of {reused} reuses are wrong, the threshold is {at}; above {MOST} it would be {cautious}")
        assert wrongly / reused < TARGET
        assert reused > cautious


def test_a_class_without_a_wrong_reuse_comes_down_to_the_floor(seed: int) -> None:
    _, wrongly, at = lived(random.Random(seed), lambda _: 0.0)
    assert (wrongly, at) == (0, FLOOR)


def test_a_class_that_is_always_wrong_is_reused_as_little_as_can_be(seed: int) -> None:
    _, _, at = lived(random.Random(seed), lambda _: 1.0)
    assert at == MOST
