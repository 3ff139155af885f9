"""What origins learnt, joined and read together: an algebra, and a mean that gives way to one's own experience."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist import BackoffTable, Policy, PolicySettings, State, StepSize
from strategist.features.featurizer import Featurizer
from strategist.features.spec import FeatureSpec
from strategist.federation import Entry, FederatedTable, Learnt, leaving, newest, own, pooled

KAPPA = 10.0
MEMORY = 99.0  # visits that a cell remembers under the shipped steps
DRAWN = settings(max_examples=150, derandomize=True, database=None, deadline=None)
FINITE = st.floats(-1, 1)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(("", "c", "c/f", "c/g")), st.sampled_from("ab")),
    st.tuples(FINITE, st.floats(1, 500)),
    max_size=8,
).map(lambda cells: [(key, action, value, visits) for (key, action), (value, visits) in cells.items()])
STATES = (State((("c", "c/f"),)), State((("c", "c/g"), ("",))), State((("other", "other/x"),)))


def entry(origin: int, seq: int, cells: list[Learnt]) -> Entry:
    name = f"or_{origin:032x}"
    return Entry(origin=name, seq=seq, point="p", spec_hash="s", weights={"w": 1.0}, cells=cells).sealed()


def by_origin(*entries: Entry) -> dict[str, Entry]:
    return {one.origin: one for one in entries}


def federated(*entries: Entry, rows: BackoffTable | None = None, step: StepSize | None = None) -> FederatedTable:
    return FederatedTable(step or StepSize(), KAPPA, rows.rows if rows else {}, by_origin(*entries))


ENTRIES = st.builds(entry, origin=st.just(1), seq=st.integers(1, 3), cells=CELLS)


@DRAWN
@given(a=ENTRIES, b=ENTRIES, c=ENTRIES)
def test_of_an_origin_the_newest_entry_stands_in_whatever_order_and_however_often_they_come(
    a: Entry, b: Entry, c: Entry
) -> None:
    """A join: idempotent, commutative, associative; it takes one of the two, and never an older one."""
    assert newest(a, a) == a
    assert newest(a, b) == newest(b, a)
    assert newest(a, newest(b, c)) == newest(newest(a, b), c)
    assert newest(a, newest(a, b)) == newest(a, b)
    assert newest(a, b) in (a, b)
    assert newest(a, b).seq == max(a.seq, b.seq)


@DRAWN
@given(cells=st.lists(CELLS, min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_what_is_read_does_not_depend_on_the_order_in_which_origins_were_imported(
    cells: list[list[Learnt]], seed: int
) -> None:
    entries = [entry(origin, 1, of) for origin, of in enumerate(cells)]
    shuffled = random.Random(seed).sample(entries, len(entries))
    one, other = federated(*entries), federated(*shuffled)
    for state in STATES:
        assert one.read(state, ("a", "b")) == other.read(state, ("a", "b"))
        assert one.variances(state, ("a", "b")) == other.variances(state, ("a", "b"))
        assert one.known(state, "a") == other.known(state, "a")


@DRAWN
@given(cells=st.lists(CELLS, max_size=3), seed=st.integers(0, 2**32), alpha=st.one_of(st.none(), st.floats(0.01, 1)))
def test_a_table_that_was_followed_move_by_move_reads_as_one_that_is_made_at_the_end(
    cells: list[list[Learnt]], seed: int, alpha: float | None
) -> None:
    """So that a restart reads the same bits; and what is read stays between what was learnt here and there."""
    entries = [entry(origin, 1, of) for origin, of in enumerate(cells)]
    rng, step = random.Random(seed), StepSize(alpha=alpha)
    followed, plain = federated(*entries, step=step), BackoffTable(step, KAPPA)
    targets = [value for of in cells for _, _, value, _ in of] + [0.0]
    for _ in range(40):
        state, action, target = rng.choice(STATES), rng.choice("ab"), rng.uniform(-1, 1)
        targets.append(target)
        again = rng.random() < 0.2
        for table in (followed, plain):
            table.move(state, action, target, again=again)
    made = federated(*entries, rows=plain, step=step)
    assert list(followed.cells()) == list(plain.cells()), "one's own experience is one's own"
    for state in STATES:
        for action in "ab":
            assert followed.read(state, (action,)) == made.read(state, (action,))
            assert followed.variances(state, (action,)) == made.variances(state, (action,))
            assert followed.known(state, action) == made.known(state, action)
            assert min(targets) - 1e-9 <= made.read(state, (action,))[0] <= max(targets) + 1e-9


def test_without_anything_imported_the_own_rows_themselves_are_read() -> None:
    """Reading costs what it did, and so does a policy that has let go of everything."""
    policy = Policy(PolicySettings())
    assert policy.table.view is policy.table.rows
    policy.table.move(STATES[0], "a", 0.5)
    policy.federate(by_origin(entry(1, 1, [("c", "a", 1.0, 10.0)])))
    assert policy.table.read(STATES[0], ("a",)) != [0.5]
    policy.federate({})
    assert type(policy.table) is BackoffTable
    assert policy.table.view is policy.table.rows
    assert policy.table.read(STATES[0], ("a",)) == [0.5]


def table(visits: int, value: float = 0.0) -> BackoffTable:
    made = BackoffTable(StepSize(), KAPPA)
    made.put("c", "a", value, visits)
    return made


@pytest.mark.parametrize(
    ("visits", "said", "expected"),
    [
        (0, 30.0, 1.0),  # nothing of one's own
        (10, 30.0, 30 / 40),  # by effective visits
        (90, 30.0, 9 / 99),  # room for nine of the thirty
        (98, 500.0, 1 / 99),
        (99, 500.0, 0.0),  # one's own experience fills what a cell remembers
        (10_000, 500.0, 0.0),
    ],
)
def test_ones_own_experience_overrules_what_is_imported_as_it_grows(visits: int, said: float, expected: float) -> None:
    """Here it was always 0, there always 1."""
    read = federated(entry(1, 1, [("c", "a", 1.0, said)]), rows=table(visits)).read(State((("c",),)), ("a",))
    assert read == [pytest.approx(expected, abs=1e-12)]


def test_origins_count_by_their_effective_visits_and_none_for_more_than_a_cell_remembers() -> None:
    """(10 * 0 + 30 * 1) / 40; and of 500 visits 99 count as much as 99."""
    few, many = entry(1, 1, [("c", "a", 0.0, 10.0)]), entry(2, 1, [("c", "a", 1.0, 30.0)])
    assert federated(few, many).read(State((("c",),)), ("a",)) == [pytest.approx(0.75)]
    loud, heard = entry(1, 1, [("c", "a", 0.0, 500.0)]), entry(2, 1, [("c", "a", 1.0, MEMORY)])
    assert federated(loud, heard).read(State((("c",),)), ("a",)) == [pytest.approx(0.5)]
    assert pooled(by_origin(loud, heard), MEMORY) == {"c": {"a": (MEMORY, 2 * MEMORY)}}


def test_what_is_imported_is_as_sure_as_its_visits_and_shrinks_finer_cells_by_them() -> None:
    """30 imported visits weigh 30/40 against the coarser cell, and the variance is theirs."""
    cells = [("c", "a", 0.0, 30.0), ("c/f", "a", 1.0, 30.0)]
    read = federated(entry(1, 1, cells))
    assert read.read(STATES[0], ("a",)) == [0.75]
    assert read.variances(STATES[0], ("a",)) == [pytest.approx(0.75 * 0.75 / 30 + 0.25 * 0.25 / 30)]
    assert read.known(STATES[0], "a") == ("c/f", 30)


def test_steps_that_remember_less_hear_less() -> None:
    """Under a constant 0.2 a cell remembers nine visits, here and of anybody."""
    told = federated(entry(1, 1, [("c", "a", 1.0, 500.0)]), rows=table(3))
    told.configure(StepSize(alpha=0.2), KAPPA)
    assert told.read(State((("c",),)), ("a",)) == [pytest.approx(6 / 9)]


def test_the_most_visited_own_cells_leave_and_of_equals_the_coarser() -> None:
    made = BackoffTable(StepSize(), KAPPA)
    for key, visits in (("c/f/g", 40), ("c/f", 40), ("c", 5000), ("c/x", 2), ("home", 80)):
        made.put(key, "a", 0.5, visits)
    whole, none = leaving(own(made), lambda key: key != "home", 10_000)
    known = [(key, visits) for key, _, _, visits in whole]
    assert known == [("c", MEMORY), ("c/f", 40.0), ("c/f/g", 40.0), ("c/x", 2.0)]
    assert none == 0
    some, left_out = leaving(own(made), lambda key: key != "home", 50)
    assert (some, left_out) == (whole[:2], 2)


def test_what_was_imported_is_never_exported_again() -> None:
    """Around a ring nothing is counted twice."""
    first = federated(entry(1, 1, [("c", "a", 1.0, 50.0), ("c/f", "a", 1.0, 50.0)]))
    assert own(first) == []
    first.move(STATES[0], "b", 0.25)
    assert own(first) == [("c", "b", 0.25, 1.0), ("c/f", "b", 0.25, 1.0)]


SPEC = FeatureSpec.from_toml(
    """
    point = "p"
    version = 1
    text_bits = [4]
    text_root = ["rule"]
    own_tilings = 4
    [features]
    rule = { fact = "rule" }
    region = { fact = "region" }
    program = { fact = "program", kind = "hashed" }
    [[tilings]]
    name = "place"
    levels = [["rule"], ["region"]]
    [[tilings]]
    name = "command"
    levels = [[], ["rule"], ["program", "region"]]
    """
)
TEXTS = st.text(max_size=12)


@DRAWN
@given(rule=TEXTS, region=TEXTS, codes=st.lists(TEXTS, max_size=3), own_facts=st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_keys_of_texts_and_of_a_callers_own_scalars_stay_home_and_all_others_leave(
    rule: str, region: str, codes: list[str], own_facts: dict[str, str]
) -> None:
    facts = {"rule": rule, "region": region, "program": 7421}
    bare = Featurizer(SPEC).state(facts).chains
    whole = Featurizer(SPEC).state(facts, text_codes=codes, own=own_facts).chains
    assert all(SPEC.leaves(key) for chain in bare if chain[0].startswith("place/") for key in chain)
    (commands,) = [chain for chain in bare if chain[0] == "command/"]
    assert [SPEC.leaves(key) for key in commands] == [True, True, False], "the last has a hash of words"
    texts = [chain for chain in whole if chain[0].startswith("text/")]
    assert all(SPEC.leaves(chain[0]) for chain in texts), "the root has no text's code yet"
    assert not any(SPEC.leaves(key) for chain in texts for key in chain[1:])
    owned = [key for chain in whole for key in chain if key.startswith("own")]
    assert not any(SPEC.leaves(key) for key in owned)
    assert SPEC.leaves(""), "the means over all states"


def test_an_entry_that_was_changed_does_not_have_its_digest() -> None:
    made = entry(1, 1, [("c", "a", 0.5, 3.0), ("a", "a", 0.5, 3.0)])
    assert made.cells == sorted(made.cells)
    assert made.digest == made.sha256
    for change in ({"seq": 2}, {"cells": made.cells[:1]}, {"weights": {}}, {"origin": "or_" + "f" * 32}):
        assert msgspec.structs.replace(made, **change).digest != made.sha256
    sent = msgspec.json.decode(msgspec.json.encode(made), type=Entry)
    assert (sent, sent.digest) == (made, made.sha256)
