"""A challenger's life over HTTP: shadow, canary, promoted once it is proven, rolled back on a breach."""

from pathlib import Path
from typing import Any

import pytest

from controlplane.rebuilding import rebuild

from .conftest import Running, Serve, chosen
from .test_access import Keyed
from .test_policies import ROUTE, put

Json = dict[str, Any]
HERE = "/v1/points/route"
WHY = {"why": "to try"}
PLACES = ("a/1", "b/1", "c/1")
ENOUGH = 1200  # decisions within which a difference this plain is proven


def earn(server: Running, times: int, best: str = "a/1") -> list[Json]:
    """Decisions of tasks of their own; one place is the best."""
    answers = []
    for number in range(times):
        answers.append(server.route(*PLACES, task_id=f"{server.last_seq}-{number}"))
        ms = 20 if answers[-1]["action"] == best else 900
        server.feedback(answers[-1]["trace_id"], latency_ms=ms, cost=0.1)
    return answers


def challenge(server: Running, **body: Any) -> Json:
    """Set a challenger; who stands there then."""
    told = server.post(f"{HERE}/challenger", {**WHY, **body}, 201)
    assert (told["point"], told["change"], told["why"]) == ("route", "challenger_set", "to try")
    return standing(server)


def standing(server: Running) -> Json:
    found: Json = server.get(ROUTE)["challenger"]
    return found


def until(server: Running, *, better: bool) -> None:
    """Earn until the challenger is proven better, or worse."""
    known: Json = {}
    for _ in range(0, ENOUGH, 50):
        earn(server, 50)
        if (found := standing(server)) is None:  # which happens by itself, when it is proven worse
            return
        known = found["comparison"]
        if known["at_least"] > 0.0 if better else known["at_most"] < 0.0:
            return
    raise AssertionError(f"not proven: {known}")


def anything_goes(server: Running, **tuning: float) -> None:
    """A champion that takes anything, at first always."""
    put(server, ROUTE, tuning={"epsilon": 1.0, **tuning})


def test_a_shadow_only_says_what_it_would_do(serve: Serve) -> None:
    server = serve()
    made = challenge(server, tuning={"epsilon": 0.5, "alpha": 0.2})
    assert (made["stage"], made["share"], made["tuning"]) == ("shadow", 0.0, {"alpha": 0.2, "epsilon": 0.5})
    answers = earn(server, 20)
    assert {answer["propensity"] for answer in answers[8:]} == {1.0}, "the champion is greedy in these tests"
    whole = server.get(f"/v1/decisions/{answers[-1]['trace_id']}")
    assert (whole["acted"], whole["beside"]["who"], whole["beside"]["since"]) == (0, "challenger", made["since"])
    assert sum(whole["beside"]["probabilities"]) == pytest.approx(1.0)
    known = standing(server)
    assert known["updates"] == 20
    assert known["comparison"]["unsupported"] > 0, "a greedy champion supports nothing but what it does"
    assert known["comparison"]["at_least"] <= 0.0


def test_a_canary_acts_on_its_share_of_the_tasks_and_always_on_the_same_ones(serve: Serve) -> None:
    server = serve()
    anything_goes(server)
    since = challenge(server, share=0.5, tuning={"epsilon": 0.0})["since"]
    acted: dict[str, set[int]] = {}
    for task in [f"task-{n}" for n in range(30)] * 2:
        trace_id = server.route(*PLACES, task_id=task)["trace_id"]
        acted.setdefault(task, set()).add(server.get(f"/v1/decisions/{trace_id}")["acted"])
    assert {len(by) for by in acted.values()} == {1}
    assert {who for by in acted.values() for who in by} == {0, since}
    [one] = [task for task, by in acted.items() if by == {since}][:1]
    trace_id = server.route(*PLACES, task_id=one)["trace_id"]
    assert f"The challenger of event {since} acted." in server.get(f"/v1/decisions/{trace_id}/why")["sentences"]


def test_a_challenger_that_is_not_proven_better_is_not_promoted_and_told_why(serve: Serve) -> None:
    server = serve()
    assert server.post(f"{HERE}/promote", WHY, 409)["code"] == "conflict"
    server.post(f"{HERE}/challenger", WHY, 201)
    refused = server.post(f"{HERE}/promote", WHY, 409)
    assert refused["code"] == "not_proven"
    assert "by 0 of them" in refused["detail"]
    assert server.post(f"{HERE}/rollback", WHY, 409)["code"] == "conflict"
    assert standing(server)["stage"] == "shadow"


async def test_a_better_challenger_is_promoted_and_an_operator_can_go_back(tmp_path: Path) -> None:
    settings = chosen(tmp_path / "data")
    with Running(settings) as server:
        anything_goes(server)
        server.post(f"{HERE}/challenger", {**WHY, "share": 0.1, "tuning": {"epsilon": 0.0}}, 201)
        until(server, better=True)
        assert server.post(f"{HERE}/promote", {"why": "it earns more"})["change"] == "promoted"
        after = server.get(ROUTE)
        assert (after["rules"]["policy"]["epsilon"]["start"], after["set"]["tuning"]) == (0.0, {"epsilon": 0.0})
        assert (after["challenger"]["stage"], after["set_why"]) == ("former", "it earns more")
        assert after["challenger"]["tuning"] == {"epsilon": 1.0}
        assert {answer["action"] for answer in earn(server, 10)} == {"a/1"}
        assert server.post(f"{HERE}/promote", WHY, 409)["code"] == "conflict"
    with Running(settings) as server:
        assert standing(server)["stage"] == "former"
        assert server.post(f"{HERE}/rollback", {"why": "we liked it"})["change"] == "rolled_back"
        back = server.get(ROUTE)
        assert (back["set"]["tuning"], back["challenger"]) == ({"epsilon": 1.0}, None)
        assert {answer["action"] for answer in earn(server, 30)} == set(PLACES)
        acts = [act["act"] for act in server.get("/v1/admin/audit") if act["about"] == "route"]
        assert acts == ["rolled_back", "promoted", "challenger_set", "policy_set"]
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []


