"""What operators set at points: folded like everything else, kept by restores, in the dump, over the settings."""

import msgspec
import pytest

from auditor import State as LearntState
from auditor.events import Restored
from auditor.guards import Guard
from auditor.override import Override
from auditor.policy_events import PolicySet
from auditor.state import StateDump

from .story import Story, rules_of

GUARD = Guard(name="g", effect="forbid", actions=("PROCEED",))


@pytest.fixture
def story() -> Story:
    return Story(rules_of())


def steer(story: Story, point: str = "gate", **override: object) -> None:
    event = PolicySet(
        tenant=story.tenant,
        at=story.now,
        point=point,
        override=Override(**override),  # type: ignore[arg-type]
        by="k",
        why="as told",
    )
    story.tell(event)


def test_what_is_set_holds_from_the_next_event_on_and_for_its_tenant_and_point_alone(story: Story) -> None:
    story.decide("t1", key="s")
    steer(story, mode="frozen")
    assert not story.report("t1", success=True).updated
    assert story.last().reason == "the policy is frozen; nothing is learnt"
    story.decide("t2", "a", point="route")
    assert story.report("t2", latency_ms=20).updated
    story.tenant = "another"
    story.decide("t3", key="s")
    assert story.report("t3", success=True).updated
    story.tenant = "default"
    steer(story)
    story.decide("t4", key="s")
    assert story.report("t4", success=True).updated


def test_weights_that_are_set_score_what_is_reported_from_then_on(story: Story) -> None:
    """Success 1, at weight 1 and at weight 0.25; the cost keeps its weight."""
    story.decide("t1")
    assert story.report("t1", success=True, cost=0.5).report.total == pytest.approx(0.5)  # type: ignore[union-attr]
    steer(story, weights={"outcome": 0.25})
    story.decide("t2")
    assert story.report("t2", success=True, cost=0.5).report.total == pytest.approx(-0.25)  # type: ignore[union-attr]


def test_settings_that_change_go_on_beneath_what_is_set(story: Story) -> None:
    steer(story, mode="frozen", guards=(GUARD,))
    story.configure(rules_of(risk_ceiling=0.3))
    rules = story.fold.rules.points["gate"]
    assert (rules.policy.mode, rules.guards, rules.risk_ceiling) == ("frozen", (GUARD,), 0.3)
    assert story.policy().settings.mode == "frozen"
    steer(story)
    assert story.fold.rules == story.state.rules


def test_a_restore_does_not_touch_what_is_set(story: Story) -> None:
    prefix, seq = story.state.dump_tenant("default"), story.state.seq
    steer(story, mode="frozen", guards=(GUARD,))
    story.tell(Restored(tenant="default", at=story.now, checkpoint_id="cp", seq=seq), prefix)
    assert story.policy().settings.mode == "frozen"
    assert story.fold.rules.points["gate"].guards == (GUARD,)


def test_what_is_set_is_in_the_dump_with_who_and_why_also_of_a_tenant_that_learnt_nothing(story: Story) -> None:
    steer(story, mode="apprentice", weights={"outcome": 0.5, "cost": 2.0}, risk_ceiling=0.5, guards=(GUARD,))
    again = LearntState.load(story.state.dump())
    assert again.dump() == story.state.dump()
    steered = again.steering.at("default", "gate")
    assert (steered.version, steered.by, steered.why) == (story.state.seq, "k", "as told")
    assert again.of("default").rules == story.fold.rules
    assert again.of("default").policies["gate"].settings.mode == "apprentice"


def test_a_dump_of_before_there_was_anything_to_set_is_read(story: Story) -> None:
    story.decide("t1", key="s")
    story.report("t1", success=True)
    story.decide("open", task="job")
    raw = msgspec.msgpack.decode(story.state.dump())
    del raw["steering"], raw["appeals"]
    for point in raw["rules"]["points"].values():
        for later in ("risk_ceiling", "audit_ceiling", "audit_share", "hand_over", "guards"):
            del point[later]
    [tenant] = raw["tenants"]
    del tenant["proof"], tenant["rivals"]
    [decision] = tenant["open"]
    del decision["weighed"], decision["audit_weight"], decision["appeal"]
    old = msgspec.msgpack.Encoder(order="deterministic").encode(raw)
    assert LearntState.load(old).dump() == story.state.dump()
    assert "steering" in StateDump.__struct_fields__
