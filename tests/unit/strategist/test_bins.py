"""From a raw fact to a bucket; a fact nobody stated is its own bucket, never a default value."""

import math

import pytest

from strategist.features.bins import Bucket, Fact, category, edges, magnitude, rounded

UNKNOWN: list[Fact] = [None, math.nan, math.inf]


@pytest.mark.parametrize(
    ("fact", "expected"),
    [(-5, "0"), (0.69, "0"), (0.7, "1"), (0.89, "1"), (0.9, "2"), (1, "2"), (10**15, "2")],
)
def test_edges_are_closed_on_the_left(fact: Fact, expected: str) -> None:
    assert edges((0.7, 0.9))(fact) == expected


@pytest.mark.parametrize(
    ("fact", "expected"),
    [(0.68, "0.7"), (0.64, "0.6"), (0, "0.0"), (-0.04, "0.0"), (1, "1.0"), (-0.26, "-0.3")],
)
def test_rounded_is_the_aurora_seeds_bucket(fact: Fact, expected: str) -> None:
    """psi coherence and density rounded to 0.1; there is one zero."""
    assert rounded(1)(fact) == expected


@pytest.mark.parametrize("bucket", [edges((1.0,)), rounded(1)])
@pytest.mark.parametrize("fact", [*UNKNOWN, "fast", "", True, False])
def test_what_is_no_number_is_missing(bucket: Bucket, fact: Fact) -> None:
    assert bucket(fact) == "?"


@pytest.mark.parametrize("bucket", [edges((0.0, 1.0)), rounded(1), category(), magnitude])
def test_missing_is_no_value_a_fact_can_have(bucket: Bucket) -> None:
    assert bucket(None) == "?"
    assert "?" not in {bucket(fact) for fact in (0, 1, -1, 0.5, 2.0)}


@pytest.mark.parametrize(
    ("fact", "expected"),
    [("US-West", "us-west"), ("  kubectl ", "kubectl"), (3, "3"), (True, "true"), ("", "?"), ("x" * 99, "x" * 40)],
)
def test_category_is_a_short_lower_case_name(fact: Fact, expected: str) -> None:
    assert category()(fact) == expected


def test_category_never_holds_the_separator_of_keys() -> None:
    assert category()("us/west/1") == "us_west_1"


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (0, "0"),
        (1, "=1"),
        (7.0, "=7"),
        (8, "+3"),
        (1.5, "+0"),
        (-1, "-0"),
        (255, "+7"),
        (256, "+8"),
        (300, "+8"),
        (-300, "-8"),
        (0.3, "+n2"),  # 1/4 <= 0.3 < 1/2
        (-0.2, "-n3"),
        ("gpu", "gpu"),
        (True, "true"),
        (math.inf, "inf"),
    ],
)
def test_magnitude_is_a_small_count_itself_else_sign_and_power_of_two(fact: Fact, expected: str) -> None:
    assert magnitude(fact) == expected
