"""Tables: q(level) = w * value + (1 - w) * q(level - 1), w = n / (n + kappa), averaged over the tilings."""

import random
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist import BackoffTable, QTable, State, StepSize

AVERAGING = StepSize()
KAPPA = 10.0


def table(step: StepSize = AVERAGING, kappa: float = KAPPA) -> BackoffTable:
    return BackoffTable(step, kappa)


def chain(*keys: str) -> State:
    return State((keys,))


def test_one_level_reads_its_own_value() -> None:
    """The coarsest level is not shrunk: w = 1, however few its visits."""
    values = table()
    values.put("s", "a", 0.7, visits=1)
    assert values.read(chain("s"), ("a",)) == [0.7]


def test_unknown_state_reads_nothing_learnt() -> None:
    assert table().read(chain("s", "s/fine"), ("a", "b")) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        (0, 0.2),  # w = 0: the parent alone
        (1, 0.2 + 0.6 / 11),  # w = 1 / 11
        (10, 0.5),  # w = 10 / 20: half of 0.8, half of 0.2
        (30, 0.65),  # w = 30 / 40: 0.75 * 0.8 + 0.25 * 0.2
        (10_000, 0.2 + 0.6 * 99 / 109),  # the floor of the step forgets: n = 99
    ],
)
def test_finer_level_is_shrunk_towards_its_parent(visits: int, expected: float) -> None:
    values = table()
    values.put("coarse", "a", 0.2, visits=50)
    values.put("coarse/fine", "a", 0.8, visits=visits)
    assert isclose(values.read(chain("coarse", "coarse/fine"), ("a",))[0], expected, rel_tol=1e-12)


def test_three_levels_are_shrunk_one_after_the_other() -> None:
    """1.0 -> 10/20 of 0.0 and 10/20 of 1.0 = 0.5 -> 30/40 of 0.9 and 10/40 of 0.5 = 0.8."""
    values = table()
    values.put("c", "a", 1.0, visits=100)
    values.put("c/m", "a", 0.0, visits=10)
    values.put("c/m/f", "a", 0.9, visits=30)
    assert isclose(values.read(chain("c", "c/m", "c/m/f"), ("a",))[0], 0.8, rel_tol=1e-12)


def test_unseen_finer_keys_read_what_is_known_above_them() -> None:
    values = table()
    values.put("c", "a", 1.0, visits=4)
    values.put("c/m", "a", 0.0, visits=10)
    assert values.read(chain("c", "c/m", "c/m/new", "c/m/new/newer"), ("a",)) == [0.5]
    assert values.read(chain("c", "c/other"), ("a",)) == [1.0]


def test_tilings_are_averaged() -> None:
    """(0.9 + 0.3 + 0.0) / 3: a tiling that knows nothing of the action says 0."""
    values = table()
    values.put("x", "a", 0.9, visits=1)
    values.put("y", "a", 0.3, visits=99)
    assert isclose(values.read(State((("x",), ("y",), ("z",))), ("a",))[0], 0.4, rel_tol=1e-12)


def test_prior_stands_at_the_coarsest_level_until_it_is_visited() -> None:
    values = table()
    starts = (0.3, 0.0)
    assert values.read(chain("c", "c/f"), ("a", "b"), starts) == [0.3, 0.0]
    values.put("c", "b", 0.9, visits=1)  # the key is known now, but not for a
    assert values.read(chain("c", "c/f"), ("a", "b"), starts) == [0.3, 0.9]
    values.put("c", "a", -0.5, visits=1)
    assert values.read(chain("c", "c/f"), ("a", "b"), starts) == [-0.5, 0.9]


def test_prior_is_worth_its_pseudo_visits() -> None:
    """Start 0.3 worth 3 visits: 1/4 of the way to -1 is -0.025, then 1/5 of the way to -1 is -0.22."""
    values = table()
    values.move(chain("s"), "a", -1.0, start=0.3, head_start=3)
    assert isclose(values.read(chain("s"), ("a",))[0], -0.025, rel_tol=1e-12)
    values.move(chain("s"), "a", -1.0, start=0.3, head_start=3)
    assert isclose(values.read(chain("s"), ("a",))[0], -0.22, rel_tol=1e-12)
    assert values.known(chain("s"), "a")[1] == 2  # pseudo-visits are no experience


def test_prior_starts_the_coarsest_cells_only() -> None:
    """The finer cell starts from nothing, so its first target replaces it (step 1)."""
    values = table()
    values.move(chain("c", "c/f"), "a", 1.0, start=0.3, head_start=3)
    assert [(key, value) for key, _, value, _ in values.cells()] == [("c", 0.3 + 0.25 * 0.7), ("c/f", 1.0)]


def test_move_takes_every_visited_cell_towards_the_common_target_by_its_own_step() -> None:
    """Targets 1.0 then 0.0 and a change of the finer key in between: c averages both, each finer key has one."""
    values = table()
    values.move(chain("c", "c/x"), "a", 1.0)
    values.move(chain("c", "c/y"), "a", 0.0)
    assert list(values.cells()) == [("c", "a", 0.5, 2), ("c/x", "a", 1.0, 1), ("c/y", "a", 0.0, 1)]


