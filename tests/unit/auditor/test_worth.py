"""What a memory is worth: outcomes with and without it, weighted, shrunk, with an interval; worked by hand."""

import re
from pathlib import Path
from random import Random

import msgspec
import pytest

from auditor import State
from auditor.at_rest import decode_tenant, load
from auditor.trace import Offered
from auditor.worth import Standing, Worth

from .story import Story

EPISODE, OTHER = 7, 8
PAGE = Path(__file__).parents[3] / "docs" / "learning.md"


def item(episode_id: int = EPISODE, *, withheld: bool = False, probability: float = 0.2, **of: str) -> Offered:
    known = {"error_class": "not_found_error", "origin": "agents"} | of
    return Offered(episode_id=episode_id, withheld=withheld, probability=probability, **known)


def saw(worth: Worth, of: Offered, worked: int, n: int) -> None:
    """n outcomes, of which so many worked."""
    for place in range(n):
        worth.see(of, place < worked)


def harmful(worth: Worth, episode_id: int = EPISODE) -> Standing:
    """The page's example."""
    saw(worth, item(episode_id), 40, 80)
    saw(worth, item(episode_id, withheld=True), 17, 20)
    return worth.standing(episode_id)


def test_page_works_an_example_by_hand() -> None:
    found = harmful(Worth())
    assert found.uplift == pytest.approx(-0.2994, abs=5e-5)
    assert (found.low, found.high) == (pytest.approx(-0.6446, abs=5e-5), pytest.approx(-0.0554, abs=5e-5))
    assert (found.status, found.offered, found.withheld) == ("harms", 80, 20)
    by_hand = PAGE.read_text("utf-8").split("**Worked by hand.** A memory")[1].split("\n\n")[0]
    for figure in (found.uplift, found.low, found.high):
        assert re.search(rf"(?<!\d){figure:.4f}\b", by_hand), figure


def test_nothing_is_claimed_of_a_memory_that_was_only_ever_offered() -> None:
    worth = Worth()
    saw(worth, item(), 30, 30)
    found = worth.standing(EPISODE)
    assert (found.uplift, found.low, found.high, found.status) == (0.0, -1.0, 1.0, "unproven")
    assert found.spoken == "unproven (30)"


def test_outcomes_count_by_how_unlikely_their_draw_was() -> None:
    """Offered half the time it works, withheld twice as often as it is offered: 1/0.75 and 1/0.25."""
    worth = Worth()
    worth.see(item(probability=0.25), True)
    worth.see(item(probability=0.75), False)
    worth.see(item(probability=0.25, withheld=True), True)
    offered = worth.items[EPISODE].contrast.offered
    assert offered.mean == pytest.approx((1 / 0.75) / (1 / 0.75 + 1 / 0.25), rel=1e-12)
    assert worth.items[EPISODE].contrast.withheld.weight == 4.0


def test_memory_nobody_drew_is_expected_to_be_as_its_class_is_and_another_class_less_so() -> None:
    worth = Worth()
    harmful(worth)
    saw(worth, item(9, error_class="timeout_error"), 60, 80)
    saw(worth, item(9, error_class="timeout_error", withheld=True), 15, 20)
    of_class, of_another = worth.standing(OTHER, "not_found_error"), worth.standing(OTHER, "timeout_error")
    assert -0.35 < of_class.uplift < of_another.uplift < 0.0
    assert of_class.status == "unproven"


def test_memory_is_expected_to_be_as_the_others_are_not_as_it_is_itself() -> None:
    alone = Worth()
    harmful(alone)
    among = Worth()
    harmful(among, OTHER)
    assert among.standing(EPISODE, "not_found_error").uplift != 0.0
    assert alone.standing(EPISODE).uplift == pytest.approx(-0.2994, abs=5e-5), "its class is known by itself alone"


def test_memory_that_changes_nothing_is_inert_after_enough_draws() -> None:
    worth = Worth()
    for _ in range(40):
        saw(worth, item(), 16, 20)
        saw(worth, item(withheld=True), 4, 5)
    assert worth.standing(EPISODE).status == "inert"


def test_memory_is_called_worth_something_falsely_in_few_of_many_streams_though_it_is_looked_at_all_the_time(
    seed: int,
) -> None:
    """10 % would be claimed of both ends together; the interval is asymptotic, so this is what bears it out."""
    rng, alarms, streams = Random(seed), 0, 100
    for _ in range(streams):
        worth, alarm, rate = Worth(), False, rng.uniform(0.2, 0.9)
        for _ in range(300):
            probability = rng.choice((0.05, 0.2))
            worth.see(item(withheld=rng.random() < probability, probability=probability), rng.random() < rate)
            alarm = alarm or worth.standing(EPISODE).status in ("helps", "harms")
        alarms += alarm
    assert alarms <= 0.1 * streams


