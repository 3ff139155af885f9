"""The examples of docs/api.md, field by field: what a client was promised is what it gets."""

import json
from typing import Any

import pytest

Server = Any
ROUTE_REQUEST = """
{"task_id": "task-123", "goal": null, "context": {"cpu": 8, "memory_gb": 32, "latency_ms": 50, "region": "us-west"},
 "candidates": [{"provider": "akash", "sku": "A8"}, {"provider": "vast", "sku": "V4"}]}
"""
ROUTE_ANSWER = """
{"task_id": "task-123", "point": "route", "action": "akash/A8", "chosen": {"provider": "akash", "sku": "A8"},
 "score": 0.87, "trace_id": "tr_...", "propensity": 0.95, "policy_version": 142,
 "explanations": {"q_value": 0.74, "psi_coherence": 0.68, "psi_density": 0.82, "exploration": "exploit",
  "state": "...", "visits": 31, "phases_ms": {"featurize": 0.05, "choose": 0.01, "journal": 0.6}}}
"""
GATE_REQUEST = """
{"task_id": "task-7", "goal": "Deploy with kubectl apply", "planned_action": "kubectl apply -f deployment.yaml",
 "tool": "kubectl", "environment": {"cluster": "production"}, "wait_ms": 0, "point": "gate", "namespace": "",
 "previous_trace_id": null}
"""
GATE_ANSWER = """
{"task_id": "task-7", "point": "gate", "action": "REWRITE", "tier": null, "trace_id": "tr_...", "propensity": 0.91,
 "propensities": {"verdict": 0.95}, "policy_version": 142, "recommendation": "REWRITE", "confidence": 0.87,
 "risk": 0.81, "evidence": 14, "novelty": 0.08, "abstained": false, "reason": "...", "hints": ["..."],
 "suggested_action": "...", "reflection": {"id": "rf_...", "status": "ready", "tier": null, "root_cause": "...",
 "resolution": "...", "cost_usd": 0.0}, "supporting_episodes": [{}], "skills": [{}], "explanations": {}}
"""
FEEDBACK_ANSWER = """
{"updated": true, "duplicate": false, "pending": null, "reward": 0.88, "explanation": {"total_reward": 0.88,
 "components": {"latency_score": 0.79, "cost_score": 0.88, "slo_hit": true, "failures": 0}, "terms": [{}],
 "missing": ["success"], "explanation": "..."}, "q_updates": 142, "policy_version": 143}
"""
CAPTURE_REQUEST = """
{"episode_type": "failure", "goal": "Deploy with kubectl apply", "planned_action": "kubectl apply -f deployment.yaml",
 "task_id": "task-7", "error_trace": "Error: exceeded quota", "error_class": "resource_error",
 "tool_chain": ["kubectl", "apply"], "environment": {}, "preconditions": {}, "resolution": "raise the quota first",
 "severity": 0.4, "license": null, "origin": "agents", "tags": []}
"""
CAPTURE_ANSWER = """
{"episode_id": 12345, "duplicate_of": null, "reflection": {"status": "none", "tier": null, "trace_id": null}}
"""
SEARCH_ANSWER = """
{"results": [{"episode_id": 5, "score": 0.83, "scores": {"similarity": 0.9, "precondition": 0.5, "recency": 1.0,
 "worth": 0.5}, "episode": {"goal": "...", "resolution": "..."}}], "filtered": {"license": 1}}
"""
VALIDATE_ANSWER = """
{"updated": true, "reward": 0.95, "validations": 3, "success_rate": 1.0, "promoted_to_skill": true, "skill_id": 456}
"""


def keeps(promised: Any, given: Any, path: str = "$") -> None:
    """Assert that every promised field is there with the promised type (a whole number is a number)."""
    match promised:
        case dict():
            assert isinstance(given, dict), path
            for name, value in promised.items():
                assert name in given, f"{path}.{name} is missing"
                keeps(value, given[name], f"{path}.{name}")
        case list():
            assert isinstance(given, list), path
            for i, (value, item) in enumerate(zip(promised, given, strict=False)):
                keeps(value, item, f"{path}[{i}]")
            assert len(given) >= len(promised), f"{path} is empty"
        case float():
            assert isinstance(given, float | int), f"{path} is {given!r}"
            assert not isinstance(given, bool), f"{path} is {given!r}"
        case _:
            assert type(given) is type(promised), f"{path} is {given!r}, promised {promised!r}"


def test_routing_answers_as_documented(server: Server) -> None:
    answer = server.post("/v1/decisions", json.loads(ROUTE_REQUEST))
    keeps(json.loads(ROUTE_ANSWER), answer)
    assert answer["task_id"] == "task-123"
    assert answer["point"] == "route"
    assert answer["action"] == "{provider}/{sku}".format(**answer["chosen"])
    assert answer["chosen"] in json.loads(ROUTE_REQUEST)["candidates"]
    assert answer["trace_id"].startswith("tr_")
    assert 0.0 < answer["propensity"] <= 1.0
    assert answer["score"] == answer["explanations"]["q_value"], "no router answered"


