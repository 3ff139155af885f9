"""Blocks that are let through to be audited, and blocks that are contested, over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from controlplane.rebuilding import rebuild

from .conftest import Running, Serve, chosen
from .test_access import Keyed
from .test_policies import GATE, guard, put

Json = dict[str, Any]
PLAN: Json = {"goal": "roll out", "planned_action": "kubectl apply -f x", "environment": {"cluster": "production"}}


def blocks(server: Running, **sets: Any) -> None:
    """The fixed rule blocks the plan, at whatever risk, for it acts."""
    for _ in range(3):
        server.capture(**PLAN, error_trace="Error: forbidden", resolution="set KUBECONFIG first")
    put(server, mode="apprentice", **sets)


def test_of_blocks_below_the_ceiling_a_share_is_let_through_and_the_trace_says_so(serve: Serve) -> None:
    server = serve(apprentice_share=0.0, audit_share=0.3, audit_ceiling=1.0, risk_ceiling=1.0)
    blocks(server)
    seen: dict[str, Json] = {}
    for _ in range(60):
        seen.setdefault((answer := server.gate(**PLAN))["action"], answer)
    assert seen.keys() == {"HINT", "BLOCK"}
    assert {verdict: round(one["propensity"], 9) for verdict, one in seen.items()} == {"HINT": 0.3, "BLOCK": 0.7}
    assert seen["HINT"]["explanations"]["exploration"] == "audit"
    assert seen["HINT"]["hints"]
    [head] = server.get(f"/v1/decisions/{seen['HINT']['trace_id']}")["heads"]
    assert head["move"] == {"source": "BLOCK", "target": "HINT", "share": 0.3, "moved": pytest.approx(0.3)}
    why = " ".join(server.get(f"/v1/decisions/{seen['HINT']['trace_id']}/why")["sentences"])
    assert "Took HINT in the place of a BLOCK, to see whether that would have been right" in why
    assert "Of BLOCK's probability 0.300 went to HINT, to be audited." in why


def test_the_false_block_rate_is_what_those_that_were_let_through_say(serve: Serve) -> None:
    server = serve(apprentice_share=0.0, audit_share=0.5, audit_ceiling=1.0, risk_ceiling=1.0)
    blocks(server)
    before = server.get(GATE)["audited"]
    assert before == {"let_through": 0, "known": 0, "false_block_rate": None, "low": 0.0, "high": 1.0}
    answers = [server.gate(**PLAN) for _ in range(40)]
    through = [answer["trace_id"] for answer in answers if answer["action"] == "HINT"][:8]
    for number, trace_id in enumerate(through):
        server.feedback(trace_id, success=number % 4 == 0, applied_suggestion=False)
    audited = server.get(GATE)["audited"]
    assert (audited["known"], audited["false_block_rate"]) == (8, 0.25)
    assert audited["let_through"] == sum(answer["action"] == "HINT" for answer in answers)
    assert 0.0 < audited["low"] < 0.25 < audited["high"] < 1.0
    assert server.get("/status")["points"]["gate"]["audited"] == audited


@pytest.mark.parametrize("sets", [{"audit_share": 0.0}, {"audit_ceiling": 0.1}])
def test_nothing_is_let_through_where_a_tenant_does_not_want_it_or_the_risk_is_too_high(
    serve: Serve, sets: Json
) -> None:
    server = serve(apprentice_share=0.0, audit_share=0.5, audit_ceiling=1.0, risk_ceiling=1.0)
    blocks(server, **sets)
    assert {(one["action"], one["propensity"]) for one in (server.gate(**PLAN) for _ in range(20))} == {("BLOCK", 1.0)}


def test_what_a_guard_rule_forces_is_not_let_through(serve: Serve) -> None:
    server = serve(audit_share=1.0, audit_ceiling=1.0, risk_ceiling=1.0)
    blocks(server, guards=[guard("force", "BLOCK", tool="kubectl")])
    assert {server.gate(**PLAN)["action"] for _ in range(10)} == {"BLOCK"}


@pytest.fixture
def contested(serve: Serve) -> tuple[Running, str]:
    server = serve()
    put(server, guards=[guard("force", "BLOCK", tool="rm")])
    return server, server.gate(planned_action="rm -r build")["trace_id"]


def test_an_agent_contests_a_block_and_an_operator_upholds_it(contested: tuple[Running, str]) -> None:
    server, trace_id = contested
    made = server.post(f"/v1/decisions/{trace_id}/appeal", {"reason": "it is only a build"}, 201)
    assert (made["trace_id"], made["status"], made["open_decision"]) == (trace_id, "open", True)
    assert server.get("/v1/appeals") == [made]
    assert server.get("/status")["appeals"] == 1
    ruled = server.post(f"/v1/decisions/{trace_id}/appeal/ruling", {"upheld": True, "why": "so it is"})
    assert (ruled["status"], ruled["appealed_at"]) == ("upheld", made["appealed_at"])
    assert server.get("/v1/appeals") == []
    whole = server.get(f"/v1/decisions/{trace_id}")
    assert whole["reward"]["total_reward"] == -0.65
    assert [(act.get("reason"), act.get("upheld"), act["by"]) for act in whole["appeal"]] == [
        ("it is only a build", None, ""),
        (None, True, ""),
    ]
    why = server.get(f"/v1/decisions/{trace_id}/why")["sentences"]
    assert "Contested: 'it is only a build'." in why
    assert "The appeal was upheld: 'so it is'." in why
    assert any("blocked, and an operator upheld the appeal (-0.5)" in sentence for sentence in why)


def test_what_is_no_block_or_was_contested_or_ruled_on_before_is_refused(contested: tuple[Running, str]) -> None:
    server, trace_id = contested
    path = f"/v1/decisions/{trace_id}/appeal"
    passed = server.gate(planned_action="ls")["trace_id"]
    assert "this was PROCEED" in server.post(f"/v1/decisions/{passed}/appeal", {"reason": "x"}, 422)["detail"]
    assert server.post("/v1/decisions/tr_0/appeal", {"reason": "x"}, 404)["code"] == "unknown_trace"
    assert server.post(f"{path}/ruling", {"upheld": True, "why": "x"}, 404)["code"] == "unknown_trace"
    server.post(path, {"reason": "x"}, 201)
    assert server.post(path, {"reason": "y"}, 409)["code"] == "conflict"
    server.post(f"{path}/ruling", {"upheld": False, "why": "x"})
    assert server.post(f"{path}/ruling", {"upheld": True, "why": "x"}, 409)["code"] == "conflict"


def test_an_agent_may_contest_and_only_an_operator_rules_and_strangers_see_nothing(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        keyed = Keyed(running)
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme", "tier": "pro"})
        agent = keyed.issue(tenant="acme", scopes=["decide", "feedback", "read"])["key"]
        operator, other = keyed.issue(tenant="acme")["key"], keyed.issue(tenant="default")["key"]
        body = {"version": 0, "why": "x", "guards": [guard("force", "BLOCK", tool="rm")]}
        assert keyed.with_key(operator, "PATCH", GATE, body).status_code == 200
        trace_id = keyed.with_key(agent, "POST", "/v1/decisions", {"planned_action": "rm x"}).json()["trace_id"]
        path, ruling = f"/v1/decisions/{trace_id}/appeal", {"upheld": True, "why": "x"}
        assert keyed.with_key(other, "POST", path, {"reason": "mine"}).status_code == 404
        assert keyed.with_key(agent, "POST", path, {"reason": "it works"}).status_code == 201
        assert keyed.with_key(agent, "POST", f"{path}/ruling", ruling).status_code == 403
        assert keyed.with_key(other, "POST", f"{path}/ruling", ruling).status_code == 404
        assert keyed.with_key(other, "GET", "/v1/appeals").json() == []
        assert keyed.with_key(operator, "POST", f"{path}/ruling", ruling).status_code == 200
        [act] = [act for act in keyed.operate("GET", "/v1/admin/audit") if act["act"] == "appeal_ruled"]
        assert (act["about"], act["details"]) == (trace_id, {"upheld": True})


async def test_appeals_and_what_was_let_through_outlive_a_restart_and_the_journal_folds_to_them(
    tmp_path: Path,
) -> None:
    settings = chosen(tmp_path / "data", apprentice_share=0.0, audit_share=0.5, audit_ceiling=1.0, risk_ceiling=1.0)
    with Running(settings) as server:
        blocks(server)
        answers = [server.gate(**PLAN) for _ in range(20)]
        for answer in answers:
            if answer["action"] == "BLOCK":
                server.post(f"/v1/decisions/{answer['trace_id']}/appeal", {"reason": "no"}, 201)
            else:
                server.feedback(answer["trace_id"], success=True, applied_suggestion=False)
        waiting, policy = server.get("/v1/appeals"), server.get(GATE)
        assert waiting
        assert policy["audited"]["known"]
    with Running(settings) as server:
        assert (server.get("/v1/appeals"), server.get(GATE)) == (waiting, policy)
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []
