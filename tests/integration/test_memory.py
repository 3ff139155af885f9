"""Episodes and skills over HTTP: captured, found, validated, retired, purged."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from auditor.events import Validated
from auditor.wording import words_of_plan

from .conftest import Serve
from .test_rebuild import verify

Server = Any
CANARY = "canary-5d1e77"


def captured(server: Server, namespace: str, name: str, **fields: Any) -> int:
    """Capture a failure of its own text; its id."""
    body = {"goal": f"build {name}", "planned_action": f"make {name}", "namespace": namespace, **fields}
    episode_id: int = server.post("/v1/capture", body, 201)["episode_id"]
    return episode_id


def found(server: Server, namespace: str, goal: str, **fields: Any) -> list[int]:
    """Episodes that a search finds, best first."""
    body = {"goal": goal, "namespace": namespace, "min_similarity": 0.0, **fields}
    return [result["episode_id"] for result in server.post("/v1/search", body)["results"]]


def validate(server: Server, episode_id: int, outcome: str = "success", **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = server.post("/v1/validate_fix", {"episode_id": episode_id, "outcome": outcome, **fields})
    return answer


def test_an_episode_reads_back_as_it_was_captured(server: Server) -> None:
    given = {
        "episode_type": "failure",
        "goal": "déployer",
        "planned_action": "kubectl apply",
        "namespace": "reads",
        "task_id": "t",
        "error_trace": "line\nError: exceeded quota",
        "error_class": "resource_error",
        "tool_chain": ["kubectl", "apply"],
        "environment": {"cluster": "p", "n": 3},
        "preconditions": {"deep": [{"a": None}]},
        "resolution": "raise it",
        "severity": 0.9,
        "license": "MIT",
        "origin": "ci",
        "tags": ["x"],
        "custom": {"k": 1},
    }
    answer = server.post("/v1/capture", given, 201)
    read = server.get(f"/v1/episodes/{answer['episode_id']}")
    assert {name: read["episode"][name] for name in given} == given
    assert read["episode"]["root_cause"] == "Error: exceeded quota"
    assert (read["repeats"], read["validations"], read["skill_id"]) == (0, 0, None)
    assert "vector" not in read["episode"]


def test_a_capture_is_stored_without_secrets_and_people(server: Server) -> None:
    """Under another secret its command is found as the same plan."""
    command = "curl -H 'Authorization: Bearer {}abc' example.org"
    told = {
        "goal": "ask\u202e for ann@acme.org",
        "error_trace": "\x1b[31mpassword=hunter2 is wrong: +1 415 555 2671",
    }
    one = server.capture(**told, namespace="people", planned_action=command.format("hunter"))["episode_id"]
    episode = server.get(f"/v1/episodes/{one}")["episode"]
    assert (episode["goal"], episode["error_trace"]) == ("ask for [mail]", "password=*** is wrong: [phone]")
    assert episode["planned_action"] == "curl -H 'Authorization: *** ***' example.org"
    asked = {"goal": "ask for bob@acme.org", "planned_action": command.format("other"), "namespace": "people"}
    [same] = server.post("/v1/search", {**asked, "min_similarity": 0.999})["results"]
    assert same["episode_id"] == one


def test_the_error_class_is_found_when_it_is_not_given(server: Server) -> None:
    trace = "Traceback ...\nModuleNotFoundError: No module named 'yaml'"
    answer = server.capture(goal="classify", namespace="class", error_trace=trace)
    assert answer["reflection"]["error_class"] == "missing_module"
    assert answer["reflection"]["root_cause"] == "ModuleNotFoundError: No module named 'yaml'"


def test_an_exact_repeat_is_counted_and_not_stored_twice(server: Server) -> None:
    first = server.capture(goal="again", namespace="again", environment={"a": 1, "b": 2})
    repeats = [server.capture(goal="again", namespace="again", environment={"b": 2, "a": 1}) for _ in range(3)]
    assert first["duplicate_of"] is None
    assert {r["episode_id"] for r in repeats} == {r["duplicate_of"] for r in repeats} == {first["episode_id"]}
    assert server.get(f"/v1/episodes/{first['episode_id']}")["repeats"] == 3
    assert found(server, "again", "again", k=50) == [first["episode_id"]]
    other = server.capture(goal="again", namespace="again", environment={"a": 1})
    assert other["duplicate_of"] is None, "other circumstances are another episode"


def test_a_failure_that_notes_no_fix_is_no_skill_however_often_it_is_validated(serve: Serve) -> None:
    """Nor is one that became a skill before that was looked at: its validations are events of back then."""
    server = serve()
    blank, fixless = captured(server, "", "blank", resolution=" \n"), captured(server, "", "none")
    told = [validate(server, blank) for _ in range(3)]
    assert [(answer["validations"], answer["promoted_to_skill"]) for answer in told][-1] == (3, False)
    assert server.get(f"/v1/episodes/{blank}")["episode"]["resolution"] == ""
    said = {"tenant": "default", "at": 0.0, "trace_id": None, "success": True, "applied_suggestion": True}
    journal, learner = server.service.journal, server.service.learner
    first = server.run(journal.append(*[Validated(**said, episode_id=fixless) for _ in range(3)]))
    server.run(learner.reached(first + 2))
    assert learner.state.of("default").skills.by_episode.keys() == {fixless}
    assert server.get("/v1/skills") == []
    answer = server.gate(goal="build none", planned_action="make none")
    assert answer["supporting_episodes"][0]["episode_id"] == fixless
    assert answer["skills"] == []


def test_no_field_of_a_capture_keeps_a_secret(serve: Serve, tmp_path: Path) -> None:
    server, secret = serve(), "hunter2-4711"
    said = f"password={secret}"
    texts = ("goal", "planned_action", "error_trace", "error_class", "resolution", "license")
    fields: dict[str, Any] = {
        **dict.fromkeys(texts, said),
        **{key: {"api_key": secret, "deep": [{"line": said}]} for key in ("environment", "preconditions", "custom")},
        **{key: [said] for key in ("tool_chain", "tags")},
    }
    server.capture(**fields)
    server.gate(planned_action=said)
    assert secret.encode() not in on_disk(tmp_path, "capture", "signature")
    assert on_disk(tmp_path, "capture").count(b"***") >= len(fields)


def on_disk(folder: Path, *kinds: str) -> bytes:
    """The payloads of the journal, or those of some kinds of events."""
    with sqlite3.connect(folder / "data" / "journal.db") as database:
        rows = database.execute("SELECT kind, payload FROM events").fetchall()
    return b"".join(payload for kind, payload in rows if not kinds or kind in kinds)


NEARLY: dict[str, Any] = {
    "goal": "deploy the web shop to production",
    "planned_action": "kubectl apply -f shop.yaml",
    "error_trace": "Error: exceeded quota: pods=12",
    "environment": {"cluster": "prod"},
}


def test_what_is_nearly_the_same_is_counted_and_not_stored_twice(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    first = server.capture(**NEARLY)
    again = {**NEARLY, "goal": "Deploy the web shop to production!", "error_trace": "Error: exceeded quota: pods=13"}
    assert server.capture(**again)["duplicate_of"] == first["episode_id"]
    assert server.capture(**{**again, "custom": {"n": 1}})["duplicate_of"] == first["episode_id"]
    read = server.get(f"/v1/episodes/{first['episode_id']}")
    assert (read["repeats"], read["episode"]["goal"]) == (2, NEARLY["goal"])
    assert server.get("/status")["memory"]["episodes"] == 1
    server.stop()
    server = serve()
    assert server.get(f"/v1/episodes/{first['episode_id']}")["repeats"] == 2
    server.client.delete(f"/v1/episodes/{first['episode_id']}").raise_for_status()
    assert b"web shop" not in on_disk(tmp_path), "a purge takes near-duplicates along"


@pytest.mark.parametrize(
    "other",
    [
        {"resolution": "raise the quota"},
        {"environment": {"cluster": "dev"}},
        {"planned_action": "kubectl delete -f shop.yaml"},
        {"error_class": "timeout"},
        {"error_trace": "Error: the registry does not know the image"},
        {"namespace": "elsewhere"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_could_teach_something_else_is_stored(serve: Serve, other: dict[str, Any]) -> None:
    server = serve()
    server.capture(**NEARLY)
    assert server.capture(**{**NEARLY, "goal": f"{NEARLY['goal']}!", **other})["duplicate_of"] is None


def test_a_failure_without_a_fix_is_counted_with_one_that_has_it_and_no_other_fix_is(serve: Serve) -> None:
    server = serve()
    fixed = server.capture(**NEARLY, resolution="raise the quota")
    without = server.capture(**{**NEARLY, "goal": f"{NEARLY['goal']}!"})
    assert without["duplicate_of"] == fixed["episode_id"], "the one that is kept has the fix"
    other = server.capture(**{**NEARLY, "goal": f"{NEARLY['goal']}?"}, resolution="ask for another cluster")
    assert other["duplicate_of"] is None


def test_another_keys_failure_is_never_a_near_duplicate(serve: Serve) -> None:
    """Counted as one of those that captured it, a key would be told the other one's words as its own."""
    server = serve(insecure_local=False)
    first = server.service.first_keys
    assert first is not None
    made = server.client.post(
        "/v1/admin/keys", json={"name": "other", "tenant": "default"}, headers={"X-Admin-API-Key": first.admin}
    ).json()["key"]
    goals = [NEARLY["goal"], f"{NEARLY['goal']}!", f"{NEARLY['goal'].title()}!"]
    answers = [
        server.client.post("/v1/capture", json={**NEARLY, "goal": goal}, headers={"X-API-Key": key}).json()
        for key, goal in zip((first.tenant, made, made), goals, strict=True)
    ]
    assert [a["duplicate_of"] for a in answers] == [None, None, answers[1]["episode_id"]]


