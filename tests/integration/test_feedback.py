"""Feedback over HTTP: one report changes the next answer, once, and everything that changes nothing says why."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Server = Any
Serve = Callable[..., Any]
GOOD = {"latency_ms": 20, "cost": 0.05, "failures": 0, "slo_hit": True}
BAD = {"latency_ms": 900, "cost": 1.5, "failures": 3, "slo_hit": False}


def test_a_bad_report_sends_the_next_request_elsewhere(server: Server) -> None:
    here = {"context": {"region": "change"}}
    first = server.route("akash/A8", "vast/V4", **here)
    reported = server.feedback(first["trace_id"], **BAD)
    assert reported["updated"] is True
    assert reported["reward"] < 0
    second = server.route("akash/A8", "vast/V4", **here)
    assert second["action"] != first["action"]
    assert second["policy_version"] >= reported["policy_version"]


def test_a_good_report_keeps_the_next_request_where_it_went(server: Server) -> None:
    here = {"context": {"region": "keep"}}
    first = server.route("akash/A8", "vast/V4", **here)
    assert server.feedback(first["trace_id"], **GOOD)["updated"] is True
    for _ in range(5):
        again = server.route("akash/A8", "vast/V4", **here)
        assert again["action"] == first["action"]
        assert again["explanations"]["q_value"] > 0
    assert again["explanations"]["visits"] == 1


def test_the_order_of_candidates_changes_nothing(server: Server) -> None:
    here = {"context": {"region": "order"}}
    server.feedback(server.route("vast/V4", "akash/A8", **here)["trace_id"], **BAD)
    one = server.route("akash/A8", "vast/V4", **here)
    other = server.route("vast/V4", "akash/A8", **here)
    assert (one["action"], one["score"], one["propensity"]) == (other["action"], other["score"], other["propensity"])


def test_the_same_report_twice_updates_once(server: Server) -> None:
    decided = server.route("a/1")
    first = server.feedback(decided["trace_id"], **GOOD)
    again = server.feedback(decided["trace_id"], **GOOD)
    assert (first["updated"], first["duplicate"]) == (True, False)
    assert again["duplicate"] is True
    assert (again["updated"], again["reward"], again["explanation"]) == (True, first["reward"], first["explanation"])
    assert again["q_updates"] == first["q_updates"]
    assert len(server.get(f"/v1/decisions/{decided['trace_id']}")["feedback"]) == 2, "both are logged"


async def test_fifty_identical_reports_at_once_update_exactly_once(server: Server) -> None:
    decided = server.route("a/1", context={"region": "burst"})
    before = server.get("/status")["model"]["updates"]
    body = {"trace_id": decided["trace_id"], "outcome": GOOD}
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        responses = await asyncio.gather(*(client.post("/v1/feedback", json=body) for _ in range(50)))
    answers = [response.json() for response in responses]
    assert {response.status_code for response in responses} == {200}
    assert sum(answer["updated"] and not answer["duplicate"] for answer in answers) == 1
    assert sum(answer["duplicate"] for answer in answers) == 49
    assert {answer["reward"] for answer in answers} == {answers[0]["reward"]}
    assert server.get("/status")["model"]["updates"] == before + 1


def test_another_report_on_a_learnt_decision_is_logged_and_not_learnt(server: Server) -> None:
    decided = server.route("a/1")
    first = server.feedback(decided["trace_id"], **GOOD)
    other = server.feedback(decided["trace_id"], **BAD)
    assert (other["updated"], other["duplicate"]) == (False, False)
    assert "logged, not learnt" in other["reason"]
    assert other["q_updates"] == first["q_updates"]


def test_a_report_on_an_unknown_decision_is_404(server: Server) -> None:
    answer = server.post("/v1/feedback", {"trace_id": "tr_unknown", "outcome": GOOD}, 404)
    assert answer["code"] == "unknown_trace"


def test_an_answer_that_was_not_acted_on_is_cancelled_unscored(server: Server) -> None:
    decided = server.route("a/1", context={"region": "cancelled"})
    before = server.get("/status")["model"]["updates"]
    answer = server.feedback(decided["trace_id"], executed=False)
    assert (answer["updated"], answer["reward"]) == (False, None)
    assert "not executed" in answer["reason"]
    assert server.get("/status")["model"]["updates"] == before
    whole = server.get(f"/v1/decisions/{decided['trace_id']}")
    assert (whole["pending"], whole["update"]) == (None, None)
    assert "not executed" in whole["not_learnt"]
    assert server.feedback(decided["trace_id"], **GOOD)["updated"] is False


def test_a_report_within_a_task_waits_for_the_tasks_next_decision(server: Server) -> None:
    first = server.gate(task_id="waits", namespace="waits")
    reported = server.feedback(first["trace_id"], success=True)
    assert (reported["updated"], reported["pending"]) == (False, "next_decision")
    assert reported["reward"] == 1.0
    assert server.get(f"/v1/decisions/{first['trace_id']}")["pending"] == "next_decision"
    updates = server.get("/status")["model"]["updates"]
    second = server.gate(task_id="waits", namespace="waits")
    whole = server.get(f"/v1/decisions/{first['trace_id']}")
    assert whole["pending"] is None
    assert whole["update"]["discount"] == 0.92
    assert whole["update"]["truncated"] is False
    assert server.get("/status")["model"]["updates"] == updates + 1
    assert second["policy_version"] >= first["policy_version"]


def test_under_a_multi_step_rule_a_scored_decision_waits_for_the_end_of_its_task(serve: Serve) -> None:
    server = serve(update_rule="tree_backup")
    first = server.gate(task_id="job")["trace_id"]
    assert server.feedback(first, success=True)["pending"] == "next_decision"
    second = server.gate(task_id="job")["trace_id"]
    whole = server.get(f"/v1/decisions/{first}")
    assert (whole["pending"], whole["update"]) == ("task_end", None)
    assert "Not learnt yet: it waits for the task's end." in server.get(f"/v1/decisions/{first}/why")["sentences"]
    assert server.get("/status")["model"]["updates"] == 0
    assert server.feedback(second, success=True, terminal=True)["updated"]
    whole = server.get(f"/v1/decisions/{first}")
    assert (whole["pending"], whole["update"]["target"]) == (None, pytest.approx(1.0 + 0.92))
    assert server.get("/status")["model"]["updates"] == 2


def test_a_terminal_report_ends_the_task_at_once(server: Server) -> None:
    decided = server.gate(task_id="ends", namespace="ends")
    answer = server.feedback(decided["trace_id"], success=True, terminal=True)
    assert (answer["updated"], answer["pending"]) == (True, None)
    assert server.get(f"/v1/decisions/{decided['trace_id']}")["update"]["discount"] == 0.0


def test_the_end_can_be_told_after_the_outcome(server: Server) -> None:
    decided = server.gate(task_id="told", namespace="told")
    assert server.feedback(decided["trace_id"], success=True)["pending"] == "next_decision"
    ended = server.feedback(decided["trace_id"], success=True, terminal=True)
    assert (ended["updated"], ended["pending"], ended["reward"]) == (True, None, 1.0)


def test_a_decision_without_a_task_ends_with_its_report(server: Server) -> None:
    answer = server.feedback(server.gate(namespace="alone")["trace_id"], success=False)
    assert (answer["updated"], answer["reward"]) == (True, -1.0)


def test_advice_waits_until_it_is_said_whether_it_was_followed(server: Server) -> None:
    asked = {"goal": "advised", "planned_action": "helm upgrade", "namespace": "advised", "task_id": "advised"}
    server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "make clean"}, 201)
    decided = server.post("/v1/decisions", asked)
    assert decided["action"] == "HINT"
    assert server.feedback(decided["trace_id"], success=True)["pending"] == "window"
    complete = server.feedback(decided["trace_id"], success=True, applied_suggestion=True)
    assert complete["pending"] == "next_decision"
    assert complete["reward"] == pytest.approx(0.98), "success, less the friction of a hint"
    assert server.feedback(decided["trace_id"], terminal=True)["updated"] is True


def test_an_obeyed_block_needs_no_report(server: Server) -> None:
    asked = {"goal": "wall", "planned_action": "rm -rf build", "namespace": "wall", "task_id": "wall",
             "environment": {"cluster": "p"}}  # fmt: skip
    for _ in range(3):
        server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "make clean"}, 201)
    blocked = server.post("/v1/decisions", asked)
    assert blocked["action"] == "BLOCK"
    server.post("/v1/decisions", {**asked, "planned_action": "ls"})
    whole = server.get(f"/v1/decisions/{blocked['trace_id']}")
    assert whole["reward"]["total_reward"] == pytest.approx(-0.15)
    assert whole["update"] is not None


def test_a_block_that_was_wrong_is_told_by_overriding_it(server: Server) -> None:
    asked = {"goal": "false wall", "planned_action": "rm -rf dist", "namespace": "false-wall",
             "environment": {"cluster": "p"}}  # fmt: skip
    for _ in range(3):
        server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "make clean"}, 201)
    blocked = server.post("/v1/decisions", asked)
    assert blocked["action"] == "BLOCK"
    answer = server.feedback(blocked["trace_id"], success=True, overridden=True)
    assert answer["reward"] == pytest.approx(-0.65), "its friction and the false block"


def test_what_nobody_reports_on_is_learnt_with_the_default_when_its_window_ends(serve: Serve) -> None:
    server = serve(route_window_s=0.05, gate_window_s=0.05, trajectory_ttl_s=0.05)
    silent = server.route("a/1")["trace_id"]
    in_task = server.gate(task_id="silent")["trace_id"]
    for trace_id in (silent, in_task):
        whole = server.until(lambda trace_id=trace_id: _learnt(server, trace_id))
        assert whole["reward"]["total_reward"] == 0.0
        assert whole["reward"]["missing"]
        assert whole["pending"] is None
    assert server.get(f"/v1/decisions/{in_task}")["update"]["truncated"] is True
    late = server.feedback(silent, **GOOD)
    assert (late["updated"], late["duplicate"]) == (False, False)
    assert "logged, not learnt" in late["reason"]


def test_a_frozen_point_folds_nothing(serve: Serve) -> None:
    server = serve(route_mode="frozen")
    decided = server.route("a/1", "b/2")
    answer = server.feedback(decided["trace_id"], **GOOD)
    assert answer["updated"] is False
    assert "frozen" in server.get(f"/v1/decisions/{decided['trace_id']}")["not_learnt"]
    assert server.get("/status")["model"]["q_table_size"] == 0


def _learnt(server: Server, trace_id: str) -> dict[str, Any] | None:
    whole = server.get(f"/v1/decisions/{trace_id}")
    return whole if whole["update"] else None
