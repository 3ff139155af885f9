"""What other origins learnt, in the fold: the newest entry of each stands, every policy of its point reads it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import State as LearntState
from auditor.events import Restored
from auditor.federation import largest
from auditor.federation_events import Federated, OriginForgotten
from auditor.override import Override
from auditor.policy_events import ChallengerSet, Promoted, RolledBack
from auditor.rival import Spec
from strategist import PolicySettings
from strategist.federation import Entry

from .story import SPECS, Story, rules_of


def imported(origin: int, seq: int, value: float = 1.0, visits: float = 40.0, **fields: Any) -> Federated:
    """An event by which an origin's value of one action in one state comes in."""
    fields = {"point": "route", "spec_hash": SPECS["route"], "weights": {}, **fields}
    entry = Entry(origin=f"or_{origin:032x}", seq=seq, cells=[("s", "a", value, visits)], **fields)
    return Federated(tenant="default", at=1.0, entry=entry.sealed(), by="k", why="to start from")


def forgotten(origin: int) -> OriginForgotten:
    return OriginForgotten(tenant="default", at=1.0, point="route", origin=f"or_{origin:032x}", why="it was wrong")


def earn(story: Story, trace_id: str, latency_ms: float = 200.0) -> None:
    """Latency 200 is worth 0, 0 is worth 0.4."""
    story.decide(trace_id, "a", point="route", key="s")
    story.report(trace_id, latency_ms=latency_ms, cost=1.0)


def value(story: Story) -> float:
    return story.value("s", "a", "route")


EVENTS = st.builds(
    imported, origin=st.integers(0, 3), seq=st.integers(1, 3), value=st.floats(-1, 1), visits=st.floats(1, 200)
)


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(data=st.data(), events=st.lists(EVENTS, min_size=1, max_size=6, unique_by=lambda e: (e.ref, e.entry.seq)))
def test_imports_in_any_order_and_however_often_give_the_same_state(
    data: st.DataObject, events: list[Federated]
) -> None:
    """Bit for bit, what is read as well: idempotent, commutative, associative as the join of the entries is."""
    one, other = Story(rules_of()), Story(rules_of())
    for event in events:
        one.tell(event)
    again = data.draw(st.lists(st.sampled_from(events), max_size=6))
    for event in data.draw(st.permutations([*events, *again])):
        other.tell(event)
    assert other.state.dump_tenant("default") == one.state.dump_tenant("default")
    assert value(other) == value(one)


def test_what_is_imported_is_read_at_once_and_gives_way_to_what_is_learnt_here(story: Story) -> None:
    story.tell(imported(1, 7))
    assert value(story) == 1.0
    read = []
    for n in range(120):
        earn(story, f"t{n}")
        read.append(value(story))
    assert read[0] == pytest.approx(40 / 41)
    assert read == sorted(read, reverse=True)
    assert read[-1] == 0.0
    assert story.policy("route").updates == 120


def test_an_older_entry_changes_nothing_and_a_newer_one_replaces_it(story: Story) -> None:
    story.tell(imported(1, 7, 0.5))
    story.tell(imported(1, 6, 0.9))
    assert value(story) == 0.5
    story.tell(imported(1, 8, 0.2))
    assert value(story) == pytest.approx(0.2)


def test_a_forgotten_origin_leaves_nothing_behind(story: Story) -> None:
    earn(story, "t1", 0.0)
    before, learnt = value(story), story.state.dump_tenant("default")
    story.tell(imported(1, 7))
    story.tell(imported(2, 7, -1.0))
    story.tell(forgotten(1))
    assert value(story) < before
    story.tell(forgotten(2))
    assert value(story) == before
    assert story.state.dump_tenant("default") == learnt
    story.tell(forgotten(3))
    assert story.state.dump_tenant("default") == learnt


def test_an_entry_of_another_spec_or_of_no_point_is_not_read_and_a_new_spec_forgets_all(story: Story) -> None:
    story.tell(imported(1, 7, spec_hash="other"))
    story.tell(imported(2, 7, point="chat"))
    assert story.fold.imported == {}
    story.tell(imported(1, 7))
    route = msgspec.structs.replace(rules_of().points["route"], spec_hash="route-2")
    story.configure(msgspec.structs.replace(rules_of(), points={**rules_of().points, "route": route}))
    assert story.fold.imported == {}
    assert value(story) == 0.0


def test_who_stands_beside_the_champion_reads_it_too_and_whoever_takes_its_place(story: Story) -> None:
    head = {"tenant": "default", "at": 1.0, "point": "route", "why": "x"}
    story.tell(ChallengerSet(**head, spec=Spec(), share=0.0))
    story.tell(imported(1, 7))
    story.tell(ChallengerSet(**head, spec=Spec(weights={"cost": 0.5}), share=0.0))
    rival = story.fold.rivals["route"].policy
    assert rival.table.view["s"]["a"].value == 1.0
    story.tell(Promoted(**head, override=Override(), was=Override()))
    assert (story.policy("route"), value(story)) == (rival, 1.0)
    story.tell(RolledBack(**head, override=Override()))
    assert value(story) == 1.0
    story.tell(forgotten(1))
    assert value(story) == 0.0


def test_a_restore_goes_back_to_what_was_imported_then(story: Story) -> None:
    story.tell(imported(1, 7, 0.5))
    prefix, seq = story.state.dump_tenant("default"), story.state.seq
    story.tell(imported(1, 8, 0.9))
    story.tell(imported(2, 1, -1.0))
    story.tell(Restored(tenant="default", at=1.0, checkpoint_id="cp", seq=seq), prefix)
    assert value(story) == 0.5
    assert story.state.dump_tenant("default") == prefix


def test_what_was_imported_is_in_the_dump_and_other_steps_are_followed(story: Story) -> None:
    story.tell(imported(1, 7))
    earn(story, "t1")
    again = LearntState.load(story.state.dump())
    assert again.dump() == story.state.dump()
    policy = again.of("default").policies["route"]
    assert policy.table.view == story.policy("route").table.view
    alpha = msgspec.structs.replace(PolicySettings().step, alpha=0.2)
    points = {
        name: msgspec.structs.replace(of, policy=msgspec.structs.replace(of.policy, step=alpha))
        for name, of in rules_of().points.items()
    }
    story.configure(msgspec.structs.replace(rules_of(), points=points))
    assert value(story) == pytest.approx(8 / 9)


def test_no_value_can_be_larger_than_rewards_of_one_sign_for_ever() -> None:
    """At the gate a reward is between -1.65 and 1 with these weights, and gamma is 0.9: 2.65 / (1 - 0.9)."""
    rules = rules_of(weights={"outcome": 1.0, "friction": 1.0, "false_block": 1.0}).points["gate"]
    assert largest("gate", rules) == pytest.approx(2.65 / 0.1)
    still = msgspec.structs.replace(rules, weights={"outcome": 0.0})
    assert largest("gate", still) == rules.policy.prior_value
