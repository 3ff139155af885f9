"""What changes a fold is an event: modes, settings and feature specs take effect at their place in the journal."""

import msgspec
import pytest

from auditor import PointRules, Rules, learn_on
from strategist import PolicySettings, StepSize

from .story import Story, trace_of


def changed(rules: Rules, point: str = "gate", **changes: object) -> Rules:
    of = msgspec.structs.replace(rules.points[point], **changes)
    return msgspec.structs.replace(rules, points={**rules.points, point: of})


def frozen(rules: Rules) -> Rules:
    return changed(rules, policy=PolicySettings(mode="frozen", gamma=0.9))


@pytest.mark.parametrize(
    ("point", "action", "expected"),
    [
        ("route", "akash/A8", "feedback"),
        ("gate", "PROCEED", "feedback"),
        ("gate", "HINT", "complete"),
        ("gate", "REWRITE", "complete"),
        ("gate", "BLOCK", "complete"),
    ],
)
def test_advice_is_learnt_when_complete_everything_else_from_its_first_outcome(
    point: str, action: str, expected: str
) -> None:
    assert learn_on(point, action) == expected


def test_frozen_policy_folds_nothing_and_says_so(story: Story) -> None:
    story.configure(frozen(story.state.rules))
    story.decide("t1")
    result = story.report("t1", success=True)
    assert (result.updated, result.report.total) == (False, 1.0)
    assert "frozen" in story.last().reason
    assert story.policy().table.pairs == story.policy().updates == 0
    assert story.report("t1", success=False).closed


def test_thawed_policy_goes_on_from_what_it_knew(story: Story) -> None:
    rules = story.state.rules
    for name, now in (("t1", rules), ("t2", frozen(rules)), ("t3", rules)):
        story.configure(now)
        story.decide(name)
        story.report(name, success=True)
    assert [story.value(name, "PROCEED") for name in ("t1", "t2", "t3")] == [1.0, 0.0, 1.0]
    assert story.policy().updates == 2


def test_apprentices_table_learns_beside_the_rule(story: Story) -> None:
    story.configure(changed(story.state.rules, policy=PolicySettings(mode="apprentice", gamma=0.9)))
    story.decide("t1", mode="apprentice")
    assert story.report("t1", success=True).updated
    assert story.value("t1", "PROCEED") == 1.0


def test_new_step_size_holds_from_its_event_on(story: Story) -> None:
    """1.0 by the averaging step, then a constant fifth of the way to -1: 0.6."""
    story.decide("t1", key="s")
    story.report("t1", success=True)
    policy = PolicySettings(gamma=0.9, step=StepSize(alpha=0.2))
    story.configure(changed(story.state.rules, policy=policy))
    story.decide("t2", key="s")
    story.report("t2", success=False)
    assert story.value("s", "PROCEED") == pytest.approx(0.6, rel=1e-12)


def test_new_weights_hold_for_decisions_that_are_still_open(story: Story) -> None:
    story.decide("t1")
    story.configure(changed(story.state.rules, weights={"outcome": 0.5}))
    assert story.report("t1", success=True).report.total == 0.5


def test_changed_feature_spec_starts_its_table_afresh_and_leaves_the_other_point_alone(story: Story) -> None:
    story.decide("t1")
    story.report("t1", success=True)
    story.decide("r1", "akash/A8", point="route")
    story.report("r1", latency_ms=0)
    story.decide("open", task="job")
    story.configure(changed(story.state.rules, spec_hash="gate-2"))
    assert story.policy().table.pairs == story.policy().updates == 0
    assert story.value("r1", "akash/A8", "route") == pytest.approx(0.4, rel=1e-12)
    assert story.report("open", success=True).closed  # its keys lead nowhere
    assert story.fold.credit.trajectories == {}


def test_decision_made_under_another_spec_is_not_learnt(story: Story) -> None:
    story.configure(changed(story.state.rules, spec_hash="gate-2"))
    story.decide("t1")  # was on its way under gate-1
    assert story.report("t1", success=True).closed
    story.decide("t2", spec_hash="gate-2")
    assert story.report("t2", success=True).updated


def test_cases_and_skills_survive_a_changed_spec(story: Story) -> None:
    story.decide("t1", signature="sig")
    story.report("t1", success=False)
    for _ in range(3):
        story.validate(7)
    story.configure(changed(story.state.rules, spec_hash="gate-2"))
    assert story.fold.cases.of("", "sig").failures == 1
    assert story.fold.skills.by_episode[7].status == "trial"


def test_point_that_is_new_starts_empty_and_one_that_is_gone_goes(story: Story) -> None:
    rules = story.state.rules
    extra = PointRules(policy=PolicySettings(), spec_hash="c", weights={}, window_s=60.0)
    story.decide("t1", task="job")
    story.configure(msgspec.structs.replace(rules, points={"route": rules.points["route"], "chat": extra}))
    assert sorted(story.fold.policies) == sorted(story.fold.counts) == ["chat", "route"]
    assert type(story.state).load(story.state.dump()).dump() == story.state.dump()


def test_counts_tell_agreement_with_the_rule_and_interventions_that_came_from_exploration(story: Story) -> None:
    story.decide("t1", "HINT", rule="HINT")
    story.decide("t2", "BLOCK", rule="PROCEED", exploration="explore")
    story.decide("t3", "PROCEED", rule="PROCEED", exploration="explore")
    counts = story.fold.counts["gate"]
    assert (counts.decisions, counts.agreed_with_rule) == (3, 2)
    assert (counts.interventions, counts.interventions_by_exploration) == (2, 1)


def test_rules_hash_follows_every_rule(story: Story) -> None:
    rules = story.state.rules
    others = [
        changed(rules, spec_hash="x"),
        changed(rules, join="mean"),
        changed(rules, window_s=1.0),
        changed(rules, weights={"outcome": 2.0}),
        frozen(rules),
        msgspec.structs.replace(rules, trajectory_ttl_s=1.0),
    ]
    assert len({rules.hash, *(other.hash for other in others)}) == 7
    assert msgspec.json.decode(msgspec.json.encode(rules), type=Rules).hash == rules.hash


def test_traces_propensity_is_the_product_of_its_heads(story: Story) -> None:
    """1/4 for the verdict, 1/2 for the tier."""
    trace = trace_of("t1", "HINT", tiers=("cheap", "premium"))
    assert (trace.action, trace.tier, trace.propensity) == ("HINT", "cheap", 0.125)
    assert (trace_of("t2").tier, trace_of("t2").propensity) == (None, 0.25)
