"""Challengers in the fold: they learn beside the champion from the same decisions, change places with it, and go."""

from typing import Any

import msgspec
import pytest

from auditor import State as LearntState
from auditor.comparison import Beside
from auditor.events import Decided, Restored
from auditor.override import Override, Tuning
from auditor.policy_events import ChallengerEnded, ChallengerSet, PolicySet, Promoted, RolledBack
from auditor.rival import Rival, Spec
from strategist import Link, Policy, Situation, State, Step, Transition

from .story import Story, rules_of, trace_of

SPEC = Spec(tuning=Tuning(alpha=0.5), weights={"latency": 1.0, "cost": 0.0})


@pytest.fixture
def story() -> Story:
    return Story(rules_of())


def challenge(story: Story, spec: Spec = SPEC, share: float = 0.0, **fields: Any) -> int:
    event = ChallengerSet(
        tenant=story.tenant,
        at=story.now,
        point="route",
        spec=spec,
        share=share,
        rests_on=fields.get("rests_on"),
        why="x",
    )
    story.tell(event, fields.get("prefix"))
    return story.state.seq


def decide(story: Story, trace_id: str, **fields: Any) -> None:
    """Of two places, in one state."""
    actions = ("a", "b")
    trace = trace_of(trace_id, "a", point="route", key="s", eligible=actions, **fields)
    story.tell(Decided(tenant=story.tenant, at=story.now, trace=trace))


def earn(story: Story, trace_id: str, latency_ms: float = 20.0, **fields: Any) -> None:
    decide(story, trace_id, **fields)
    story.report(trace_id, latency_ms=latency_ms, cost=1.0)


def rival(story: Story) -> Rival:
    return story.fold.rivals["route"]


def value(story: Story) -> float:
    return rival(story).policy.table.cells().__next__()[2]


def put(story: Story, kind: type[Any], override: Override, **fields: Any) -> None:
    story.tell(kind(tenant=story.tenant, at=story.now, point="route", override=override, why="x", **fields))


def test_a_challenger_learns_from_the_same_decisions_by_its_own_weights_and_steps(story: Story) -> None:
    """Latency 20: 0.9. The champion's reward is 0.4 * 0.9, the challenger's 0.9; steps 1, then 1/2 and 1/2."""
    earn(story, "before")
    challenge(story)
    earn(story, "t1")
    earn(story, "t2", latency_ms=200.0)
    assert (story.policy("route").updates, rival(story).policy.updates) == (3, 2)
    assert value(story) == pytest.approx(0.5 * (0.5 * 0.9))
    assert story.value("s", "a", "route") == pytest.approx((0.36 + 0.36 + 0.0) / 3)


def test_a_challenger_learns_while_the_champion_is_frozen(story: Story) -> None:
    put(story, PolicySet, Override(mode="frozen"))
    challenge(story)
    earn(story, "t1")
    assert (story.policy("route").updates, rival(story).policy.updates) == (0, 1)


def test_a_challenger_may_begin_with_a_checkpoint_of_its_point(story: Story) -> None:
    earn(story, "t1")
    prefix, seq = story.state.dump_tenant("default"), story.state.seq
    earn(story, "t2", latency_ms=400.0)
    challenge(story, rests_on=seq, prefix=prefix)
    assert (rival(story).policy.updates, value(story)) == (1, pytest.approx(0.36))


def test_a_share_changes_without_anything_being_forgotten_and_another_challenger_begins_anew(story: Story) -> None:
    first = challenge(story)
    earn(story, "t1")
    challenge(story, share=0.2)
    assert (rival(story).number, rival(story).share, rival(story).policy.updates) == (first, 0.2, 1)
    challenge(story, Spec(tuning=Tuning(alpha=0.1)))
    assert rival(story).policy.updates == 0


def test_a_share_is_of_the_same_tasks_every_time_and_as_large_as_it_says(story: Story) -> None:
    challenge(story, share=0.3)
    acting = [rival(story).acts_on(f"/task-{n}") for n in range(4000)]
    assert acting == [rival(story).acts_on(f"/task-{n}") for n in range(4000)]
    assert sum(acting) / 4000 == pytest.approx(0.3, abs=0.03)
    rival(story).share = 0.6
    assert all(rival(story).acts_on(f"/task-{n}") for n, acted in enumerate(acting) if acted), "a larger share holds it"
    rival(story).share = 0.0
    assert not any(rival(story).acts_on(f"/task-{n}") for n in range(4000))