async def test_a_canary_that_is_proven_worse_is_taken_away_by_itself(tmp_path: Path) -> None:
    settings = chosen(tmp_path / "data", epsilon=0.3)
    with Running(settings) as server:
        earn(server, 60)
        server.post(f"{HERE}/challenger", {**WHY, "share": 0.3, "tuning": {"epsilon": 1.0}}, 201)
        until(server, better=False)
        server.until(lambda: standing(server) is None)
        [act, *_] = server.get("/v1/admin/audit")
        assert (act["act"], act["by"], act["details"]) == ("challenger_ended", "", {"outcome": "rolled_back"})
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []


def test_a_champion_that_the_former_one_is_proven_better_than_is_rolled_back_by_itself(serve: Serve) -> None:
    """What was good when it was promoted is not any more: the former one, which tries everything, notices."""
    server = serve(estimates="table")  # linear weights would follow whatever alpha is
    anything_goes(server, alpha=0.2)
    server.post(f"{HERE}/challenger", {**WHY, "share": 0.1, "tuning": {"epsilon": 0.0, "alpha": 0.01}}, 201)
    until(server, better=True)
    server.post(f"{HERE}/promote", WHY)
    put(server, ROUTE, tuning={"epsilon": 0.4, "alpha": 0.0001})
    for _ in range(0, ENOUGH, 50):
        earn(server, 50, best="b/1")
        if standing(server) is None:
            break
    assert standing(server) is None
    policy = server.get(ROUTE)
    assert policy["set_why"].startswith("the former champion is better: ")
    assert (policy["set_by"], policy["set"]["tuning"]) == ("", {"alpha": 0.2, "epsilon": 1.0})


def test_a_challenger_may_begin_with_a_checkpoint(serve: Serve) -> None:
    server = serve()
    earn(server, 30)
    kept = server.post("/v1/checkpoints", {"name": "good"}, 201)["checkpoint_id"]
    made = challenge(server, checkpoint_id=kept)
    assert (made["checkpoint_id"], made["updates"]) == (kept, 30)
    assert server.client.delete(f"{HERE}/challenger?why=enough").status_code == 204
    assert standing(server) is None
    assert server.client.delete(f"{HERE}/challenger").status_code == 409
    assert server.post(f"{HERE}/challenger", {**WHY, "checkpoint_id": "cp_0"}, 404)["code"] == "unknown_checkpoint"


def test_a_challenger_has_cases_of_its_own_in_its_own_measure(serve: Serve) -> None:
    """Ten decisions before it stood there, and ten after; only its weights count success."""
    server = serve()
    for number in range(20):
        if number == 10:
            challenge(server, weights={"success": 1.0, "latency": 0.0})
        made = server.route("a/1", "b/2", goal="draw a map")
        server.feedback(made["trace_id"], success=True, latency_ms=20.0)
    fold = server.service.learner.state.of("default")
    ours, theirs = fold.policies["route"].action_values.neighbours, fold.rivals["route"].policy.action_values.neighbours
    assert (len(ours), len(theirs)) == (20, 10)
    told = [{round(target, 9) for of in values.cases.values() for target in of.targets} for values in (ours, theirs)]
    assert told == [{0.36}, {1.0}]  # 0.4 of (200 - 20) / 200


def test_a_challenger_is_not_replaced_by_another_one_unseen(serve: Serve) -> None:
    server = serve()
    first = challenge(server, tuning={"gamma": 0.5})
    refused = server.post(f"{HERE}/challenger", {**WHY, "tuning": {"gamma": 0.6}}, 409)
    assert "a shadow stands at route that is not this one" in refused["detail"]
    canary = challenge(server, tuning={"gamma": 0.5}, share=0.2)
    assert (canary["since"], canary["stage"]) == (first["since"], "canary")


@pytest.mark.parametrize("body", [{**WHY, "weights": {"nothing": 1}}, {**WHY, "weights": {"outcome": 1}}])
def test_weights_that_are_no_terms_of_the_point_are_refused(serve: Serve, body: Json) -> None:
    assert serve().post(f"{HERE}/challenger", body, 422)["code"] == "unprocessable"


def test_an_agents_key_sets_no_challenger_and_no_tenant_sees_anothers(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        keyed = Keyed(running)
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme", "tier": "pro"})
        agent = keyed.issue(tenant="acme", scopes=["decide", "feedback", "capture", "read"])["key"]
        operator, other = keyed.issue(tenant="acme")["key"], keyed.issue(tenant="default")["key"]
        for path in ("challenger", "promote", "rollback"):
            assert keyed.with_key(agent, "POST", f"{HERE}/{path}", WHY).status_code == 403
        assert keyed.with_key(operator, "POST", f"{HERE}/challenger", WHY).status_code == 201
        assert keyed.with_key(agent, "GET", ROUTE).json()["challenger"]["stage"] == "shadow"
        assert keyed.with_key(other, "GET", ROUTE).json()["challenger"] is None
