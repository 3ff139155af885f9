"""The gate over HTTP: from an empty memory to every verdict, each with its reasons."""

from random import Random
from string import ascii_lowercase
from typing import Any

Server = Any
FIX = "set KUBECONFIG first"


def plan(name: str, **fields: Any) -> dict[str, Any]:
    """A plan of its own namespace, so that tests share nothing."""
    return {"goal": f"roll out {name}", "planned_action": f"kubectl apply -f {name}.yaml", "namespace": name, **fields}


def test_an_empty_memory_abstains_with_proceed_and_says_so(server: Server) -> None:
    answer = server.post("/v1/decisions", plan("empty"))
    assert answer["action"] == answer["recommendation"] == "PROCEED"
    assert answer["abstained"] is True
    assert answer["evidence"] == 0
    assert answer["novelty"] == 1.0
    assert 0.0 < answer["risk"] < 1.0, "unknown is not safe"
    assert answer["reason"] == "Nothing similar is remembered: unknown, not safe."
    assert answer["propensity"] == 1.0
    assert answer["reflection"]["status"] == "none"
    assert answer["degraded"] == []
    assert answer["explanations"]["exploration"] == "only"
    assert answer["explanations"]["masked"].keys() == {"HINT", "REWRITE", "BLOCK"}
    assert set(answer["explanations"]["masked"].values()) == {"no similar failure is remembered"}


def test_a_captured_failure_makes_a_hint_possible_and_a_rewrite_not(server: Server) -> None:
    asked = plan("hinted")
    server.post("/v1/capture", {**asked, "error_trace": "Error: exceeded quota", "resolution": FIX}, 201)
    answer = server.post("/v1/decisions", asked)
    assert answer["action"] == "HINT"
    assert answer["abstained"] is False
    assert answer["evidence"] == 1
    assert answer["explanations"]["masked"]["REWRITE"] == "no validated fix is known"
    assert answer["suggested_action"] is None
    assert any("exceeded quota" in hint for hint in answer["hints"])
    assert any("not validated" in hint and FIX in hint for hint in answer["hints"])
    assert answer["reflection"]["root_cause"] == "Error: exceeded quota"
    assert answer["supporting_episodes"][0]["goal"] == asked["goal"]


def test_words_of_plans_that_failed_speak_against_a_plan_like_none_that_is_remembered(
    server: Server, seed: int
) -> None:
    """Each plan is its own; only one word tells which fail."""
    rng = Random(seed)

    def plan_with(word: str) -> dict[str, Any]:
        noise = " ".join("".join(rng.choices(ascii_lowercase, k=12)) for _ in range(9))
        return {"goal": noise[:40], "planned_action": f"{noise} {word}", "namespace": "worded"}

    for number in range(80):
        answer = server.post("/v1/decisions", plan_with("--frozen" if number % 2 else "--latest"))
        assert answer["evidence"] == 0
        report = {"success": number % 2 == 0, "applied_suggestion": False}
        server.post("/v1/feedback", {"trace_id": answer["trace_id"], "outcome": report})
    answer = server.post("/v1/decisions", plan_with("--frozen"))
    assert answer["explanations"]["masked"].keys() == {"REWRITE", "BLOCK"}
    assert (answer["evidence"], answer["abstained"]) == (0, False)
    assert "by its words, of 80 outcomes of other plans" in answer["reason"]
    assert answer["risk"] > 0.5
    why = server.get(f"/v1/decisions/{answer['trace_id']}/why")["sentences"]
    assert "Plans with 'frozen' failed 40 of 40 times here." in why
    fine = server.post("/v1/decisions", plan_with("--latest"))
    assert fine["risk"] < 0.5
    assert (fine["action"], fine["abstained"]) == ("PROCEED", True)


def test_a_failure_that_repeats_under_the_same_conditions_is_blocked(server: Server) -> None:
    asked = plan("blocked", environment={"cluster": "production"})
    for _ in range(3):
        server.post("/v1/capture", {**asked, "error_trace": "Error: forbidden", "resolution": FIX}, 201)
    assert server.post("/v1/decisions", asked)["action"] == "BLOCK"
    elsewhere = server.post("/v1/decisions", {**asked, "environment": {"cluster": "staging"}})
    assert elsewhere["action"] == "HINT", "other conditions, another answer"


def test_a_command_without_an_alternative_is_never_denied(serve: Any) -> None:
    """A build that fails is edited and run again: denied, it could never show that it works by now."""
    server, asked = serve(), plan("edited", task_id="edit-and-run")
    for _ in range(8):
        answer = server.post("/v1/decisions", asked)
        assert answer["action"] in ("PROCEED", "HINT")
        server.feedback(answer["trace_id"], success=False, applied_suggestion=False)
        server.post("/v1/capture", {**asked, "error_trace": "error[E0308]: mismatched types"}, 201)
    assert answer["explanations"]["masked"]["BLOCK"] == "nothing is known to do instead"
    assert answer["evidence"] == 7, "a failure that is reported and captured is one outcome"


