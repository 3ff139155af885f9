"""What a server journalled is a log: the same decisions, rewards and successors that its live fold learnt from."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.data_folder import open_journal
from controlplane.errors import UnusableLog
from controlplane.executor.point import Features
from controlplane.origin import find
from controlplane.replay.log import Log
from controlplane.replay.run import replay
from controlplane.replay.window import AS_LOGGED, Window, read_window
from strategist import PolicySnapshot
from strategist.evaluation import Kept, Replay, Target
from strategist.features.spec import FeatureSpec, Tiling
from strategist.types import MOST_HELD

Serve = Callable[..., Any]
GATE = Features("gate.toml").spec
CAPTURE = Features("capture.toml").spec


def live(server: Any, times: int) -> None:
    """Routes with reports, some cancelled; tasks at the gate, with advice, silence and failures."""
    server.capture(goal="ship", planned_action="make ship", error_trace="Error: x", resolution="make clean ship")
    for i in range(times):
        routed = server.route("a/1", "b/2", "c/3", context={"region": f"r{i % 3}"}, goal=f"goal {i % 4}")
        quick = routed["action"] == ("a/1", "b/2", "c/3")[i % 3]
        server.feedback(routed["trace_id"], latency_ms=20.0 if quick else 400.0, cost=0.1, executed=i % 10 != 9)
        gated = server.gate(goal="ship", planned_action="make ship", task_id=f"task {i // 3}")
        server.feedback(gated["trace_id"], success=bool(i % 3), applied_suggestion=True, terminal=i % 3 == 2)


def read(server: Any, **window: Any) -> Log:
    async def run() -> Log:
        folder = Path(server.settings.data_dir)
        journal = await open_journal(folder)
        try:
            found = find(folder, journal.archives)
            return await read_window(journal, found, Window(tenant="default", **window), lambda done, of: None)
        finally:
            await journal.close()

    return asyncio.run(run())


def learnt(log: Log, target: Target) -> PolicySnapshot:
    """What a policy has learnt at the end of a log."""
    kept: Kept = list(Replay(log.decisions, target).blocks())[-1]
    return kept.learnt


@pytest.mark.parametrize("point", ["route", "gate"])
def test_a_log_teaches_what_the_server_learnt_bit_for_bit(serve: Serve, point: str) -> None:
    server = serve(epsilon=0.4)
    live(server, 30)
    fold = server.service.learner.state.of("default")
    policy = fold.policies[point]
    log = read(server, point=point)
    assert len(log.decisions) == policy.updates > 20
    again = learnt(log, Target(settings=policy.settings))
    assert again == PolicySnapshot.of(policy, "")
    assert bool(again.cases) == (point == "route"), "goals have sketches, by which cases are found"


def test_a_log_of_a_multi_step_rule_teaches_what_the_server_learnt_bit_for_bit(serve: Serve) -> None:
    """Tasks of three, of which some are cancelled in the middle, and one longer than what may wait."""
    server = serve(epsilon=0.4, update_rule="tree_backup")
    live(server, 30)
    for i in range(MOST_HELD + 6):
        gated = server.gate(goal="ship", planned_action=f"step {i % 7}", task_id="long")
        server.feedback(gated["trace_id"], success=bool(i % 3), applied_suggestion=True, executed=i != 4)
    server.feedback(server.gate(task_id="long")["trace_id"], success=True, terminal=True)
    policy = server.service.learner.state.of("default").policies["gate"]
    log = read(server, point="gate")
    assert len(log.decisions) == policy.updates == 30 + MOST_HELD + 6
    assert learnt(log, Target(settings=policy.settings)) == PolicySnapshot.of(policy, "")
    single = msgspec.structs.replace(policy.settings, update="expected_sarsa")
    assert learnt(log, Target(settings=single)) != PolicySnapshot.of(policy, "")


def test_a_log_has_the_rewards_that_an_operators_weights_gave(serve: Serve) -> None:
    """Set half-way, for this tenant alone: decisions before and after it are worth what the live fold said."""
    server = serve(epsilon=0.4)
    live(server, 15)
    path = "/v1/points/route/policy"
    version = server.get(path)["version"]
    sets = {"version": version, "why": "time is money", "weights": {"latency": 1.0, "cost": 0.0}}
    assert server.client.patch(path, json=sets).status_code == 200
    live(server, 15)
    policy = server.service.learner.state.of("default").policies["route"]
    log = read(server, point="route")
    assert log.weights == {"latency": 1.0, "cost": 0.0, "slo": 0.2, "failures": 0.1, "success": 0.0}
    assert learnt(log, Target(settings=policy.settings)) == PolicySnapshot.of(policy, "")


def test_decisions_carry_what_was_told_and_what_was_not(serve: Serve) -> None:
    server = serve(epsilon=0.4)
    live(server, 12)
    log = read(server, point="route")
    assert len(log.decisions) == 11
    assert log.reward_range == (-1.0, 1.0)
    assert log.notes == [AS_LOGGED]
    assert log.left_out == ["1 decision(s) are left out: not executed: the decision is cancelled, unscored"]
    for decision in log.decisions:
        assert decision.cost_usd == 0.1
        assert decision.latency_ms in (20.0, 400.0)
        assert set(decision.terms) == {"latency", "cost"}
        assert decision.probabilities is not None
        assert sum(decision.probabilities) == pytest.approx(1.0)
    gated = read(server, point="gate")
    assert {d.task for d in gated.decisions} == {f"/task {n}" for n in range(4)}
    assert sum(d.following is not None for d in gated.decisions) == 8
    assert any(d.masked for d in gated.decisions)


def test_decisions_of_an_earlier_feature_spec_are_left_out_and_counted(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their keys mean something else, though they look alike."""
    server = serve(epsilon=0.4)
    live(server, 12)
    server.stop()
    newer = msgspec.structs.replace(Features("route.toml").spec, version=99)
    specs = {"route.toml": newer, "gate.toml": GATE, "chat.toml": Features("chat.toml").spec, "capture.toml": CAPTURE}
    monkeypatch.setattr("controlplane.executor.point._shipped", specs.__getitem__)
    server = serve(epsilon=0.4)
    live(server, 15)
    policy = server.service.learner.state.of("default").policies["route"]
    log = read(server, point="route")
    assert len(log.decisions) == policy.updates == 14
    assert "11 decision(s) are left out: they were made under another feature spec" in log.left_out
    assert learnt(log, Target(settings=policy.settings)) == PolicySnapshot.of(policy, "")