def test_what_a_trace_is_certain_about_stands_for_conditions_that_nobody_gave(server: Server) -> None:
    trace = "Python 3.11.4\nbash: line 1: kubectl: command not found"
    given = {"goal": "observe", "namespace": "observed", "planned_action": "kubectl get", "error_trace": trace}
    answers = [server.capture(**given), server.capture(**given, environment={"stage": "ci"})]
    read = [server.get(f"/v1/episodes/{a['episode_id']}")["episode"] for a in answers]
    assert [e["preconditions"] for e in read] == [{"python": "3.11.4", "kubectl": "missing"}, {}]
    assert read[0]["tool_family"] == "cluster"


def test_a_search_gives_the_most_alike_first_and_at_most_k(server: Server) -> None:
    ids = {name: captured(server, "alike", name) for name in ("alpha beta", "alpha gamma", "delta epsilon")}
    assert found(server, "alike", "build alpha beta\nmake alpha beta")[0] == ids["alpha beta"]
    assert len(found(server, "alike", "build alpha", k=2)) == 2
    assert found(server, "nobody", "build alpha") == []


def test_a_search_says_what_it_filtered_and_why(server: Server) -> None:
    mit = captured(server, "filter", "one", license="MIT", tags=["fast"])
    gpl = captured(server, "filter", "two", license="GPL", tags=["fast", "slow"])
    none = captured(server, "filter", "three")
    body = {"goal": "build one", "namespace": "filter", "min_similarity": 0.0}
    answer = server.post("/v1/search", {**body, "filters": {"license": "MIT"}})
    assert [r["episode_id"] for r in answer["results"]] == [mit]
    assert answer["filtered"] == {"license": 2}
    assert set(found(server, "filter", "build", filters={"license": ["MIT", "GPL"]})) == {mit, gpl}
    assert found(server, "filter", "build", filters={"tags": "slow"}) == [gpl]
    assert found(server, "filter", "build", filters={"license": None}) == [none]
    strict = server.post("/v1/search", {**body, "min_similarity": 0.999})
    assert strict["results"] == []
    assert strict["filtered"] == {"min_similarity": 3}


