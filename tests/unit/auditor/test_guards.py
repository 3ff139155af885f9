"""Guard rules: what their patterns fit, when they hold, and that no text makes them slow."""

import random
import re

import pytest

from auditor.guards import Facing, Guard, fits, forbidden, forcing

FACING = Facing(tool="git", command="git  push\t--force origin", environment={"cluster": "production", "n": 3})


def guard(effect: str = "forbid", *actions: str, **conditions: object) -> Guard:
    return Guard(name="g", effect=effect, actions=actions or ("PROCEED",), **conditions)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "text", "as_said"),
    [
        ("git push", "git push", True),
        ("git push", "git push -f", False),
        ("git push*", "git push -f", True),
        ("*--force", "git push --force", True),
        ("*rm -rf*", "cd /; rm -rf x", True),
        ("*rm -rf*", "rm -r x", False),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("*", "", True),
        ("**", "anything", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("*b*b", "ab", False),
    ],
)
def test_a_star_stands_for_any_text_and_everything_else_for_itself(pattern: str, text: str, as_said: bool) -> None:
    assert fits(pattern, text) is as_said


def test_patterns_fit_as_the_same_expressions_do(seed: int) -> None:
    """Against the library's engine, over an alphabet small enough to meet every case."""
    rng = random.Random(seed)
    for _ in range(5000):
        pattern = "".join(rng.choices("ab*", k=rng.randrange(6)))
        text = "".join(rng.choices("ab", k=rng.randrange(8)))
        expression = ".*".join(re.escape(piece) for piece in pattern.split("*"))
        assert fits(pattern, text) is bool(re.fullmatch(expression, text)), (pattern, text)


def test_a_pattern_that_would_send_an_engine_back_and_back_looks_at_each_piece_once() -> None:
    """An expression of this shape takes an engine that goes back longer than the universe is old."""
    assert not fits("*a" * 250 + "*b", "a" * 8192)


def test_a_rule_holds_where_all_of_its_conditions_do() -> None:
    assert guard().holds(FACING)
    assert guard(tool="git", command="git push*--force*", environment={"cluster": "prod*", "n": 3}).holds(FACING)
    for other in ({"tool": "hg"}, {"command": "git pull*"}, {"environment": {"n": 4}}, {"environment": {"m": 3}}):
        assert not guard(**{"tool": "git", **other}).holds(FACING)


def test_more_spaces_are_no_way_around_a_rule() -> None:
    assert guard(command="git push --force*").holds(FACING)


def test_the_first_rule_that_forces_is_taken_and_the_first_that_forbids_says_why() -> None:
    rules = [
        Guard(name="elsewhere", effect="force", actions=("HINT",), tool="hg"),
        Guard(name="first", effect="forbid", actions=("PROCEED",)),
        Guard(name="second", effect="forbid", actions=("PROCEED", "HI*")),
        Guard(name="forced", effect="force", actions=("BLOCK",)),
        Guard(name="too late", effect="force", actions=("HINT",)),
    ]
    found = forcing(rules, FACING)
    assert found is not None
    assert found.name == "forced"
    assert forbidden(rules, FACING, ("PROCEED", "HINT", "BLOCK")) == {
        "PROCEED": "the guard rule 'first' forbids PROCEED",
        "HINT": "the guard rule 'second' forbids PROCEED, HI*",
    }
