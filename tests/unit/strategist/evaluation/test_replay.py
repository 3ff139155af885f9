"""A replay learns from the past and is asked about the future; what it answers is right, or it refuses."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from strategist import EpsilonDecay, PolicySettings, Situation, State
from strategist.errors import BadLog
from strategist.evaluation import Kept, LoggedDecision, Replay, Report, Sight, Target, judge
from strategist.evaluation.replay import edges, tasks
from strategist.features.spec import FeatureSpec, Tiling
from strategist.types import MOST_HELD

from .logs import ACTIONS, TRUTH, coin_tasks, drawn, sight

BOLD = Target(settings=PolicySettings(epsilon=EpsilonDecay(start=0.1)), reward_range=(0.0, 1.0))


def replayed(log: list[LoggedDecision], target: Target = BOLD) -> Kept:
    return list(Replay(log, target).blocks())[-1]


def judged(log: list[LoggedDecision], target: Target = BOLD, seed: int = 1) -> Report:
    return judge(log, target, replayed(log, target).blocks, seed)


def changed(decision: LoggedDecision, **fields: Any) -> LoggedDecision:
    return msgspec.structs.replace(decision, **fields)


def true_value(log: list[LoggedDecision], kept: Kept) -> float:
    """What the policy's choices are worth in the world that the log was drawn from."""
    first = kept.blocks[0].first
    decided = [probabilities for block in kept.blocks for probabilities in block.probabilities]
    return float(
        np.mean(
            [
                sum(p * worth for p, worth in zip(probabilities, TRUTH[decision.sight.facts["hour"]], strict=True))
                for decision, probabilities in zip(log[first:], decided, strict=True)
            ]
        )
    )


def test_no_decision_is_answered_with_what_was_learnt_from_it_or_later_ones(seed: int) -> None:
    """Whatever came of a block and all after it, the answers up to that block stay as they are."""
    log = drawn(seed, 600)
    before, begins = replayed(log).blocks, edges(600)
    for block in (0, 4, 9):
        turned = log[: begins[block]] + [changed(d, reward=1.0 - d.reward) for d in log[begins[block] :]]
        after = replayed(turned).blocks
        assert after[: block + 1] == before[: block + 1]
        assert block or after[1:] != before[1:], "what comes of the first block is learnt for those after it"


def test_a_task_is_answered_with_what_was_learnt_before_it_began(seed: int) -> None:
    """Also those of its decisions that lie in later blocks, when others of it are learnt already."""
    log = coin_tasks(seed, 90)
    blocks = replayed(log).blocks
    across = [(block, place) for block in blocks for place in block.ahead]
    assert across, "some task goes on in the next block"
    for block, place in across:
        turned = log[: block.first] + [changed(d, reward=1.0 - d.reward) for d in log[block.first :]]
        again = next(other for other in replayed(turned).blocks if other.first == block.first)
        assert again.ahead[place] == block.ahead[place]


def test_a_replay_that_was_interrupted_goes_on_to_the_same_bytes(seed: int) -> None:
    log = drawn(seed, 500)
    whole = [msgspec.msgpack.encode(kept) for kept in Replay(log, BOLD).blocks()]
    assert len(whole) == 10
    for stopped in (0, 3, 8):
        kept = msgspec.msgpack.decode(whole[stopped], type=Kept)
        assert [msgspec.msgpack.encode(k) for k in Replay(log, BOLD, kept).blocks()] == whole[stopped + 1 :]
    assert list(Replay(log, BOLD, msgspec.msgpack.decode(whole[-1], type=Kept)).blocks()) == []


def test_the_same_inputs_give_the_same_bytes(seed: int) -> None:
    reports = [msgspec.json.encode(judged(drawn(seed, 800), seed=seed)) for _ in range(2)]
    assert reports[0] == reports[1]


