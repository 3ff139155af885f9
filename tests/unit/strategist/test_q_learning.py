"""One tiling with one level is classical Q-learning: by hand, and bit for bit against ten literal lines."""

import random

import pytest

from strategist import Policy, PolicySettings, Situation, State, Step, StepSize, Transition, td

GAMMA = 0.9


@pytest.mark.parametrize(
    ("r_t", "discount_t", "q_t", "expected"),
    [
        (1.0, 0.0, (), 1.0),  # the end: the reward alone
        (1.0, 0.0, (5.0,), 1.0),  # discount 0 cuts whatever follows
        (0.5, 0.9, (0.4, 0.1), 0.86),  # 0.5 + 0.9 * 0.4
        (-1.0, 0.5, (-0.2, -0.6), -1.1),  # -1 + 0.5 * -0.2: the best of bad ones
        (0.0, 1.0, (0.3, 0.7), 0.7),  # a head before the last: the best of the head after it
    ],
)
def test_target_is_reward_plus_discounted_best(
    r_t: float, discount_t: float, q_t: tuple[float, ...], expected: float
) -> None:
    assert td.q_learning(r_t, discount_t, q_t) == pytest.approx(expected, rel=1e-12)


def test_expected_sarsa_takes_what_the_next_states_own_policy_earns() -> None:
    """0.5 + 0.9 * (0.75 * 0.4 + 0.25 * -0.2) = 0.725, where Q-learning says 0.86."""
    assert td.expected_sarsa(0.5, 0.9, (0.4, -0.2), (0.75, 0.25)) == pytest.approx(0.725, rel=1e-12)


def test_expected_sarsa_folds_over_the_logged_probabilities_and_without_them_over_the_best() -> None:
    for probabilities, expected in (((0.75, 0.25), 0.725), ((), 0.86)):
        policy = Policy(PolicySettings(update="expected_sarsa"))
        policy.table.put("B", "left", 0.4, visits=5)
        policy.table.put("B", "right", -0.2, visits=5)
        successor = Situation(state("B"), ("left", "right"), None, (), probabilities)
        update = policy.fold(Transition.transition(step("A", "right"), 0.5, 0.9, successor))
        assert update.target == pytest.approx(expected, rel=1e-12)


def state(name: str) -> State:
    return State(((name,),))


def step(name: str, action: str, actions: tuple[str, ...] = ("left", "right")) -> tuple[Step, ...]:
    return (Step(Situation(state(name), actions), action),)


def value(policy: Policy, name: str, action: str) -> float:
    return policy.table.read(state(name), (action,))[0]


def test_three_states_in_a_row_learn_as_by_hand() -> None:
    """A -> B -> C -> end with reward 1 at the end, alpha 1/2, gamma 0.9, walked twice.

    | walk | update | target               | value                      |
    |    1 | A      | 0 + 0.9 * 0    = 0   | 0                          |
    |    1 | B      | 0 + 0.9 * 0    = 0   | 0                          |
    |    1 | C      | 1                    | 0.5                        |
    |    2 | A      | 0.9 * 0              | 0                          |
    |    2 | B      | 0.9 * 0.5    = 0.45  | 0.225                      |
    |    2 | C      | 1                    | 0.75                       |
    |    3 | A      | 0.9 * 0.225  = 0.2025| 0.10125                    |
    """
    policy = Policy(PolicySettings(gamma=GAMMA, step=StepSize(alpha=0.5)))
    for _ in range(2):
        for here, there in (("A", "B"), ("B", "C")):
            successor = Situation(state(there), ("left", "right"))
            policy.fold(Transition.transition(step(here, "right"), 0.0, GAMMA, successor))
        policy.fold(Transition.termination(step("C", "right"), 1.0))
    policy.fold(Transition.transition(step("A", "right"), 0.0, GAMMA, Situation(state("B"), ("left", "right"))))
    assert [value(policy, name, "right") for name in "ABC"] == pytest.approx([0.10125, 0.225, 0.75], rel=1e-12)
    assert [value(policy, name, "left") for name in "ABC"] == [0.0, 0.0, 0.0]
    assert policy.updates == 7


def test_maximum_runs_over_the_next_decisions_logged_eligible_set() -> None:
    """The masked action is worth 10, and does not count: 0.5 + 0.9 * 0.2 = 0.68."""
    policy = Policy(PolicySettings(gamma=GAMMA))
    policy.table.put("next", "masked", 10.0, visits=5)
    policy.table.put("next", "open", 0.2, visits=5)
    update = policy.fold(
        Transition.transition(step("here", "left"), 0.5, GAMMA, Situation(state("next"), ("open", "unknown")))
    )
    assert update.target == pytest.approx(0.68, rel=1e-12)


