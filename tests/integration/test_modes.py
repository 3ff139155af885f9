"""Modes over HTTP: a frozen policy learns nothing; an apprentice hands over once its table is proven better."""

from pathlib import Path
from typing import Any

from controlplane.rebuilding import rebuild

from .conftest import Running, Serve, chosen
from .test_policies import GATE, ROUTE, put

Json = dict[str, Any]
PLACES = ("a/1", "b/1")


def teach(server: Running, times: int) -> None:
    for _ in range(times):
        decided = server.route(*PLACES)
        server.feedback(decided["trace_id"], latency_ms=10 if decided["action"] == "b/1" else 900)


def test_a_frozen_policy_takes_the_best_known_with_certainty_and_learns_nothing(serve: Serve) -> None:
    server = serve(epsilon=0.4)
    teach(server, 30)
    before = put(server, ROUTE, mode="frozen")
    assert (before["epsilon"], before["rules"]["policy"]["epsilon"]["start"]) == (0.0, 0.4)
    answers = [server.route(*PLACES) for _ in range(10)]
    assert {(one["action"], one["propensity"], one["explanations"]["exploration"]) for one in answers} == {
        ("b/1", 1.0, "exploit")
    }
    said = [server.feedback(one["trace_id"], latency_ms=900) for one in answers]
    assert {(one["updated"], one["reason"]) for one in said} == {(False, "the policy is frozen; nothing is learnt")}
    assert all(server.get(ROUTE)[name] == before[name] for name in ("updates", "q_table_size", "state_action_pairs"))
    assert {server.route(*PLACES)["explanations"]["q_value"] for _ in range(3)} == {
        answers[0]["explanations"]["q_value"]
    }
    put(server, ROUTE, mode=None)
    assert server.feedback(server.route(*PLACES)["trace_id"], latency_ms=900)["updated"]
    assert server.get(ROUTE)["updates"] == before["updates"] + 1


PLAN: Json = {"goal": "roll out", "planned_action": "kubectl apply -f x", "environment": {"cluster": "production"}}


def work(server: Running, times: int) -> list[Json]:
    """The rule hints at a failure of long ago; the plan works if it is let through, and what the hint says does not."""
    answers = []
    for _ in range(times):
        answers.append(server.gate(**PLAN))
        proceeded = answers[-1]["action"] == "PROCEED"
        server.feedback(answers[-1]["trace_id"], success=proceeded, applied_suggestion=not proceeded)
    return answers


def apprenticed(server: Running, hand_over: str) -> None:
    server.capture(**{**PLAN, "environment": {"cluster": "staging"}}, error_trace="Error: exceeded quota")
    put(server, mode="apprentice", hand_over=hand_over)


def test_an_apprentice_follows_the_rule_and_the_trace_has_what_its_table_would_have_done(serve: Serve) -> None:
    server = serve(apprentice_share=0.5)
    apprenticed(server, "operator")
    answers = work(server, 40)
    whole = server.get(f"/v1/decisions/{answers[-1]['trace_id']}")
    [head] = whole["heads"]
    assert (whole["mode"], head["rule"], whole["rule"]) == ("apprentice", "HINT", "HINT")
    assert head["probabilities"][head["actions"].index("HINT")] == 0.5
    beside = whole["beside"]
    assert (beside["who"], beside["action"]) == ("table", "PROCEED")
    assert sum(beside["probabilities"]) == 1.0
    why = server.get(f"/v1/decisions/{answers[-1]['trace_id']}/why")["sentences"]
    assert "The table, had it acted, would have taken PROCEED." in why
    assert server.get(GATE)["table_over_rule"]["decisions"] == 40


async def test_an_apprentice_hands_over_by_itself_once_its_table_is_proven_better(tmp_path: Path) -> None:
    settings = chosen(tmp_path / "data", apprentice_share=0.5)
    with Running(settings) as server:
        apprenticed(server, "automatic")
        before = server.get(GATE)["version"]
        told = server.get(GATE)
        while told["mode"] == "apprentice" and (told["table_over_rule"] or {"at_least": -1.0})["at_least"] <= 0.0:
            work(server, 20)
            told = server.get(GATE)
            assert told["counts"]["decisions"] < 2000
        server.run(server.service.policies.follow_evidence())
        after = server.get(GATE)
        assert (after["mode"], after["set_by"], after["version"] > before) == ("learning", "", True)
        assert after["set_why"].startswith("the table is better than the rule: a decision earns ")
        assert after["set"]["hand_over"] == "automatic"
        assert after["table_over_rule"] is None, "it is over"
        assert {answer["action"] for answer in work(server, 5)} == {"PROCEED"}
        [first, *_] = [act for act in server.get("/v1/admin/audit") if act["act"] == "policy_set"]
        assert (first["by"], first["details"]["mode"]) == ("", "learning")
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []


def test_an_apprentice_that_is_an_operators_to_hand_over_stays_one_whatever_is_proven(serve: Serve) -> None:
    server = serve(apprentice_share=0.5)
    apprenticed(server, "operator")
    while not (work(server, 20) and server.get(GATE)["table_over_rule"]["at_least"] > 0.0):
        assert server.get(GATE)["table_over_rule"]["decisions"] < 2000
    server.run(server.service.policies.follow_evidence())
    assert server.get(GATE)["mode"] == "apprentice"
    assert put(server, mode="learning")["table_over_rule"] is None
