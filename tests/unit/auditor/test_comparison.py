"""Who did not act, compared with who did: weights, both sides, and what says nothing."""

import itertools
import random

import msgspec
import pytest

from auditor import State as LearntState
from auditor.comparison import Beside, Comparison, Weighed, weigh
from auditor.events import Decided
from auditor.feedback import Outcome
from auditor.override import Override
from auditor.policy_events import PolicySet
from auditor.rewards import DEFAULT_WEIGHTS, Scene, bounds, score

from .story import Story, rules_of, trace_of

ACTIONS = ("PROCEED", "HINT", "REWRITE", "BLOCK")
APPRENTICE = (0.025, 0.925, 0.025, 0.025)
TABLE = Beside(who="table", action="PROCEED", probabilities=(0.7, 0.1, 0.1, 0.1))


def test_a_decision_weighs_by_how_much_likelier_each_would_have_made_it() -> None:
    """The rule says HINT. PROCEED, drawn with 0.025: 0.7 / 0.025 = 28 times for the table, never by the rule."""
    proceeded = weigh(TABLE, ACTIONS, APPRENTICE, "PROCEED", "HINT")
    hinted = weigh(TABLE, ACTIONS, APPRENTICE, "HINT", "HINT")
    assert proceeded is not None
    assert hinted is not None
    assert (proceeded.theirs, proceeded.ours, proceeded.counts) == (pytest.approx(28.0), 0.0, True)
    assert (hinted.theirs, hinted.ours) == (pytest.approx(0.1 / 0.925), pytest.approx(1 / 0.925))
    assert proceeded.most == hinted.most == pytest.approx(1 / 0.925)


def test_a_decision_without_a_choice_and_one_that_could_not_be_drawn_say_nothing() -> None:
    assert weigh(TABLE, ("PROCEED",), (1.0,), "PROCEED", "PROCEED") is None
    certain = weigh(TABLE, ACTIONS, (0.0, 1.0, 0.0, 0.0), "HINT", "HINT")
    masked = weigh(
        msgspec.structs.replace(TABLE, probabilities=(0.5, 0.1, 0.1, 0.0)), ACTIONS, APPRENTICE, "HINT", "HINT"
    )
    assert certain is not None
    assert masked is not None
    assert (certain.counts, masked.counts) == (False, False)
    comparison = Comparison()
    comparison.add(certain, 1.0)
    assert (comparison.unsupported, comparison.for_theirs.numbers) == (1, 0)


@pytest.mark.parametrize(("worth", "sign"), [((0.9, 0.2), 1), ((0.2, 0.9), -1), ((0.5, 0.5), 0)])
def test_the_difference_is_found_on_its_side_and_none_where_there_is_none(
    worth: tuple[float, float], sign: int, seed: int
) -> None:
    """The one that acts takes 'a' with 0.5, the other with 0.9; the truth is 0.4 times what 'a' is worth more."""
    rng, comparison = random.Random(seed), Comparison()
    for _ in range(3000):
        a = rng.random() < 0.5
        reward = float(rng.random() < worth[not a])
        theirs, ours = (0.9 if a else 0.1) / 0.5, 1.0
        comparison.add(Weighed("table", theirs, ours, 1.0, True), reward)
    low, high = comparison.interval
    truth = 0.4 * (worth[0] - worth[1])
    print(low, truth, high)
    assert low <= truth <= high
    assert (low > 0.0, high < 0.0) == (sign > 0, sign < 0)


@pytest.mark.parametrize("point", ["gate", "route"])
def test_no_reward_lies_outside_of_its_bounds(point: str, seed: int) -> None:
    rng = random.Random(seed)
    reached = set()
    for _ in range(4000):
        weights = {term: rng.choice((0.0, 1.0, -2.0, 0.3)) for term in (*DEFAULT_WEIGHTS[point], "custom.x")}
        outcome = Outcome(
            success=rng.choice((None, True, False)),
            latency_ms=rng.choice((None, 0.0, 200.0, 1e6)),
            cost=rng.choice((None, 0.0, 1.0, 1e6)),
            failures=rng.choice((None, 0, 1, 9)),
            slo_hit=rng.choice((None, True, False)),
            overridden=rng.random() < 0.5,
            custom={"x": rng.choice((-5.0, 5.0))} if rng.random() < 0.5 else {},
        )
        total = score(point, Scene(rng.choice(ACTIONS), outcome), weights).total
        lowest, highest = bounds(point, weights)
        assert lowest - 1e-9 <= total <= highest + 1e-9
        reached |= {"lowest"} if total < lowest + 1e-9 else {"highest"} if total > highest - 1e-9 else set()
    assert reached == {"lowest", "highest"}


@pytest.fixture
def story() -> Story:
    return Story(rules_of())


def decide(story: Story, trace_id: str, action: str = "PROCEED") -> None:
    trace = trace_of(trace_id, action, beside=TABLE)
    head = msgspec.structs.replace(trace.heads[0], probabilities=APPRENTICE, rule="HINT")
    story.tell(Decided(tenant=story.tenant, at=story.now, trace=msgspec.structs.replace(trace, heads=(head,))))


def numbers(story: Story) -> int:
    comparison = story.fold.proof.comparisons.get("gate")
    return comparison.for_theirs.numbers if comparison else 0


def test_what_is_scored_is_compared_and_what_is_cancelled_is_not(story: Story) -> None:
    decide(story, "t1")
    story.report("t1", success=True)
    decide(story, "t2")
    story.report("t2", executed=False)
    decide(story, "t3")
    story.end_window("t3")  # nothing came: the default reward
    story.decide("t4")
    story.report("t4", success=True)  # nobody stood beside
    assert numbers(story) == 2
    lowest, highest = bounds("gate", DEFAULT_WEIGHTS["gate"])
    shares = [(total - lowest) / (highest - lowest) for total in (1.0, 0.0)]
    assert story.fold.proof.comparisons["gate"].for_theirs.mean == pytest.approx(28.0 * sum(shares) / 2)


def test_a_comparison_is_part_of_the_fold_and_goes_on_after_a_restart(story: Story) -> None:
    for n in range(5):
        decide(story, f"t{n}")
        story.report(f"t{n}", success=n % 2 == 0)
        if n == 2:
            story.state = LearntState.load(story.state.dump())
    assert numbers(story) == 5
    assert LearntState.load(story.state.dump()).dump() == story.state.dump()


def test_another_mode_or_other_weights_begin_another_comparison(story: Story) -> None:
    for override, kept in ((Override(risk_ceiling=0.5), 1), (Override(weights={"cost": 0.5}), 0)):
        decide(story, f"t{kept}")
        story.report(f"t{kept}", success=True)
        event = PolicySet(tenant="default", at=story.now, point="gate", override=override, by="", why="x")
        before = numbers(story)
        story.tell(event)
        assert numbers(story) == before * kept


def test_bounds_do_not_depend_on_the_order_in_which_weights_were_read() -> None:
    """A dump sorts them; a live fold may have them otherwise. The last bit of a sum would tell."""
    weights = {"latency": 0.1, "cost": 0.2, "slo": 0.3, "failures": 0.7, "custom.x": 0.6}
    assert len({bounds("route", dict(order)) for order in itertools.permutations(weights.items())}) == 1