def test_next_state_nobody_knows_is_worth_the_rules_head_start() -> None:
    """1 + 0.9 * 0.8 = 1.72 where a rule speaks, 1 where none does."""
    for rule, expected in (("left", 1.72), (None, 1.0)):
        successor = Situation(state("unknown"), ("left", "right"), rule)
        update = Policy(PolicySettings()).fold(Transition.transition(step("s", "left"), 1.0, GAMMA, successor))
        assert update.target == pytest.approx(expected, rel=1e-12)


def test_truncated_transition_counts_nothing_after_it_and_says_so() -> None:
    policy = Policy(PolicySettings(gamma=GAMMA))
    update = policy.fold(Transition.truncation(step("s", "left"), 0.4))
    assert (update.target, update.discount, update.truncated) == (0.4, 0.0, True)


def test_update_tells_target_value_before_error_and_visits() -> None:
    """0.25 before, target 0.75: an error of 0.5; alpha 1/2 leaves 0.5."""
    policy = Policy(PolicySettings(step=StepSize(alpha=0.5)))
    policy.table.put("s", "left", 0.25, visits=4)
    update = policy.fold(Transition.termination(step("s", "left"), 0.75))
    assert (update.q_before, update.target, update.td_error, update.visits) == (0.25, 0.75, 0.5, 5)
    assert value(policy, "s", "left") == 0.5


def test_bootstrap_reads_the_blend_and_moves_the_cells() -> None:
    """The next state reads 10/20 of its own 1.0 and 10/20 of its parent's 0.0 = 0.5: target 0.9 * 0.5 = 0.45.

    Both cells of the visited chain take that target, each by its own step (1 and 1/2).
    """
    policy = Policy(PolicySettings(gamma=GAMMA))
    policy.table.put("n", "right", 0.0, visits=40)
    policy.table.put("n/f", "right", 1.0, visits=10)
    policy.table.put("c", "left", 0.05, visits=1)
    here = Situation(State((("c", "c/f"),)), ("left", "right"))
    policy.fold(Transition.transition((Step(here, "left"),), 0.0, GAMMA, Situation(State((("n", "n/f"),)), ("right",))))
    cells = {key: value for key, _, value, _ in policy.table.cells()}
    assert cells["c"] == pytest.approx(0.25, rel=1e-12)  # half of the way from 0.05 to 0.45
    assert cells["c/f"] == pytest.approx(0.45, rel=1e-12)


def literal_q_learning(
    walk: list[tuple[str, str, float, str, bool]], actions: tuple[str, ...], alpha: float | None
) -> dict[tuple[str, str], float]:
    """Watkins & Dayan (1992), as it stands in a textbook."""
    q: dict[tuple[str, str], float] = {}
    n: dict[tuple[str, str], int] = {}
    for s, a, r, s2, done in walk:
        best = 0.0 if done else max(q.get((s2, b), 0.0) for b in actions)
        target = r + (0.0 if done else GAMMA) * best
        n[s, a] = n.get((s, a), 0) + 1
        step = max(0.02, 1.0 / n[s, a]) if alpha is None else alpha
        q[s, a] = q.get((s, a), 0.0) + step * (target - q.get((s, a), 0.0))
    return q


def random_walk(seed: int, length: int, actions: tuple[str, ...]) -> list[tuple[str, str, float, str, bool]]:
    rng = random.Random(seed)
    states = [f"s{i}" for i in range(5)]
    return [
        (rng.choice(states), rng.choice(actions), rng.gauss(0, 1), rng.choice(states), rng.random() < 0.1)
        for _ in range(length)
    ]


@pytest.mark.parametrize("alpha", [None, 0.2, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_tiling_with_one_level_is_classical_q_learning_bit_for_bit(alpha: float | None, seed: int) -> None:
    actions = ("a", "b", "c")
    walk = random_walk(seed, 400, actions)
    policy = Policy(PolicySettings(gamma=GAMMA, step=StepSize(alpha=alpha)))
    for s, a, r, s2, done in walk:
        if done:
            policy.fold(Transition.termination(step(s, a, actions), r))
        else:
            policy.fold(Transition.transition(step(s, a, actions), r, GAMMA, Situation(state(s2), actions)))
    learnt = {(key, action): value for key, action, value, _ in policy.table.cells()}
    assert learnt == literal_q_learning(walk, actions, alpha)


@pytest.mark.parametrize("seed", [4, 5])
def test_reordering_the_actions_changes_nothing_learnt(seed: int) -> None:
    """Candidates are what they are called, not where they stand in the list."""
    actions = ("akash/A8", "vast/V4", "io/H1")
    one, other = Policy(PolicySettings(gamma=GAMMA)), Policy(PolicySettings(gamma=GAMMA))
    rng = random.Random(seed)
    for s, a, r, s2, _ in random_walk(seed, 300, actions):
        shuffled = tuple(rng.sample(actions, 3))
        one.fold(Transition.transition(step(s, a, actions), r, GAMMA, Situation(state(s2), actions)))
        other.fold(Transition.transition(step(s, a, shuffled), r, GAMMA, Situation(state(s2), shuffled[::-1])))
    assert list(one.table.cells()) == list(other.table.cells())