def test_a_promotion_swaps_champion_and_challenger_and_a_rollback_swaps_them_back(story: Story) -> None:
    earn(story, "t1")
    challenge(story)
    earn(story, "t2")
    champion, challenger = story.policy("route"), rival(story).policy
    put(story, Promoted, SPEC.over(Override(risk_ceiling=0.5)), was=Override(risk_ceiling=0.5))
    assert story.policy("route") is challenger
    assert (rival(story).policy, rival(story).former, rival(story).number) == (champion, True, story.state.seq)
    assert story.fold.rules.points["route"].weights["latency"] == 1.0
    assert (challenger.settings.step.alpha, champion.settings.step.alpha) == (0.5, None)
    earn(story, "t3")
    assert (challenger.updates, champion.updates) == (2, 3)
    put(story, RolledBack, rival(story).spec.over(story.state.steering.at("default", "route").override))
    assert story.policy("route") is champion
    assert story.fold.rivals == {}
    assert story.fold.rules.points["route"].weights["latency"] == 0.4
    assert story.fold.rules.points["route"].risk_ceiling == 0.5


def test_a_frozen_champion_stays_frozen_whoever_takes_its_place(story: Story) -> None:
    put(story, PolicySet, Override(mode="frozen"))
    challenge(story, Spec())
    put(story, Promoted, Override(mode="frozen"), was=Override(mode="frozen"))
    assert story.policy("route").settings.mode == "frozen"
    assert rival(story).policy.settings.mode == "learning"


def compared(story: Story, since: int, who: str = "challenger", action_is_theirs: bool = True) -> None:
    theirs = (0.9, 0.1) if action_is_theirs else (0.1, 0.9)
    beside = Beside(who=who, since=since, action="a", probabilities=theirs)  # type: ignore[arg-type]
    earn(story, f"t{story.state.seq}", beside=beside)


def test_what_is_known_of_an_earlier_challenger_is_nothing_of_the_next(story: Story) -> None:
    first = challenge(story)
    compared(story, first)
    assert rival(story).comparison.for_theirs.numbers == 1
    challenge(story, Spec(tuning=Tuning(alpha=0.1)))
    compared(story, first)
    assert rival(story).comparison.for_theirs.numbers == 0


def test_a_canarys_own_decisions_count_from_the_other_side(story: Story) -> None:
    """The challenger took what the champion takes with 0.9 / 0.5 of its probability: that speaks for the champion."""
    since = challenge(story, share=1.0)
    compared(story, since, "champion")
    comparison = rival(story).comparison
    assert comparison.for_ours.mean > 0.0
    assert comparison.for_theirs.mean > 0.0
    share = (0.36 - -0.9) / 1.9
    assert (comparison.for_ours.mean, comparison.for_theirs.mean) == (
        pytest.approx(0.8 * share),
        pytest.approx(0.8 * (1.0 - share)),
    )


def test_other_weights_of_the_champion_begin_another_comparison(story: Story) -> None:
    since = challenge(story)
    compared(story, since)
    put(story, PolicySet, Override(risk_ceiling=0.5))
    assert rival(story).comparison.for_theirs.numbers == 1
    put(story, PolicySet, Override(weights={"cost": 0.5}))
    assert rival(story).comparison.for_theirs.numbers == 0


def test_a_challenger_goes_when_it_is_taken_away_and_with_a_restore(story: Story) -> None:
    prefix, seq = story.state.dump_tenant("default"), story.state.seq
    challenge(story)
    with_it = story.state.dump_tenant("default")
    story.tell(ChallengerEnded(tenant="default", at=story.now, point="route", outcome="withdrawn", why="x"))
    assert story.fold.rivals == {}
    challenge(story)
    for place in (prefix, with_it):
        story.tell(Restored(tenant="default", at=story.now, checkpoint_id="cp", seq=seq), place)
        assert story.fold.rivals == {}


def test_a_challenger_is_in_the_dump_and_goes_on_from_there(story: Story) -> None:
    since = challenge(story, share=0.4)
    for n in range(6):
        compared(story, since)
        if n == 3:
            story.state = LearntState.load(story.state.dump())
    again = LearntState.load(story.state.dump())
    assert again.dump() == story.state.dump()
    ours, theirs = rival(story), again.of("default").rivals["route"]
    assert theirs.dump() == ours.dump()
    assert (theirs.policy.settings, theirs.rules, theirs.policy.updates) == (ours.policy.settings, ours.rules, 6)
    assert msgspec.structs.asdict(theirs.spec) == msgspec.structs.asdict(SPEC)


def test_challenger_draws_from_its_experience_as_a_champion_would() -> None:
    """By the number of the event: not the same places at every fold."""
    rules = rules_of().points["route"]
    rules = msgspec.structs.replace(rules, policy=msgspec.structs.replace(rules.policy, replayed=2))
    rival, champion = Rival(1, SPEC, 0.0, Policy(rules.policy), rules), Policy(rules.policy)
    for seq in range(2, 40):
        step = Step(Situation(State(((f"s{seq % 3}",),)), ("a/1", "b/1")), "a/1")
        move = Transition.termination((step,), seq / 40)
        rival.learn(seq, [Link(move)], [move.reward])
        champion.fold(move, seq)
    assert list(rival.policy.table.cells()) == list(champion.table.cells())