def test_a_search_explains_its_scores(server: Server) -> None:
    captured(server, "scores", "one", environment={"cluster": "prod"})
    for state, fit in (({"cluster": "prod"}, 1.0), ({"cluster": "dev"}, 0.0), ({}, 0.5)):
        [result] = server.post(
            "/v1/search",
            {"goal": "build one", "planned_action": "make one", "namespace": "scores", "current_state": state},
        )["results"]
        assert result["scores"]["precondition"] == fit
        assert result["scores"]["similarity"] == pytest.approx(1.0, abs=1e-3)
        assert 0.0 <= result["score"] <= 1.0


def test_three_validations_promote_a_fix_to_a_skill(server: Server) -> None:
    episode_id = captured(server, "promote", "one", resolution="do it right")
    answers = [validate(server, episode_id) for _ in range(3)]
    assert [a["validations"] for a in answers] == [1, 2, 3]
    assert [a["promoted_to_skill"] for a in answers] == [False, False, True]
    assert [a["skill_id"] is None for a in answers] == [True, True, False]
    skill_id = answers[-1]["skill_id"]
    skill = server.get(f"/v1/skills/{skill_id}")
    assert (skill["episode_id"], skill["status"], skill["resolution"]) == (episode_id, "trial", "do it right")
    assert skill in server.get("/v1/skills")
    assert server.get(f"/v1/episodes/{episode_id}")["skill_id"] == skill_id


