"""How steps and exploration shrink: every number here can be redone with a pencil."""

from math import isclose, nan, sqrt

import pytest

from strategist import EpsilonDecay, StepSize


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        (0, 1.0),  # 1 / (1 + 0): the first sample replaces whatever stood there
        (1, 0.5),  # 1 / 2
        (3, 0.25),  # 1 / 4
        (9, 0.1),  # 1 / 10
        (48, 1 / 49),
        (49, 0.02),  # 1 / 50 meets the floor
        (50, 0.02),  # 1 / 51 would be less; the floor follows drift
        (10_000, 0.02),
    ],
)
def test_step_is_the_average_until_the_floor(visits: int, expected: float) -> None:
    assert StepSize().at(visits) == expected


@pytest.mark.parametrize(
    ("visits", "expected"),
    [(0, 1.0), (3, 0.5), (8, 1 / 3), (99, 0.1), (2498, 1 / sqrt(2499)), (2499, 0.02), (9_999, 0.02)],
)
def test_step_with_omega_one_half_is_the_inverse_square_root(visits: int, expected: float) -> None:
    assert isclose(StepSize(omega=0.5).at(visits), expected, rel_tol=1e-15)


@pytest.mark.parametrize("visits", [0, 1, 9, 1000])
def test_constant_step_never_changes(visits: int) -> None:
    assert StepSize(alpha=0.2).at(visits) == 0.2


@pytest.mark.parametrize(
    ("alpha", "visits", "expected"),
    [
        (0.2, 0, 0.0),
        (0.2, 1, 1.0),
        (0.2, 8, 8.0),
        (0.2, 9, 9.0),  # (2 - 0.2) / 0.2 = 9: the Aurora seed's step remembers about nine samples
        (0.2, 10, 9.0),
        (0.2, 5000, 9.0),
        (0.5, 10, 3.0),  # 1.5 / 0.5
        (1.0, 10, 1.0),  # only the last one
    ],
)
def test_constant_step_remembers_a_fixed_number_of_samples(alpha: float, visits: int, expected: float) -> None:
    assert isclose(StepSize(alpha=alpha).effective_visits(visits), expected, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("visits", "expected"), [(1, 1.0), (2, 2.0), (30, 30.0), (99, 99.0), (100, 99.0), (9999, 99.0)]
)
def test_averaging_step_remembers_everything_until_its_floor(visits: int, expected: float) -> None:
    """(2 - 0.02) / 0.02 = 99."""
    assert isclose(StepSize().effective_visits(visits), expected, rel_tol=1e-12)


@pytest.mark.parametrize("step", [StepSize(), StepSize(omega=0.5), StepSize(alpha=0.2), StepSize(alpha=1.0)])
def test_horizon_is_where_nothing_changes_any_more(step: StepSize) -> None:
    last = step.horizon() - 1
    assert {step.at(last), step.at(last + 1), step.at(10 * last)} == {step.at(last)}
    assert {step.effective_visits(last + 1), step.effective_visits(10 * last)} == {step.effective_visits(last)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 1.1},
        {"alpha": 1e-9},
        {"omega": 0.7},
        {"floor": 0.0},
        {"floor": 2.0},
        {"omega": 0.5, "floor": 0.001},
    ],
)
def test_step_refuses_values_that_cannot_learn(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        StepSize(**wrong)


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        (0, 0.1),
        (1500, 0.05),  # 0.1 * sqrt(500 / 2000)
        (4000, 0.1 / 3),  # 0.1 * sqrt(500 / 4500)
        (12_000, 0.02),  # 0.1 * sqrt(500 / 12500) = 0.1 / 5 meets the floor
        (1_000_000, 0.02),
    ],
)
def test_epsilon_decays_with_updates_down_to_its_floor(updates: int, expected: float) -> None:
    assert isclose(EpsilonDecay().at(updates), expected, rel_tol=1e-12)


def test_epsilon_that_starts_below_the_floor_stays_there() -> None:
    assert [EpsilonDecay(start=0.01).at(updates) for updates in (0, 10_000)] == [0.01, 0.01]
    assert EpsilonDecay(start=0.0).at(0) == 0.0


@pytest.mark.parametrize("wrong", [{"start": -0.1}, {"start": 1.1}, {"floor": 2.0}, {"scale": 0.0}, {"scale": nan}])
def test_epsilon_refuses_what_is_no_probability(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        EpsilonDecay(**wrong)
