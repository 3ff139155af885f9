"""Where two learnt tables would act differently: worked by hand, and compared with what the policies choose."""

import random

import pytest

from strategist import Policy, PolicySettings, PolicySnapshot, Situation, SpecMismatch, State, Step, Transition
from strategist.differences import Change, Preference, changes


def table(*cells: tuple[str, str, float, int], spec: str = "h") -> PolicySnapshot:
    return PolicySnapshot(spec_hash=spec, updates=0, cells=list(cells))


def test_a_state_whose_greedy_action_changed_is_shown_with_values_and_visits_of_before_and_after() -> None:
    before = table(("s", "a", 0.5, 3), ("s", "b", 0.4, 1), ("t", "a", 0.5, 1))
    after = table(("s", "a", 0.3, 4), ("s", "b", 0.4, 1), ("t", "a", 0.1, 9))
    assert changes(before, after) == [
        Change(
            state="s",
            before=Preference(action="a", values={"a": 0.5, "b": 0.4}, visits=4),
            after=Preference(action="b", values={"a": 0.3, "b": 0.4}, visits=5),
        )
    ]


def test_a_state_only_one_of_them_knows_did_not_change() -> None:
    assert changes(table(("s", "a", 1.0, 1)), table(("t", "a", 1.0, 1))) == []


def test_the_most_visited_come_first_and_then_those_whose_names_sort_first() -> None:
    before = table(*((key, action, value, 1) for key in "pqr" for action, value in (("a", 1.0), ("b", 0.0))))
    after = table(*((key, "b", 2.0, visits) for key, visits in zip("pqr", (5, 9, 5), strict=True)))
    assert [change.state for change in changes(before, after)] == ["q", "p", "r"]


def test_of_equal_values_none_is_taken_for_a_change() -> None:
    assert changes(table(("s", "b", 1.0, 1), ("s", "a", 1.0, 1)), table(("s", "a", 1.0, 1), ("s", "b", 1.0, 2))) == []


def test_tables_of_different_feature_specs_are_not_compared() -> None:
    with pytest.raises(SpecMismatch, match="spec h, the other under i"):
        changes(table(), table(spec="i"))


def test_what_changed_is_what_the_policies_would_choose_otherwise(seed: int) -> None:
    """States of one level, so that a state's choice rests on one cell each."""
    rng, policy = random.Random(seed), Policy(PolicySettings())
    states = [Situation(State(((f"s{n}",),)), ("a", "b", "c")) for n in range(30)]

    def learn(times: int) -> dict[str, str]:
        for _ in range(times):
            policy.fold(Transition.termination((Step(rng.choice(states), rng.choice("abc")),), rng.gauss(0.0, 1.0)))
        known = {state.state.chains[0][0] for state in states} & policy.table.rows.keys()
        return {key: max(sorted(row), key=lambda a: row[a].value) for key in known for row in (policy.table.rows[key],)}

    earlier, before = learn(400), PolicySnapshot.of(policy, "h")
    later, after = learn(400), PolicySnapshot.of(policy, "h")
    expected = {key for key in earlier if earlier[key] != later[key]}
    assert expected
    assert {change.state for change in changes(before, after)} == expected