def test_a_skill_that_stops_holding_is_retired_and_returns_when_it_holds_again(server: Server) -> None:
    episode_id = captured(server, "demote", "one", resolution="maybe")
    skill_id = [validate(server, episode_id) for _ in range(3)][-1]["skill_id"]
    failed = validate(server, episode_id, "failure")
    assert (failed["promoted_to_skill"], failed["success_rate"]) == (False, 0.75)
    assert server.get(f"/v1/skills/{skill_id}")["status"] == "retired"
    for _ in range(6):
        again = validate(server, episode_id)
    assert (again["success_rate"], again["promoted_to_skill"], again["skill_id"]) == (0.9, True, skill_id)


def test_a_skill_an_operator_retired_stays_retired(server: Server) -> None:
    episode_id = captured(server, "retire", "one", resolution="no longer")
    skill_id = [validate(server, episode_id) for _ in range(3)][-1]["skill_id"]
    assert server.post(f"/v1/skills/{skill_id}/retire", {"reason": "superseded"})["status"] == "retired"
    assert validate(server, episode_id)["promoted_to_skill"] is False
    assert server.get(f"/v1/skills/{skill_id}")["status"] == "retired"
    assert server.post(f"/v1/skills/{skill_id}/retire")["status"] == "retired", "no body is no reason"


def test_a_validation_joins_the_newest_open_decision_that_cited_the_episode(server: Server) -> None:
    asked = {"goal": "join", "planned_action": "make join", "namespace": "join"}
    episode_id = server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "y"}, 201)["episode_id"]
    older, newer = (server.post("/v1/decisions", asked)["trace_id"] for _ in range(2))
    answer = validate(server, episode_id)
    assert (answer["updated"], answer["trace_id"]) == (True, newer)
    assert answer["reward"] == pytest.approx(0.98)
    assert server.get(f"/v1/decisions/{older}")["pending"] == "window"


def test_a_validation_that_names_its_decision_counts_once(server: Server) -> None:
    asked = {"goal": "once", "planned_action": "make once", "namespace": "once"}
    episode_id = server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "y"}, 201)["episode_id"]
    trace_id = server.post("/v1/decisions", asked)["trace_id"]
    first, again = (validate(server, episode_id, trace_id=trace_id) for _ in range(2))
    assert (first["updated"], first["validations"]) == (True, 1)
    assert (again["updated"], again["validations"]) == (False, 1)
    assert "counted before" in again["reason"]


def test_a_validation_without_an_open_decision_counts_for_the_episode(server: Server) -> None:
    answer = validate(server, captured(server, "no-decision", "one"))
    assert (answer["updated"], answer["validations"], answer["trace_id"]) == (False, 1, None)
    assert "counts for the episode" in answer["reason"]