def test_every_estimate_is_near_the_truth_and_every_interval_holds_it(seed: int) -> None:
    """Five standard errors; the anytime-valid interval at its own word."""
    log = drawn(seed, 4000)
    report, truth = judged(log, seed=seed), true_value(log, replayed(log))
    assert report.refused == []
    assert set(report.values) == {"ips", "snips", "dm", "dr", "switch-dr", "dr-os"}
    for name, found in report.values.items():
        if name != "dm":  # which is as right as its model, whatever its interval says
            half = (found.normal.high - found.normal.low) / 2
            assert abs(found.value - truth) < 2.6 * half, name
        assert found.value == pytest.approx(truth, abs=0.08), name
        assert found.normal.approximate
        assert found.bootstrap.approximate
        assert found.anytime is not None
        assert not found.anytime.approximate
        assert found.anytime.low <= truth <= found.anytime.high
    assert report.logged.value == pytest.approx(0.45, abs=0.05)
    assert report.values["dr"].value > report.logged.value + 0.1


def test_the_policy_gets_better_block_by_block(seed: int) -> None:
    report = judged(drawn(seed, 3000))
    assert [b.learnt for b in report.blocks] == edges(3000)[:-1]
    assert sum(b.decisions for b in report.blocks) == report.valued == 2400
    assert [b.first_row for b in report.blocks] == [place + 1 for place in edges(3000)[:-1]]
    assert report.blocks[-1].snips is not None
    assert report.blocks[-1].snips > report.blocks[-1].logged


def test_a_log_that_took_one_action_only_is_refused_by_state(seed: int) -> None:
    """Its propensity is 1, and the policy explores."""
    sure = [changed(d, action="fair", propensity=1.0, probabilities=(0.0, 1.0, 0.0)) for d in drawn(seed, 400)]
    report = judged(sure)
    assert report.values == {}
    assert "actions that the log could not take" in report.refused[0]
    assert {lacking.state for lacking in report.lacking} == {"all/day", "all/night"}
    assert {tuple(lacking.actions) for lacking in report.lacking} == {("fast", "slow")}
    assert sum(lacking.probability for lacking in report.lacking) == pytest.approx(
        report.diagnostics.unsupported * report.valued
    )
    assert all(block.snips is None for block in report.blocks)
    assert report.beside["cost_usd"].policy is None
    assert report.logged.value == np.mean([d.reward for d in sure[report.learnt_first :]])


def test_a_weight_of_thousands_is_refused_and_no_number_is_printed(seed: int) -> None:
    log = drawn(seed, 2000)
    place = next(n for n, d in enumerate(log) if n > 1500 and (d.sight.facts["hour"], d.action) == ("day", "fast"))
    rare = changed(log[place], propensity=1e-4, probabilities=None)
    report = judged([*log[:place], rare, *log[place + 1 :]])
    assert report.diagnostics.largest_weight > 5000
    assert report.diagnostics.effective < 5
    assert report.values == {}
    assert report.refused


def test_wrong_propensities_are_noticed(seed: int) -> None:
    """The log says that each action was drawn with .9."""
    report = judged([changed(d, propensity=0.9, probabilities=None) for d in drawn(seed, 2000)])
    assert any("not those with which the actions were drawn" in why for why in report.refused)


def test_probabilities_that_were_drawn_from_are_calibrated(seed: int) -> None:
    for found in judged(drawn(seed, 3000)).calibration:
        assert abs(found.off) < 5
    skewed = [changed(d, probabilities=(0.6, 0.2, 0.2), propensity=(0.6, 0.2, 0.2)[ACTIONS.index(d.action)])
              for d in drawn(seed, 3000)]  # fmt: skip
    assert max(abs(found.off) for found in judged(skewed).calibration) > 5