def test_a_validated_fix_is_suggested(server: Server) -> None:
    asked = plan("rewritten")
    captured = server.post("/v1/capture", {**asked, "error_trace": "Error: no context", "resolution": FIX}, 201)
    before = server.post("/v1/decisions", asked)
    server.post("/v1/validate_fix", {"episode_id": captured["episode_id"], "outcome": "success"})
    after = server.post("/v1/decisions", asked)
    assert (before["action"], after["action"]) == ("HINT", "REWRITE")
    assert after["suggested_action"] == FIX
    assert after["explanations"]["masked"] == {}
    assert after["supporting_episodes"][0]["validations"] == 1


def test_a_fix_that_failed_is_never_suggested(server: Server) -> None:
    asked = plan("failed-fix")
    captured = server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "delete it all"}, 201)
    server.post("/v1/validate_fix", {"episode_id": captured["episode_id"], "outcome": "failure"})
    answer = server.post("/v1/decisions", asked)
    assert answer["suggested_action"] is None
    assert "REWRITE" in answer["explanations"]["masked"]


def test_a_namespace_knows_nothing_of_another(server: Server) -> None:
    asked = plan("mine")
    server.post("/v1/capture", {**asked, "error_trace": "Error: x"}, 201)
    assert server.post("/v1/decisions", asked)["abstained"] is False
    assert server.post("/v1/decisions", {**asked, "namespace": "yours"})["abstained"] is True


def test_an_action_that_failed_by_itself_is_evidence_too(server: Server) -> None:
    asked = plan("own-case")
    first = server.post("/v1/decisions", asked)
    server.feedback(first["trace_id"], success=False)
    answer = server.post("/v1/decisions", asked)
    assert (answer["evidence"], answer["abstained"]) == (1, False)
    assert answer["explanations"]["masked"]["REWRITE"] == "no validated fix is known"
    assert answer["risk"] > first["risk"]


def test_conditions_that_decide_are_learnt_from_both_outcomes(server: Server) -> None:
    """It fails without an upstream, wherever it runs; on a host that is new the gate knows."""
    asked = plan("conditions")
    for number in range(8):
        upstream = ("", "origin/main")[number % 2]
        environment = {"upstream": upstream, "host": f"host-{'abc'[number % 3]}"}
        decided = server.post("/v1/decisions", {**asked, "environment": environment})
        server.feedback(decided["trace_id"], success=bool(upstream), applied_suggestion=False)
    without, with_it = (
        server.post("/v1/decisions", {**asked, "environment": {"upstream": upstream, "host": "host-new"}})["risk"]
        for upstream in ("", "origin/main")
    )
    assert without > 2 / 3 > 1 / 3 > with_it


def test_fix_that_only_held_elsewhere_is_not_quoted(server: Server) -> None:
    """A plan that nearly always works is not talked out of by a fix that often fails."""
    asked = plan("seldom")
    fix = {"planned_action": "kubectl replace --force -f seldom.yaml"}
    server.post("/v1/capture", {**asked, "error_trace": "Error: conflict", "resolution": fix["planned_action"]}, 201)
    for _ in range(6):
        server.feedback(server.post("/v1/decisions", asked)["trace_id"], success=True, applied_suggestion=False)
        server.feedback(server.post("/v1/decisions", {**asked, **fix})["trace_id"], success=False)
    answer = server.post("/v1/decisions", asked)
    assert answer["risk"] < 0.5
    assert answer["reflection"]["resolution"] is None
    assert not any(fix["planned_action"] in hint for hint in answer["hints"])


def test_an_action_that_always_works_is_let_through_with_low_risk(server: Server) -> None:
    asked = plan("works")
    risks = []
    for _ in range(6):
        answer = server.post("/v1/decisions", asked)
        assert answer["action"] == "PROCEED"
        risks.append(answer["risk"])
        server.feedback(answer["trace_id"], success=True)
    assert risks[-1] < risks[0]
    assert risks[-1] < 0.2


def test_a_decision_can_be_read_back_whole_and_in_sentences(server: Server) -> None:
    asked = plan("whole", environment={"cluster": "production"})
    for _ in range(3):
        server.post("/v1/capture", {**asked, "error_trace": "Error: forbidden", "resolution": FIX}, 201)
    answer = server.post("/v1/decisions", asked)
    whole = server.get(f"/v1/decisions/{answer['trace_id']}")
    assert whole["action"] == answer["action"]
    assert whole["propensity"] == answer["propensity"]
    assert whole["policy_version"] == answer["policy_version"]
    assert whole["request"]["environment"] == {"cluster": "production"}
    verdict = whole["heads"][0]
    assert sum(verdict["probabilities"]) == 1.0
    assert set(verdict["actions"]) | set(verdict["masked"]) == {"PROCEED", "HINT", "REWRITE", "BLOCK"}
    assert whole["feedback"] == []
    assert (whole["reward"], whole["update"]) == (None, None)
    sentences = " ".join(server.get(f"/v1/decisions/{answer['trace_id']}/why")["sentences"])
    for said in (
        "Asked at gate",
        "Took BLOCK",
        "REWRITE: no validated fix is known",
        "An obeyed BLOCK needs no report",
        "The fixed rule agrees",
    ):
        assert said in sentences
