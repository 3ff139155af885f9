"""A point's policy is an operator's to set: over HTTP, per tenant, with who and why, and it holds for the next call."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from auditor.guards import Guard
from controlplane import failpoints
from controlplane.contract import PolicyRequest
from controlplane.rebuilding import rebuild
from controlplane.tenants import LOCAL

from .conftest import Running, Serve, chosen
from .test_access import Keyed

Json = dict[str, Any]
GATE, ROUTE = "/v1/points/gate/policy", "/v1/points/route/policy"
FIX = "set KUBECONFIG first"


def put(server: Running, path: str = GATE, status: int = 200, **sets: Any) -> Json:
    """Set something at the version the point has now."""
    body = {"version": server.get(path)["version"], "why": "as told", **sets}
    answer = server.client.patch(path, json=body)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def guard(effect: str, *actions: str, **conditions: Any) -> Json:
    return {"name": "house rule", "effect": effect, "actions": list(actions), **conditions}


def test_what_is_not_set_is_as_the_settings_say_and_null_goes_back_to_that(serve: Serve) -> None:
    server = serve(risk_ceiling=0.7)
    before = server.get(GATE)
    assert (before["version"], before["set"], before["set_why"]) == (0, {}, None)
    put(server, mode="apprentice", weights={"cost": 0.5, "custom.taste": 2})
    after = put(server, risk_ceiling=0.9)
    assert after["mode"] == after["rules"]["policy"]["mode"] == "apprentice"
    assert after["rules"]["weights"] == {**before["rules"]["weights"], "cost": 0.5, "custom.taste": 2.0}
    assert after["rules"]["risk_ceiling"] == 0.9
    assert after["set"] == {"mode": "apprentice", "weights": {"cost": 0.5, "custom.taste": 2.0}, "risk_ceiling": 0.9}
    back = put(server, mode=None, weights=None, risk_ceiling=None, guards=None, why="over")
    assert (back["rules"], back["set"], back["set_why"]) == (before["rules"], {}, "over")


def test_a_change_of_what_was_changed_meanwhile_is_refused_and_nothing_is_lost(serve: Serve) -> None:
    server = serve()
    put(server, mode="frozen")
    stale = server.client.patch(GATE, json={"version": 0, "why": "late", "mode": "learning"})
    assert (stale.status_code, stale.json()["code"]) == (409, "policy_moved")
    assert server.get(GATE)["mode"] == "frozen"


def test_of_changes_that_come_at_once_one_is_made(serve: Serve) -> None:
    server = serve()

    async def at_once() -> list[Any]:
        asked = [PolicyRequest(version=0, why=f"one of {n}", risk_ceiling=n / 10) for n in range(8)]
        acts = [server.service.policies.set(LOCAL, "gate", request) for request in asked]
        return await asyncio.gather(*acts, return_exceptions=True)

    told = server.run(at_once())
    assert [type(one).__name__ for one in told if one is not None] == ["PolicyMoved"] * 7
    made = [act for act in server.get("/v1/admin/audit") if act["act"] == "policy_set"]
    assert [act["seq"] for act in made] == [server.get(GATE)["version"]]


@pytest.mark.parametrize(
    ("path", "sets", "said"),
    [
        (GATE, {"weights": {"latency": 1}}, "gate has the terms outcome, failure, friction, false_block, cost"),
        (ROUTE, {"weights": {"outcome": 1}}, "weights has outcome"),
        (GATE, {"guards": [guard("force", "REWRITE")]}, "forces none of PROCEED, HINT, BLOCK"),
        (GATE, {"guards": [guard("forbid", "*")]}, "force BLOCK instead"),
        (ROUTE, {"guards": [guard("forbid", "a/*", command="ls")]}, "only the gate is asked about"),
    ],
)
def test_what_could_never_be_meant_is_refused(serve: Serve, path: str, sets: Json, said: str) -> None:
    server = serve()
    assert said in put(server, path, 422, **sets)["detail"]
    assert server.get(path)["version"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"why": "no version", "mode": "frozen"},
        {"version": 0, "mode": "frozen"},
        {"version": 0, "why": "", "mode": "frozen"},
        {"version": 0, "why": "x", "mode": "asleep"},
        {"version": 0, "why": "x", "risk_ceiling": 1.1},
        {"version": 0, "why": "x", "weights": {"cost": 11}},
        {"version": 0, "why": "x", "guards": [guard("forbid")]},
        {"version": 0, "why": "x", "guards": [guard("allow", "BLOCK")]},
        {"version": 0, "why": "x", "guards": [guard("forbid", "BLOCK", regex=".*")]},
        {"version": 0, "why": "x", "guards": [guard("forbid", "BLOCK")] * 65},
        {"version": 0, "why": "x", "guards": [guard("forbid", "B" * 513)]},
    ],
)
def test_what_is_out_of_bounds_is_refused(serve: Serve, body: Json) -> None:
    assert serve().client.patch(GATE, json=body).status_code == 400


def test_a_point_there_is_not_has_no_policy_to_set(serve: Serve) -> None:
    answer = serve().client.patch("/v1/points/nowhere/policy", json={"version": 0, "why": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_point")


def test_a_forced_verdict_needs_no_evidence_and_says_whose_rule_it_is(serve: Serve) -> None:
    server = serve()
    put(server, guards=[guard("force", "BLOCK", command="*kubectl delete*", environment={"cluster": "prod*"})])
    plan = {"planned_action": "sudo  kubectl  delete ns all", "environment": {"cluster": "production"}}
    answer = server.gate(**plan)
    why = "the guard rule 'house rule' forces BLOCK"
    assert (answer["action"], answer["propensity"], answer["abstained"]) == ("BLOCK", 1.0, False)
    assert answer["explanations"]["masked"] == dict.fromkeys(("PROCEED", "HINT", "REWRITE"), why)
    assert answer["reason"] == f"BLOCK: {why}."
    assert server.gate(**{**plan, "environment": {"cluster": "staging"}})["action"] == "PROCEED"
    assert server.gate(planned_action="kubectl get ns", environment={"cluster": "production"})["action"] == "PROCEED"
    told = server.get(f"/v1/decisions/{answer['trace_id']}/why")["sentences"]
    assert any(why in sentence for sentence in told)
    version = server.get(GATE)["version"]
    assert f"The policy was as set by event {version} (key none): 'as told'." in told


def test_a_forbidden_verdict_gives_way_to_the_next_one_that_is_not(serve: Serve) -> None:
    server = serve()
    put(server, guards=[guard("forbid", "PROCEED", tool="git")])
    answer = server.gate(planned_action="git push")
    assert (answer["action"], answer["abstained"]) == ("HINT", False)
    assert answer["hints"] == ["Here the guard rule 'house rule' forbids PROCEED."]
    put(server, guards=[guard("forbid", "PROCEED", tool="git"), guard("forbid", "HINT", "BLOCK", tool="git")])
    assert server.gate(planned_action="git push")["action"] == "BLOCK", "where everything is forbidden nothing passes"


def test_a_verdict_that_evidence_speaks_for_can_be_forbidden(serve: Serve) -> None:
    plan: Json = {"goal": "roll out", "planned_action": "kubectl apply -f x", "environment": {"cluster": "production"}}
    server = serve()
    for _ in range(3):
        server.post("/v1/capture", {**plan, "error_trace": "Error: forbidden", "resolution": FIX}, 201)
    assert server.gate(**plan)["action"] == "BLOCK"
    put(server, guards=[guard("forbid", "BLOCK", command="kubectl apply*")])
    answer = server.gate(**plan)
    assert answer["action"] == "HINT"
    assert answer["explanations"]["masked"]["BLOCK"] == "the guard rule 'house rule' forbids BLOCK"


def test_candidates_can_be_forbidden_and_forced_by_what_the_work_is(serve: Serve) -> None:
    server = serve()
    put(server, ROUTE, guards=[guard("forbid", "vast/*", environment={"region": "eu-*"})])
    chosen_in_eu = {server.route("vast/A", "akash/B", context={"region": "eu-west"})["action"] for _ in range(8)}
    assert chosen_in_eu == {"akash/B"}
    refused = server.post(
        "/v1/decisions", {"candidates": [{"provider": "vast", "sku": "A"}], "context": {"region": "eu-west"}}, 422
    )
    assert "every candidate is forbidden: the guard rule 'house rule'" in refused["detail"]
    assert server.route("vast/A", context={"region": "us"})["action"] == "vast/A"
    put(server, ROUTE, guards=[guard("force", "akash/*")])
    answers = [server.route("vast/A", "akash/B") for _ in range(8)]
    assert {(one["action"], one["propensity"]) for one in answers} == {("akash/B", 1.0)}
    assert server.route("vast/A")["action"] == "vast/A", "what is forced is not there"


def test_a_guard_rule_holds_where_the_journal_cannot_be_written(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        keyed = Keyed(running)
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme", "tier": "local", "fail_mode": "open"})
        key = keyed.issue(tenant="acme")["key"]
        body = {"version": 0, "why": "x", "guards": [guard("force", "BLOCK", tool="rm")]}
        assert keyed.with_key(key, "PATCH", GATE, body).status_code == 200
        failpoints.arm("journal.insert:error@1")
        try:
            answer = keyed.with_key(key, "POST", "/v1/decisions", {"planned_action": "rm -rf /"}).json()
        finally:
            failpoints.arm("")
        assert (answer["action"], answer["trace_id"], answer["degraded"]) == ("BLOCK", None, ["journal"])


def test_an_agents_key_may_read_a_policy_and_not_set_it_and_no_other_tenant_sees_it(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        keyed = Keyed(running)
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme", "tier": "pro"})
        agent = keyed.issue(tenant="acme", scopes=["decide", "feedback", "capture", "read"])["key"]
        operator, other = keyed.issue(tenant="acme", scopes=["admin"]), keyed.issue(tenant="default")["key"]
        body = {"version": 0, "why": "a calm week", "mode": "frozen"}
        assert keyed.with_key(agent, "PATCH", GATE, body).status_code == 403
        made = keyed.with_key(operator["key"], "PATCH", GATE, body).json()
        assert (made["mode"], made["set_by"], made["set_why"]) == ("frozen", operator["key_id"], "a calm week")
        assert keyed.with_key(agent, "GET", GATE).json() == made
        assert keyed.with_key(other, "GET", GATE).json()["version"] == 0
        [act] = [act for act in keyed.operate("GET", "/v1/admin/audit") if act["act"] == "policy_set"]
        assert (act["tenant"], act["about"], act["by"]) == ("acme", "gate", operator["key_id"])
        assert "a calm week" not in str(act), "texts of a tenant are not told to operators of the server"


async def test_what_is_set_survives_a_restart_and_the_journal_folds_to_it(tmp_path: Path) -> None:
    settings = chosen(tmp_path / "data")
    with Running(settings) as server:
        put(server, mode="frozen", guards=[guard("force", "BLOCK", tool="rm")], weights={"cost": 0.5})
        assert server.gate(planned_action="rm x")["action"] == "BLOCK"
        before = server.get(GATE)
    with Running(settings) as server:
        assert server.get(GATE) == before
        assert server.gate(planned_action="rm x")["action"] == "BLOCK"
        assert server.service.learner.state.of("default").rules.points["gate"].guards[0] == Guard(
            name="house rule", effect="force", actions=("BLOCK",), tool="rm"
        )
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []
