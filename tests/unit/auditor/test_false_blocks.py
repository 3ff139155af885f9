"""The false-block rate among audited low-risk blocks: it finds the truth, and says how sure it is."""

import random

import pytest

from auditor import State as LearntState
from auditor.events import Decided
from auditor.false_blocks import FalseBlocks
from strategist import Move

from .story import Story, msgspec, rules_of, trace_of

ACTIONS = ("PROCEED", "HINT", "REWRITE", "BLOCK")


def test_a_block_that_was_seldom_let_through_stands_for_all_like_it() -> None:
    """Weights 4, worked, and 1, did not: 4 / 5. They are worth 25 / 17 samples."""
    found = FalseBlocks()
    assert (found.rate, found.interval) == (None, (0.0, 1.0))
    found.see(4.0, worked=True)
    found.see(1.0, worked=False)
    assert found.rate == pytest.approx(0.8)
    low, high = found.interval
    assert 0.0 < low < 0.8 < high <= 1.0


@pytest.mark.parametrize(("runs", "of"), [(300, 300), pytest.param(4000, 300, marks=pytest.mark.nightly)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(runs: int, of: int, seed: int) -> None:
    """Kinds of blocks that are let through with 0.05 and with 0.4, false with 0.1 and 0.6: the truth is 0.35."""
    rng, held = random.Random(seed), 0
    for _ in range(runs):
        found = FalseBlocks()
        for _ in range(of):
            seldom = rng.random() < 0.5
            share = 0.05 if seldom else 0.4
            if rng.random() < share:
                found.see(1.0 / share, worked=rng.random() < (0.1 if seldom else 0.6))
        low, high = found.interval
        held += low <= 0.35 <= high
    print(f"{held} of {runs}")
    assert 0.90 <= held / runs <= 0.995


@pytest.fixture
def story() -> Story:
    return Story(rules_of())


def let_through(story: Story, trace_id: str, action: str = "HINT") -> None:
    """BLOCK was preferred with 0.8, a quarter of which went to HINT, which has 0.05 by itself."""
    trace = trace_of(trace_id, action)
    head = msgspec.structs.replace(
        trace.heads[0],
        probabilities=(0.05, 0.25, 0.05, 0.65),
        propensity=0.25 if action == "HINT" else 0.65,
        move=Move("BLOCK", "HINT", 0.25, 0.2),
    )
    story.tell(Decided(tenant=story.tenant, at=story.now, trace=msgspec.structs.replace(trace, heads=(head,))))


def test_what_was_let_through_counts_once_the_plan_itself_was_run(story: Story) -> None:
    for trace_id, outcome in (
        ("ran", {"success": True, "applied_suggestion": False}),
        ("followed the hint", {"success": True, "applied_suggestion": True}),
        ("said nothing of it", {"applied_suggestion": False}),
        ("cancelled", {"success": True, "executed": False}),
    ):
        let_through(story, trace_id)
        story.report(trace_id, **outcome)
    let_through(story, "blocked", "BLOCK")
    found = story.fold.proof.false_blocks
    assert (found.let_through, found.known, found.rate) == (4, 1, 1.0)
    assert found.weights == pytest.approx(0.8 / 0.25)
    assert LearntState.load(story.state.dump()).of("default").proof == story.fold.proof


def test_what_was_let_through_is_learnt_as_the_hint_it_was(story: Story) -> None:
    let_through(story, "t1")
    story.report("t1", success=True, applied_suggestion=False)
    assert story.value("t1", "HINT") == pytest.approx(0.98)
    assert story.value("t1", "BLOCK") == 0.0