def test_decision_teaches_what_its_memories_are_worth_once_anybody_says_how_it_ended(story: Story) -> None:
    story.decide("known", "HINT", offered=(item(), item(OTHER, withheld=True)))
    story.report("known", success=True, applied_suggestion=True)
    story.decide("unknown", "HINT", offered=(item(),))
    story.end_window("unknown")
    worth = story.fold.worth
    assert (worth.items[EPISODE].contrast.n, worth.items[OTHER].contrast.n) == (1, 1)
    assert worth.items[EPISODE].contrast.offered.worked == worth.items[EPISODE].contrast.offered.weight


def test_validation_says_how_a_decision_ended_whatever_the_exit_code_was(story: Story) -> None:
    story.decide("t1", "HINT", task="job", offered=(item(),), cited=(EPISODE,))
    story.report("t1", success=True, applied_suggestion=True)
    story.validate(EPISODE, success=False, trace_id="t1")
    story.decide("t2", task="job")
    assert story.fold.worth.items[EPISODE].contrast.offered.worked == 0.0


def test_purged_memory_leaves_no_worth_behind_though_decisions_about_it_are_open(story: Story) -> None:
    story.decide("t1", "HINT", offered=(item(), item(OTHER)))
    story.report("t1", success=True, applied_suggestion=True)
    story.decide("t2", "HINT", offered=(item(), item(OTHER)))
    story.purge(EPISODE)
    story.report("t2", success=True, applied_suggestion=True)
    assert set(story.fold.worth.items) == {OTHER}


def test_worth_survives_being_written_down_and_is_empty_in_what_older_versions_wrote(story: Story) -> None:
    story.decide("t1", "HINT", offered=(item(), item(OTHER, withheld=True)))
    story.report("t1", success=True, applied_suggestion=True)
    written = story.state.dump()
    assert State.load(written).dump() == written
    dump = decode_tenant(story.state.dump_tenant(story.tenant))
    older = msgspec.to_builtins(dump)
    del older["worth"]
    for _ in range(2):
        fold = load(msgspec.convert(older, type(dump)), story.fold.rules)
        assert (fold.worth.items, fold.worth.all.n) == ({}, 0), "nor does one tenant's begin with another's"
        fold.worth.see(item(), True)


def becomes(story: Story, name: str, *, works_with: int, works_without: int) -> str:
    """A hundred decisions about the episode, 80 of them with it; its skill's status afterwards."""
    for place in range(100):
        withheld = place >= 80
        worked = place < works_with if not withheld else place - 80 < works_without
        story.decide(f"{name}{place}", "HINT", offered=(item(withheld=withheld),))
        story.report(f"{name}{place}", success=worked, applied_suggestion=True)
    return str(story.fold.skills.by_episode[EPISODE].status)


def test_skill_is_promoted_and_retired_by_its_uplift_and_comes_back_with_a_history_that_says_why(story: Story) -> None:
    for _ in range(3):
        story.validate(EPISODE)
    assert becomes(story, "helped", works_with=72, works_without=4) == "promoted"
    for again in range(2):
        becomes(story, f"harmed{again}", works_with=4, works_without=20)
    skill = story.fold.skills.by_episode[EPISODE]
    assert skill.status == "retired"
    for again in range(5):
        becomes(story, f"mended{again}", works_with=76, works_without=2)
    assert skill.status == "promoted"
    steps = [(change.before, change.after) for change in skill.history]
    assert steps[:2] == [("none", "trial"), ("trial", "promoted")]
    assert {("trial", "retired"), ("retired", "trial")} <= set(steps)
    assert [change.seq for change in skill.history] == sorted({change.seq for change in skill.history})
    assert all(re.search(r"3 of 3 validations worked; its uplift: \w+ \(", change.why) for change in skill.history)


def test_skill_that_an_operator_retired_stays_so_whatever_its_uplift(story: Story) -> None:
    for _ in range(3):
        story.validate(EPISODE)
    skill = story.fold.skills.by_episode[EPISODE]
    story.retire(skill.skill_id)
    assert becomes(story, "helped", works_with=80, works_without=2) == "retired"
    assert skill.history[-1].why == "an operator retired it: dangerous"


def test_origin_loses_by_fixes_that_fail_and_by_memories_that_harm() -> None:
    worth = Worth()
    worth.validated("liar", False)
    worth.validated("friend", True)
    assert (worth.origins["liar"].failures, worth.origins["friend"].successes) == (1, 1)
    saw(worth, item(origin="liar"), 5, 80)
    saw(worth, item(origin="liar", withheld=True), 18, 20)
    saw(worth, item(OTHER, origin="friend"), 60, 80)
    saw(worth, item(OTHER, origin="friend", withheld=True), 15, 20)
    assert worth.uplift_of_origin("liar") < worth.uplift_of_origin("friend") < 0.0