def test_other_features_are_read_from_the_facts_of_the_traces(serve: Serve) -> None:
    server = serve(epsilon=0.4)
    live(server, 12)
    spec = msgspec.convert({"region": {"fact": "region"}}, dict[str, Any])
    regional = FeatureSpec(
        point="route",
        version=9,
        features=msgspec.convert(spec, FeatureSpec.__annotations__["features"]),
        tilings=(Tiling(name="only", levels=(("region",),)),),
    )
    cells = learnt(read(server, point="route"), Target(spec=regional)).cells
    assert {key for key, *_ in cells} == {"only/r0", "only/r1", "only/r2"}


def test_a_window_is_by_event_or_the_newest(serve: Serve) -> None:
    server = serve(epsilon=0.4)
    live(server, 10)
    rows = [d.row for d in read(server, point="route").decisions]
    assert [d.row for d in read(server, point="route", first=rows[2]).decisions] == rows[2:]
    assert [d.row for d in read(server, point="route", last=rows[5] - 1).decisions] == rows[:5]
    assert [d.row for d in read(server, point="route", newest=3).decisions] == rows[-3:]
    half = read(server, point="route", last=rows[5])
    assert half.left_out[-1] == "1 decision(s) are left out: they still wait for their reward or their successor"


def test_a_restore_takes_nothing_out_of_the_log(serve: Serve) -> None:
    server = serve(epsilon=0.4)
    kept = server.post("/v1/checkpoints", {"name": "early"}, 201)
    live(server, 10)
    before = read(server, point="route").decisions
    server.post(f"/v1/checkpoints/{kept['checkpoint_id']}/restore")
    assert read(server, point="route").decisions == before


def test_only_the_tenant_of_the_window_is_read(serve: Serve) -> None:
    server = serve(epsilon=0.4)
    live(server, 4)
    assert read(server, point="gate").decisions != []

    async def other() -> Log:
        folder = Path(server.settings.data_dir)
        journal = await open_journal(folder)
        try:
            window = Window(tenant="other", point="gate")
            return await read_window(journal, find(folder, journal.archives), window, lambda done, of: None)
        finally:
            await journal.close()

    assert asyncio.run(other()).decisions == []


def test_an_unknown_point_is_refused_with_those_there_are(serve: Serve) -> None:
    with pytest.raises(UnusableLog, match="there is no point 'nowhere'; there are capture, chat, gate, route"):
        read(serve(), point="nowhere")


def test_a_served_log_is_replayed_to_a_report(serve: Serve) -> None:
    server = serve(epsilon=1.0, seed=5)
    live(server, 120)
    report = replay(read(server, point="route"), Target(), lambda done, of: None)
    assert report.refused == []
    assert 0.3 < report.explored <= 1.0
    assert report.values["dr"].value > report.logged.value
    assert report.beside["latency_ms"].policy.value < report.beside["latency_ms"].logged.value  # type: ignore[union-attr]