def test_averaging_cell_holds_the_mean_of_its_targets() -> None:
    values, targets = table(), [0.3, -0.2, 0.9, 0.4, 0.1]
    for target in targets:
        values.move(chain("s"), "a", target)
    assert isclose(values.read(chain("s"), ("a",))[0], sum(targets) / 5, rel_tol=1e-12)  # 0.3


def test_constant_step_moves_a_fifth_of_the_way() -> None:
    """0 -> 0.2 -> 0.36 -> 0.488."""
    values = table(StepSize(alpha=0.2))
    seen = []
    for _ in range(3):
        values.move(chain("s"), "a", 1.0)
        seen.append(values.read(chain("s"), ("a",))[0])
    assert seen == pytest.approx([0.2, 0.36, 0.488], rel=1e-12)


def test_cell_with_step_one_fifth_weighs_as_nine_samples_however_often_it_was_visited() -> None:
    """w = 9 / (9 + 9) = 1/2: the fine 1.0 over the coarse 0.0 reads 0.5 after 9 visits and after 9,000."""
    values = table(StepSize(alpha=0.2), kappa=9.0)
    for visits in (9, 9_000):
        values.put("c", "a", 0.0, visits=visits)
        values.put("c/f", "a", 1.0, visits=visits)
        assert isclose(values.read(chain("c", "c/f"), ("a",))[0], 0.5, rel_tol=1e-12)


def test_blended_read_leaves_the_cells_alone() -> None:
    values = table()
    values.put("c", "a", 1.0, visits=5)
    values.put("c/f", "a", 0.0, visits=5)
    before = list(values.cells())
    for _ in range(3):
        assert values.read(chain("c", "c/f"), ("a", "b")) == values.read(chain("c", "c/f"), ("a", "b"))
    assert list(values.cells()) == before


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(
    targets=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.floats(-1, 1)), min_size=1, max_size=40),
    kappa=st.floats(0, 50),
    alpha=st.one_of(st.none(), st.floats(0.01, 1)),
)
def test_blend_is_an_average_so_it_never_leaves_the_range_of_what_was_learnt(
    targets: list[tuple[int, int, float]], kappa: float, alpha: float | None
) -> None:
    """An averager (Gordon 1995): bootstrapping on it stays a non-expansion. 0 is what nothing is known to be."""
    values = table(StepSize(alpha=alpha), kappa)
    for x, y, target in targets:
        values.move(State(((f"x{x}", f"x{x}/{y}"), (f"y{y}",))), "a", target)
    learnt = [0.0, *(target for _, _, target in targets)]
    for x in range(5):
        read = values.read(State(((f"x{x}", f"x{x}/{x}"), (f"y{x}",))), ("a",))[0]
        assert min(learnt) - 1e-9 <= read <= max(learnt) + 1e-9


def test_order_of_the_actions_changes_no_value() -> None:
    values = table()
    rng = random.Random(5)
    actions = [f"p{i}/sku" for i in range(6)]
    for _ in range(200):
        values.move(chain("c", f"c/{rng.randrange(3)}"), rng.choice(actions), rng.uniform(-1, 1))
    there = dict(zip(actions, values.read(chain("c", "c/1"), actions), strict=True))
    back = dict(zip(actions[::-1], values.read(chain("c", "c/1"), actions[::-1]), strict=True))
    assert there == back


def test_visits_are_those_of_the_best_known_finest_cell() -> None:
    values = table()
    values.put("x", "a", 0.0, visits=50)
    values.put("x/f", "a", 0.0, visits=3)
    values.put("y/f", "a", 0.0, visits=8)
    assert values.known(State((("x", "x/f"), ("y", "y/f"))), "a") == ("y/f", 8)
    assert values.known(State((("x", "x/f"), ("y", "y/f"))), "b") == ("", 0)


def test_finest_known_cell_is_found_where_finer_ones_are_unknown() -> None:
    values = table()
    values.move(State((("x", "x/f", "x/f/g"), ("y",))), "a", 1.0)
    assert values.known(State((("x", "x/f", "x/f/other"), ("y",))), "a") == ("x/f", 1)


def test_new_step_rule_weighs_old_cells_by_the_new_memory() -> None:
    """30 visits weigh 30/40 when averaged; under a constant 0.2 they weigh 9/19."""
    values = table()
    values.put("c", "a", 0.0, visits=30)
    values.put("c/f", "a", 1.0, visits=30)
    assert values.read(chain("c", "c/f"), ("a",)) == [0.75]
    values.configure(StepSize(alpha=0.2), KAPPA)
    assert isclose(values.read(chain("c", "c/f"), ("a",))[0], 9 / 19, rel_tol=1e-12)


def test_cells_come_sorted_so_that_equal_tables_give_equal_bytes() -> None:
    one, other = QTable(AVERAGING, KAPPA), QTable(AVERAGING, KAPPA)
    rows = [("b", "y", 0.1, 1), ("a", "z", 0.2, 2), ("b", "x", 0.3, 3)]
    for row in rows:
        one.put(*row)
    for row in reversed(rows):
        other.put(*row)
    assert list(one.cells()) == list(other.cells()) == [rows[1], rows[2], rows[0]]
    assert (len(one), one.pairs) == (2, 3)


def test_repr_says_how_much_is_known() -> None:
    values = QTable(AVERAGING, KAPPA)
    values.put("s", "a", 0.0, visits=1)
    values.put("s", "b", 0.0, visits=1)
    assert repr(values) == "<QTable 1 keys, 2 cells>"
