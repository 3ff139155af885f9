"""The point `capture`: which tier reflects on a new failure is decided, journalled with it, done, and learnt."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from controlplane.jobs import Job
from controlplane.refold import refold

from .asked_model import Json, Provider, chosen_for
from .conftest import Running, chosen

LIMIT = {"scope": "tenant", "tenant": "default", "period": "month", "why": "to try"}


@pytest.fixture(scope="module")
def running(process: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tiers")
    with Running(chosen(folder / "data", **chosen_for(process, folder))) as server:
        server.run(let_jobs_wait())
        yield server


async def let_jobs_wait() -> None:
    """Until a test does them."""
    [loop] = [task for task in asyncio.all_tasks() if task.get_name() == "reflections"]
    loop.cancel()


@pytest.fixture
def server(running: Running, provider: Provider) -> Iterator[Running]:
    """One server for the whole file; its tests keep apart by namespace, and leave neither rule nor limit."""
    yield running
    limited(running, None)
    steered(running, guards=None)


def limited(server: Running, usd: float | None) -> None:
    assert server.client.put("/v1/admin/budget", json={**LIMIT, "limit_usd": usd}).status_code == 200


def steered(server: Running, **sets: Any) -> None:
    path = "/v1/points/capture/policy"
    sets |= {"version": server.get(path)["version"], "why": "to try"}
    assert server.client.patch(path, json=sets).status_code == 200


def captured(server: Running, n: str = "one", **fields: Any) -> Json:
    body = {"goal": f"deploy {n}", "planned_action": f"kubectl apply -f {n}.yaml", "error_class": "pull"}
    answer: Json = server.capture(error_trace="Error: ImagePullBackOff", **{**body, **fields})
    return answer


def decision(server: Running, answer: Json) -> Json:
    found: Json = server.get(f"/v1/decisions/{answer['reflection']['trace_id']}")
    return found


def owed(server: Running, answer: Json) -> Job:
    """The job of a capture."""
    about = f"default/{answer['episode_id']}"
    return next(job for job in server.service.outbox.jobs.open.values() if job.about == about)


def made(server: Running, answer: Json) -> Any:
    """Do the job; what came of it."""
    server.run(server.service.reflects(msgspec.structs.replace(owed(server, answer), fence=1)))
    return server.service.memory.episode("default", answer["episode_id"]).reflection


def decisions(server: Running) -> int:
    return int(server.get("/status")["points"]["capture"]["decisions"])


def test_a_capture_is_answered_with_the_tier_and_the_decision_that_chose_it(server: Running) -> None:
    answer = captured(server, namespace="answered")
    told = answer["reflection"]
    assert (told["status"], told["tier"]) == ("pending", "cheap")
    trace = decision(server, answer)
    [head] = trace["heads"]
    assert (trace["point"], head["head"], head["action"]) == ("capture", "tier", "cheap")
    assert head["masked"] == {"cached": "no similar failure of this class has a reflection"}
    assert (trace["rule"], trace["pending"], trace["reflection"]) == ("cheap", "window", None)


def test_the_reflection_joins_the_trace_that_decided_on_it(server: Running) -> None:
    answer = captured(server, namespace="joined")
    reflection = made(server, answer)
    assert reflection.trace_id == answer["reflection"]["trace_id"]
    shown = decision(server, answer)["reflection"]
    assert (shown["reflection_id"], shown["tier"]) == (reflection.reflection_id, "cheap")
    why = server.get(f"/v1/decisions/{reflection.trace_id}/why")["sentences"]
    assert f"Reflection {reflection.reflection_id} is there (cheap)." in why


def test_on_day_one_it_is_the_fixed_rule_that_chooses(server: Running) -> None:
    first = captured(server, namespace="ruled")
    made(server, first)
    again = captured(server, namespace="ruled", environment={"stage": "prod"})
    other = captured(server, namespace="ruled", error_class="quota", resolution="wait")
    severe = captured(server, namespace="ruled", error_class="disk", resolution="df", severity=0.8)
    tiers = [answer["reflection"]["tier"] for answer in (first, again, other, severe)]
    assert tiers == ["cheap", "cached", "cheap", "premium"]


def test_a_repeat_of_a_failure_decides_nothing(server: Running) -> None:
    first = captured(server, namespace="repeated")
    before = decisions(server)
    again = captured(server, namespace="repeated")
    assert again["duplicate_of"] == first["episode_id"]
    assert (again["reflection"]["status"], again["reflection"]["trace_id"]) == ("none", None)
    assert decisions(server) == before


def test_a_capture_that_comes_again_under_its_key_names_the_same_decision(server: Running) -> None:
    body = {"goal": "once", "error_trace": "Error: once", "namespace": "keyed"}
    before = decisions(server)
    sent = [server.client.post("/v1/capture", json=body, headers={"Idempotency-Key": "tier"}) for _ in range(2)]
    assert sent[0].json() == sent[1].json()
    assert sent[0].json()["reflection"]["trace_id"]
    assert decisions(server) == before + 1


def test_where_nothing_can_be_had_nothing_is_decided_or_owed(server: Running, provider: Provider) -> None:
    before, jobs = decisions(server), len(server.service.outbox.jobs.open)
    limited(server, 0.0)
    answer = captured(server, namespace="none")
    assert [answer["reflection"][name] for name in ("status", "tier", "trace_id")] == ["none", None, None]
    assert (decisions(server), len(server.service.outbox.jobs.open)) == (before, jobs)
    assert provider.calls == []


def test_an_operator_may_forbid_a_tier(server: Running) -> None:
    steered(server, guards=[{"name": "thrift", "effect": "forbid", "actions": ["premium"]}])
    answer = captured(server, namespace="forbidden", severity=1.0)
    assert answer["reflection"]["tier"] == "cheap"
    assert decision(server, answer)["heads"][0]["masked"]["premium"] == "the guard rule 'thrift' forbids premium"
    steered(server, guards=[{"name": "nobody", "effect": "forbid", "actions": ["*"]}])
    assert captured(server, "two", namespace="forbidden")["reflection"]["status"] == "none"


def test_a_tier_that_cannot_be_had_any_more_falls_to_the_next_cheaper_one(server: Running) -> None:
    answer = captured(server, namespace="fallen", severity=1.0)
    assert answer["reflection"]["tier"] == "premium"
    spent = server.get("/v1/admin/budget")["spent_usd"]
    limited(server, spent + 0.01)  # a premium reflection may cost more, a cheap one does not
    reflection = made(server, answer)
    assert (reflection.tier, decision(server, answer)["tier"]) == ("cheap", None)
    assert decision(server, answer)["action"] == "premium"


def test_what_was_similar_and_was_evicted_before_it_was_taken_gives_way_to_a_cheap_one(
    server: Running, provider: Provider
) -> None:
    first = made(server, captured(server, namespace="evicted"))
    answer = captured(server, namespace="evicted", environment={"stage": "prod"})
    assert answer["reflection"]["tier"] == "cached"
    assert server.client.delete(f"/v1/reflections/{first.reflection_id}").status_code == 204
    asked = len(provider.calls)
    assert made(server, answer).tier == "cheap"
    assert len(provider.calls) == asked + 1


def test_of_many_alike_that_come_at_once_one_is_asked_about(server: Running, provider: Provider) -> None:
    """None of them could choose a stored one when it came in; one that is there by then is as good as asking."""
    alike = [captured(server, namespace="burst", environment={"n": n}) for n in range(4)]
    assert {answer["reflection"]["tier"] for answer in alike} == {"cheap"}
    assert [made(server, answer).tier for answer in alike] == ["cheap", "cached", "cached", "cached"]
    assert len(provider.calls) == 1


def test_nobody_can_ask_at_capture(server: Running) -> None:
    refused = server.client.post("/v1/decisions", json={"point": "capture", "goal": "x"})
    assert refused.status_code == 422
    assert "there are chat, gate, route" in refused.json()["detail"]


def test_a_gate_decision_that_shows_the_reflection_names_it_and_is_what_it_is_judged_by(server: Running) -> None:
    answer = captured(server, namespace="used")
    reflection = made(server, answer)
    plan = {"goal": "deploy one", "planned_action": "kubectl apply -f one.yaml", "namespace": "used"}
    shown = server.gate(**plan)
    assert shown["reflection"]["id"] == reflection.reflection_id
    trace = server.get(f"/v1/decisions/{shown['trace_id']}")
    assert trace["lesson"] == {"reflection_id": reflection.reflection_id, "nano_usd": reflection.nano_usd}
    server.post("/v1/feedback", {"trace_id": shown["trace_id"], "outcome": {"success": True, "terminal": True}})
    owing = server.service.learner.state.of("default").credit.open[answer["reflection"]["trace_id"]]
    assert owing.uses == (pytest.approx(0.98),)
    assert owing.spent_usd == pytest.approx(reflection.nano_usd / 1e9)


def test_the_journal_folds_to_the_same_bytes_though_reflections_were_erased(server: Running) -> None:
    answer = captured(server, namespace="erased")
    reflection = made(server, answer)
    shown = server.gate(goal="deploy one", planned_action="kubectl apply -f one.yaml", namespace="erased")
    server.post("/v1/feedback", {"trace_id": shown["trace_id"], "outcome": {"success": True, "terminal": True}})
    assert server.client.delete(f"/v1/reflections/{reflection.reflection_id}").status_code == 204

    async def folds_alike() -> bool:
        seq, live = await server.service.learner.dump()
        return (await refold(server.service.journal, seq)).state.dump() == live

    assert server.run(folds_alike())