def test_what_would_differ_is_counted_and_shown() -> None:
    """Two states, one action in each that always works; the log took the other one half the time."""
    log = [
        LoggedDecision(
            row=row + 1,
            sight=sight(state := ("day", "night")[row % 2], ("a", "b")),
            action=(action := ("a", "b")[row // 2 % 2]),
            propensity=0.5,
            reward=float(action == {"day": "a", "night": "b"}[state]),
        )
        for row in range(200)
    ]
    found = judged(log).differences
    assert (found.decisions, found.share) == (80, 0.5)
    assert {(e.state, e.logged, e.now) for e in found.examples} == {("all/day", "b", "a"), ("all/night", "a", "b")}


def test_cost_and_latency_stand_beside_the_value(seed: int) -> None:
    """The better policy takes the extremes, in each state another."""
    report = judged(drawn(seed, 3000))
    assert set(report.beside) == {"success", "cost_usd", "latency_ms"}
    for beside in report.beside.values():
        assert beside.policy is not None
        assert beside.decisions == report.valued
    assert report.beside["success"].policy.value == pytest.approx(report.values["snips"].value)  # type: ignore[union-attr]
    assert 0.1 <= report.beside["cost_usd"].policy.value <= 0.3  # type: ignore[union-attr]


def test_other_weights_learn_something_else(seed: int) -> None:
    """Where only speed counts the first action is best in both states."""
    log = drawn(seed, 1500)
    fast = Target(settings=BOLD.settings, weights={"speed": 0.5})
    report = judged(log, fast)
    assert report.reward_range == (-0.5, 0.5)
    assert {example.now for example in report.differences.examples} <= {"slow"}
    assert report.logged.value == pytest.approx(np.mean([0.5 * d.terms["speed"] for d in log[300:]]))


def test_another_spec_is_read_from_the_raw_facts(seed: int) -> None:
    """One that does not look at the hour cannot tell the states apart."""
    blind = FeatureSpec(point="route", version=1, features={}, tilings=(Tiling(name="all", levels=((),)),))
    log = drawn(seed, 3000)
    seeing, unseeing = judged(log), judged(log, msgspec.structs.replace(BOLD, spec=blind))
    assert seeing.values["dr"].value > unseeing.values["dr"].value + 0.1


def test_masked_actions_are_told_to_have_no_answer(seed: int) -> None:
    log = [changed(d, masked=("stop",)) for d in drawn(seed, 200)]
    assert judged(log).cannot == ["stop was masked in 160 of 160 decisions; it is taken in none of those here"]


def test_rewards_outside_the_stated_range_are_refused(seed: int) -> None:
    log = drawn(seed, 100)
    with pytest.raises(BadLog, match=r"row 71: reward 3.0 is outside reward_range \[0, 1\]"):
        judged([*log[:70], changed(log[70], reward=3.0), *log[71:]])


def test_a_range_that_nobody_knows_leaves_the_interval_that_needs_it_out(seed: int) -> None:
    log = [changed(d, reward=d.reward * 7) for d in drawn(seed, 800)]
    report = judged(log, Target(settings=BOLD.settings))
    assert report.reward_range is None
    assert report.values["ips"].anytime is None
    assert report.values["ips"].normal.high > report.values["ips"].value


def test_whole_tasks_are_valued(seed: int) -> None:
    """The policy soon goes at every step; three steps, discounted."""
    target = Target(settings=PolicySettings(gamma=0.5, epsilon=EpsilonDecay(start=0.2)), reward_range=(0.0, 1.0))
    log = coin_tasks(seed, 1000)
    found = judged(log, target).tasks
    assert found is not None
    goes = [probabilities[0] for block in replayed(log, target).blocks for probabilities in block.probabilities]
    truth = float(np.mean(goes)) * 1.75
    assert (found.longest, found.refused) == (3, [])
    assert set(found.values) == {"per-decision", "weighted-per-decision", "doubly-robust"}
    assert found.logged.value == pytest.approx(0.5 * 1.75, abs=0.1)
    for name, value in found.values.items():
        assert value.value == pytest.approx(truth, abs=0.3), name
        assert value.anytime is not None
        assert value.anytime.low - 0.01 <= truth <= value.anytime.high + 0.01


def test_a_policy_that_never_does_what_was_logged_is_refused_without_a_figure(seed: int) -> None:
    """A frozen one takes the first action, which the log never took: no weight is above 0."""
    log = [changed(d, action="fast", propensity=0.2, probabilities=None) for d in drawn(seed, 200)]
    report = judged(log, Target(settings=PolicySettings(mode="frozen"), reward_range=(0.0, 1.0)))
    assert report.diagnostics.effective == report.diagnostics.largest_weight == 0.0
    assert (report.values, report.blocks[0].snips) == ({}, None)
    assert report.refused


def test_a_frozen_policy_learns_nothing(seed: int) -> None:
    frozen = Target(settings=PolicySettings(mode="frozen"))
    assert replayed(drawn(seed, 300), frozen).learnt.cells == []


def test_sights_without_a_choice_are_taken_as_they_are(seed: int) -> None:
    """A single eligible action has propensity 1, whoever decides."""
    only = Sight(Situation(State((("all",),)), ("a",)))
    log = [LoggedDecision(row=n, sight=only, action="a", propensity=1.0, reward=n % 2) for n in range(100)]
    report = judged(log)
    assert report.refused == []
    assert report.values["dr"].value == report.logged.value == 0.5


TREE = Target(settings=PolicySettings(gamma=0.9, update="tree_backup"), reward_range=(0.0, 1.0))


def lock(tasks: int, *, steps: int = 5, last_first: bool = False) -> list[LoggedDecision]:
    """Tasks of several steps with one way to go; the last step alone is rewarded."""
    log: list[LoggedDecision] = []
    for task in range(tasks):
        sights = [Sight(Situation(State(((f"step {n}",),)), ("on",), None, (), (1.0,))) for n in range(steps)]
        rows = [task * steps + n + 1 for n in range(steps)]
        whole = [
            LoggedDecision(
                row=rows[n],
                sight=sights[n],
                action="on",
                propensity=1.0,
                probabilities=(1.0,),
                reward=float(n == steps - 1),
                task=f"task {task}",
                following=sights[n + 1] if n + 1 < steps else None,
                followed_by=rows[n + 1] if n + 1 < steps else None,
            )
            for n in range(steps)
        ]
        log += whole[::-1] if last_first else whole
    return log


def learnt_at(kept: Kept, key: str) -> float:
    return next((value for cell, action, value, _ in kept.learnt.cells if (cell, action) == (key, "on")), 0.0)


@pytest.mark.parametrize("last_first", [False, True])
def test_a_multi_step_rule_folds_each_task_of_the_log_once_all_of_it_was_passed(*, last_first: bool) -> None:
    """In the first block that has a whole task: 0.9 ** 4 at its first step, in whichever order the log was learnt."""
    log = lock(3, last_first=last_first)
    assert edges(15)[:4] == [3, 4, 5, 6]
    kept = list(Replay(log, TREE).blocks())
    assert [block.updates for block in kept[-1].blocks[:4]] == [0, 0, 5, 5]
    assert [learnt_at(k, "step 0") for k in kept[:2]] == [0.0, pytest.approx(0.9**4, rel=1e-12)]
    assert kept[-1].learnt.updates == 15
    single = msgspec.structs.replace(TREE, settings=PolicySettings(gamma=0.9))
    assert learnt_at(replayed(lock(3), single), "step 0") == 0.0


def test_a_task_longer_than_what_may_wait_is_learnt_as_a_server_does(seed: int) -> None:
    """Its oldest decisions take one step, and know nothing of the reward at the end."""
    far, steps = 3, MOST_HELD + 4
    kept = replayed(lock(1, steps=steps), TREE)
    assert kept.learnt.updates == steps
    assert [learnt_at(kept, f"step {n}") for n in range(far)] == [0.0] * far
    assert learnt_at(kept, f"step {far}") == pytest.approx(0.9**MOST_HELD, rel=1e-9)


def test_no_decision_is_answered_with_what_came_of_it_under_a_multi_step_rule_either(seed: int) -> None:
    log = linked(coin_tasks(seed, 90))
    before, begins = replayed(log, TREE).blocks, edges(len(log))
    for block in (0, 4, 9):
        turned = log[: begins[block]] + [changed(d, reward=1.0 - d.reward) for d in log[begins[block] :]]
        after = replayed(turned, TREE).blocks
        assert after[: block + 1] == before[: block + 1]
        assert block or after[1:] != before[1:]


def test_an_interrupted_replay_of_a_multi_step_rule_goes_on_to_the_same_bytes(seed: int) -> None:
    """Also where a task lies on both sides of the interrupt."""
    log = linked(coin_tasks(seed, 90))
    whole = [msgspec.msgpack.encode(kept) for kept in Replay(log, TREE).blocks()]
    for stopped in (0, 3, 8):
        kept = msgspec.msgpack.decode(whole[stopped], type=Kept)
        assert [msgspec.msgpack.encode(k) for k in Replay(log, TREE, kept).blocks()] == whole[stopped + 1 :]


def linked(log: list[LoggedDecision]) -> list[LoggedDecision]:
    """With the row of each decision's successor."""
    rows = {place: log[after].row for task in tasks(log) for place, after in pairwise(task)}
    return [changed(d, followed_by=rows.get(place)) for place, d in enumerate(log)]