def test_a_deleted_episode_is_gone_from_every_answer_and_from_the_database(server: Server) -> None:
    fields = {"error_trace": f"Error: {CANARY}", "resolution": f"remove {CANARY}", "tags": [CANARY]}
    episode_id = captured(server, "purge", CANARY, **fields)
    for _ in range(2):
        captured(server, "purge", CANARY, **fields)  # repeats hold the same text
    for _ in range(3):
        validate(server, episode_id)
    kept = captured(server, "purge", "something else")
    assert CANARY.encode() in _database(server)

    response = server.client.delete(f"/v1/episodes/{episode_id}")
    assert (response.status_code, response.content) == (204, b"")

    assert server.get(f"/v1/episodes/{episode_id}", 404)["code"] == "unknown_episode"
    assert found(server, "purge", f"build {CANARY}", k=50) == [kept]
    assert (
        server.post("/v1/decisions", {"goal": f"build {CANARY}", "planned_action": "x", "namespace": "purge"})[
            "supporting_episodes"
        ]
        == []
    )
    assert all(skill["episode_id"] != episode_id for skill in server.get("/v1/skills"))
    assert server.post("/v1/validate_fix", {"episode_id": episode_id, "outcome": "success"}, 404)["code"]
    assert server.client.delete(f"/v1/episodes/{episode_id}").status_code == 404


def test_deleting_leaves_no_byte_of_the_episode_on_disk_and_every_number_in_place(server: Server) -> None:
    secret = "canary-0b7f42"
    episode_id = captured(server, "bytes", "quiet", error_trace=f"Error: {secret}\n" * 500, resolution=secret)
    assert secret.encode() in _database(server)
    before = server.last_seq
    assert server.client.delete(f"/v1/episodes/{episode_id}").status_code == 204
    assert secret.encode() not in _database(server)
    assert server.last_seq == before + 1
    with sqlite3.connect(f"file:{_folder(server) / 'journal.db'}?mode=ro", uri=True) as database:
        seqs = [seq for (seq,) in database.execute("SELECT seq FROM events ORDER BY seq")]
        kind = database.execute("SELECT kind FROM events WHERE seq = ?", (episode_id,)).fetchone()
    database.close()
    assert seqs == list(range(1, before + 2))
    assert kind == ("purged",)


def test_the_error_a_task_saw_last_is_known_until_something_succeeds_or_it_is_purged(serve: Serve) -> None:
    """What teaches stands in the trace, so a journal that lost the capture folds to the same bytes."""
    server = serve()

    def told(success: bool | None) -> tuple[int, ...]:
        """The words of the last error that the task's next decision goes by; then how that ended."""
        trace_id = server.gate(planned_action="make one", task_id="errs")["trace_id"]
        server.feedback(trace_id, success=success, terminal=False)
        return tuple(server.service.learner.state.of("default").credit.open[trace_id].plan.error)

    assert told(False) == ()
    first = captured(server, "", "one", task_id="errs", error_trace="Error: quota exceeded")
    assert told(False) == words_of_plan("Error: quota exceeded")
    assert told(True) == words_of_plan("Error: quota exceeded")
    assert told(False) == (), "something succeeded"
    second = captured(server, "", "two", task_id="errs", error_trace="Error: no route to host")
    assert told(False) == words_of_plan("Error: no route to host")
    for episode_id in (first, second):
        assert server.client.delete(f"/v1/episodes/{episode_id}").status_code == 204
    assert told(False) == ()
    server.stop()
    assert verify(server.settings).differences == []


def test_what_was_deleted_can_be_captured_anew(server: Server) -> None:
    first = captured(server, "anew", "one")
    assert server.client.delete(f"/v1/episodes/{first}").status_code == 204
    again = server.post("/v1/capture", {"goal": "build one", "planned_action": "make one", "namespace": "anew"}, 201)
    assert again["duplicate_of"] is None
    assert again["episode_id"] != first
    assert found(server, "anew", "build one") == [again["episode_id"]]


def test_a_capture_may_name_the_decision_it_came_from_and_no_other(server: Server) -> None:
    trace_id = server.gate(namespace="named")["trace_id"]
    captured = server.capture(namespace="named", trace_id=trace_id)
    assert server.get(f"/v1/episodes/{captured['episode_id']}")["episode"]["trace_id"] == trace_id
    body = {"goal": "x", "trace_id": "tr_unknown"}
    assert server.post("/v1/capture", body, 404)["code"] == "unknown_trace"


def _folder(server: Server) -> Path:
    return Path(server.settings.data_dir)


def _database(server: Server) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(_folder(server).glob("journal.db*")))