def test_feedback_scores_the_aurora_example_as_documented(server: Server) -> None:
    decided = server.post("/v1/decisions", json.loads(ROUTE_REQUEST))
    outcome = {
        "success": True,
        "latency_ms": 42,
        "cost": 0.12,
        "failures": 0,
        "slo_hit": True,
        "applied_suggestion": True,
        "executed": True,
        "overridden": False,
        "terminal": True,
        "custom": {},
    }
    answer = server.feedback(decided["trace_id"], **outcome)
    promised = json.loads(FEEDBACK_ANSWER)
    promised["explanation"]["missing"] = []  # this report states success, too
    keeps(promised, answer)
    assert answer["reward"] == pytest.approx(0.88)
    assert answer["explanation"]["total_reward"] == answer["reward"]
    components = answer["explanation"]["components"]
    assert {name: components[name] for name in promised["explanation"]["components"]} == {
        "latency_score": 0.79,
        "cost_score": 0.88,
        "slo_hit": True,
        "failures": 0,
    }
    assert (answer["updated"], answer["duplicate"], answer["pending"]) == (True, False, None)


def test_the_memory_calls_and_the_gate_answer_as_documented(server: Server) -> None:
    asked = json.loads(GATE_REQUEST)
    before = server.post("/v1/decisions", asked)
    captured = server.post("/v1/capture", {**json.loads(CAPTURE_REQUEST), "trace_id": before["trace_id"]}, 201)
    keeps(json.loads(CAPTURE_ANSWER), captured)
    episode_id = captured["episode_id"]
    for _ in range(3):
        validated = server.post(
            "/v1/validate_fix", {"episode_id": episode_id, "outcome": "success", "applied_suggestion": True}
        )
    keeps({**json.loads(VALIDATE_ANSWER), "updated": False, "reward": None}, validated)
    after = server.post("/v1/decisions", asked)
    keeps(json.loads(GATE_ANSWER), after)
    assert after["recommendation"] == after["action"] == "REWRITE"
    assert after["suggested_action"] == "raise the quota first"
    found = server.post(
        "/v1/search",
        {"goal": asked["goal"], "current_state": {"cluster": "prod"}, "k": 5, "min_similarity": 0.0, "filters": {}},
    )
    keeps({**json.loads(SEARCH_ANSWER), "filtered": {}}, found)
    assert set(found["results"][0]["scores"]) >= {"similarity", "precondition", "recency", "worth"}


def test_reflect_is_a_gate_decision_with_a_trace(server: Server) -> None:
    answer = server.post("/v1/reflect", {"goal": "x", "planned_action": "ls", "environment": {"cluster": "p"}})
    assert answer.keys() == server.gate().keys()
    assert answer["trace_id"].startswith("tr_")
    trace = server.get(f"/v1/decisions/{answer['trace_id']}")
    assert trace["point"] == "gate"
    assert trace["request"]["planned_action"] == "ls"


@pytest.mark.parametrize("path", ["/decisions", "/api/v1/decisions"])
def test_a_seeds_path_for_decisions_answers_like_its_twin(server: Server, path: str) -> None:
    ours, theirs = (server.post(p, json.loads(ROUTE_REQUEST)) for p in ("/v1/decisions", path))
    assert _without_moment(theirs) == _without_moment(ours)


@pytest.mark.parametrize("path", ["/feedback", "/api/v1/feedback"])
def test_a_seeds_path_for_feedback_answers_like_its_twin(server: Server, path: str) -> None:
    answers = []
    for at in ("/v1/feedback", path):
        decided = server.route("a/1", context={"path": path})
        answers.append(server.post(at, {"trace_id": decided["trace_id"], "outcome": {"latency_ms": 42}}))
    assert answers[0]["reward"] == answers[1]["reward"]
    assert answers[0].keys() == answers[1].keys()
    assert answers[1]["q_updates"] == answers[0]["q_updates"] + 1


def test_every_v1_path_is_found_where_the_seeds_clients_look(server: Server) -> None:
    episode_id = server.capture(goal="twin", namespace="twins")["episode_id"]
    trace_id = server.gate(namespace="twins")["trace_id"]
    for path in (
        f"/v1/decisions/{trace_id}",
        f"/v1/decisions/{trace_id}/why",
        f"/v1/episodes/{episode_id}",
        "/v1/skills",
        "/v1/checkpoints",
        "/v1/points",
        "/v1/points/gate/policy",
    ):
        assert server.get(f"/api{path}") == server.get(path), path
    for path, body in (
        ("/v1/reflect", {"goal": "x", "planned_action": "ls"}),
        ("/v1/search", {"goal": "twin", "namespace": "twins"}),
        ("/v1/validate_fix", {"episode_id": episode_id, "outcome": "failure"}),
    ):
        assert server.post(f"/api{path}", body).keys() == server.post(path, body).keys(), path
    assert (
        server.post("/api/v1/capture", {"goal": "twin", "planned_action": "make deploy", "namespace": "twins"}, 201)[
            "duplicate_of"
        ]
        == episode_id
    )


def _without_moment(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what differs from one call to the next."""
    explained = {k: v for k, v in answer["explanations"].items() if k != "phases_ms"}
    kept = {k: v for k, v in answer.items() if k not in ("trace_id", "policy_version", "explanations")}
    return {**kept, "explanations": explained}