def test_a_search_finds_by_words_what_it_does_not_find_by_meaning(server: Server) -> None:
    """Of many plans that mean the same, the one whose error names what is asked for."""
    ids = [captured(server, "words", f"report {i}", error_trace=f"Error: no such table: ledger_{i}") for i in range(40)]
    asked = {"goal": "totals", "planned_action": "sum ledger_7", "namespace": "words", "min_similarity": -1.0}
    best, *_ = server.post("/v1/search", asked)["results"]
    assert best["episode_id"] == ids[7]
    assert best["scores"]["lexical"] > 0.5
    assert set(best["scores"]) == {"similarity", "lexical", "precondition", "recency", "worth", "origin"}
    assert all(0.0 <= value <= 1.0 for value in (best["score"], *best["scores"].values()))
    server.client.delete(f"/v1/episodes/{ids[7]}").raise_for_status()
    assert ids[7] not in [r["episode_id"] for r in server.post("/v1/search", {**asked, "k": 100})["results"]]


def test_conditions_may_be_listed(server: Server) -> None:
    listed = ["cluster=prod", "OS: Linux", "python3 installed"]
    one = captured(server, "listed", "one", environment=listed, preconditions=["quota raised"])
    read = server.get(f"/v1/episodes/{one}")["episode"]
    assert read["environment"] == {"cluster": "prod", "OS": "Linux", "python3 installed": True}
    assert read["preconditions"] == {"quota raised": True}
    asked = {"goal": "build one", "namespace": "listed", "min_similarity": 0.0}
    for state, fit in ((listed, 3.5 / 4), ({"cluster": "PROD", "os": "linux"}, 3.0 / 4), (["cluster=dev"], 1.5 / 4)):
        [result] = server.post("/v1/search", {**asked, "current_state": state})["results"]
        assert result["scores"]["precondition"] == fit
    decided = server.post("/v1/decisions", {"goal": "x", "planned_action": "make x", "environment": listed})
    assert decided["action"] == "PROCEED"


def test_a_search_is_narrowed_by_what_an_episode_was_captured_with(server: Server) -> None:
    cluster = captured(server, "narrow", "one", planned_action="kubectl get pods", custom={"team": "a"}, task_id="t-1")
    other = captured(server, "narrow", "two", planned_action="git push", custom={"team": "b", "tries": 2})
    named = captured(server, "named", "three", planned_action="git push", tool_chain=["psql"])
    [by_name] = found(server, "named", "build", filters={"tool_family": "database"})
    assert (by_name, server.get(f"/v1/episodes/{named}")["episode"]["tool_family"]) == (named, "database")
    for filters, wanted in (
        ({"tool_family": "cluster"}, {cluster}),
        ({"tool_family": ["cluster", "version control"]}, {cluster, other}),
        ({"task_id": "t-1"}, {cluster}),
        ({"custom.team": "b"}, {other}),
        ({"custom.tries": [1, 2]}, {other}),
        ({"custom.absent": None}, {cluster, other}),
        ({"since": 0}, {cluster, other}),
        ({"since": "2020-01-01T00:00:00Z", "until": "2999-01-01"}, {cluster, other}),
        ({"until": 1.5}, set()),
    ):
        assert set(found(server, "narrow", "build", filters=filters)) == wanted, filters
    body = {"goal": "build", "namespace": "narrow", "min_similarity": 0.0, "filters": {"custom.team": "a", "until": 1}}
    assert server.post("/v1/search", body)["filtered"] == {"until": 1, "custom.team": 1}


def test_filters_are_met_however_many_nearer_ones_do_not(server: Server) -> None:
    rare = captured(server, "rare", "other", planned_action="something else", license="MIT")
    for number in range(60):
        captured(server, "rare", f"near {number}")
    assert found(server, "rare", "build near 1", planned_action="make near 1", k=1, filters={"license": "MIT"}) == [
        rare
    ]


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"colour": "red"}, "filters has colour; it takes error_class, license"),
        ({"custom.": 1}, "filters has custom.; it takes"),
        ({"license": {"is": "MIT"}}, "filters.license takes a value, or a list of values"),
        ({"since": "yesterday"}, "filters.since takes seconds since 1970, or a time such as"),
    ],
)
def test_a_filter_that_cannot_be_says_what_it_takes(server: Server, filters: dict[str, Any], said: str) -> None:
    refused = server.client.post("/v1/search", json={"goal": "x", "filters": filters})
    assert refused.status_code == 422
    assert said in refused.json()["detail"]
