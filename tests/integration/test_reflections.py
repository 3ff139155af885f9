"""Reflections: a server asks a fake provider over a real socket; what comes of it is kept, shown, and evicted."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.packing import encode
from controlplane.jobs import Job
from controlplane.refold import refold

from .asked_model import INSIGHT, Json, Provider, chosen_for, said, texts_of
from .conftest import Running, Serve, chosen


@pytest.fixture
def reflecting(serve: Serve, provider: Provider, tmp_path: Path) -> Callable[[], Running]:
    """Starts servers that ask the provider, on this test's data folder."""
    return lambda: serve(**chosen_for(provider.url, tmp_path))


@pytest.fixture(scope="module")
def running(process: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("shared")
    with Running(chosen(folder / "data", **chosen_for(process, folder))) as server:
        yield server


@pytest.fixture
def server(running: Running, provider: Provider) -> Running:
    """One server for the whole file; its tests keep apart by namespace. The provider begins anew."""
    return running


OTHERWISE = {"root_cause": "The disk of the node is full.", "resolution_strategy": "Prune old volumes."}


def failed(n: str = "one", **fields: Any) -> Json:
    """A failure, and the same plan again."""
    return {"goal": f"deploy {n}", "planned_action": f"kubectl apply -f {n}.yaml", **fields}


def owed(server: Running, **fields: Any) -> int:
    """Capture a failure, and have its job tried; the episode."""
    episode_id: int = server.capture(error_trace="Error: ImagePullBackOff", **fields)["episode_id"]
    server.run(server.service.outbox.tick("reflection"))
    return episode_id


def record(server: Running, episode_id: int) -> Any:
    return server.service.memory.episode("default", episode_id)


def reflected(server: Running, **fields: Any) -> Any:
    """What was made of a new failure."""
    episode_id = owed(server, **fields)
    return server.until(lambda: record(server, episode_id).reflection)


def refused(server: Running, **fields: Any) -> str:
    """Why nothing was made of a new failure."""
    about = f"default/{owed(server, **fields)}"
    return str(server.until(lambda: next(j.why for j in server.service.outbox.jobs.open.values() if j.about == about)))


def asked(server: Running, **fields: Any) -> Json:
    """A decision about a plan that failed before, which is not let through."""
    answer = server.gate(**fields)
    assert answer["action"] != "PROCEED"
    return answer


def nobody_reflects(captured: Json) -> bool:
    told = captured["reflection"]
    return (told["status"], told["tier"], told["trace_id"]) == ("none", None, None)


def spent_usd(server: Running) -> float:
    return float(server.get("/v1/admin/budget")["spent_usd"])


def test_a_capture_is_reflected_on_in_the_background_and_the_gate_shows_it(server: Running, provider: Provider) -> None:
    captured = server.capture(**failed(), namespace="shown", error_trace="Error: ImagePullBackOff")
    assert captured["reflection"]["status"] == "pending"
    server.until(lambda: record(server, captured["episode_id"]).reflection)
    answer = asked(server, **failed(), namespace="shown")
    shown = answer["reflection"]
    assert (shown["status"], shown["tier"], shown["root_cause"]) == ("ready", "cheap", INSIGHT["root_cause"])
    assert (shown["resolution"], answer["suggested_action"]) == (None, None)
    assert f'What a language model would do (not validated): "{INSIGHT["resolution_strategy"]}"' in answer["hints"]
    assert shown["cost_usd"] == pytest.approx(provider.billed_usd)
    [call] = provider.calls
    assert "tools" not in call["body"]
    system, user = (message["content"] for message in call["body"]["messages"])
    assert "ImagePullBackOff" not in system
    assert re.fullmatch(r"<record>\n[^<>]*ImagePullBackOff[^<>]*\n</record>", user)


def test_a_reflection_says_where_it_is_from(server: Running) -> None:
    made = reflected(server, **failed(), namespace="from")
    assert (made.tier, made.models, made.prompts, made.by) == ("cheap", ("cheap",), ("reflection@1",), "")
    assert msgspec.json.decode(msgspec.json.encode(made.insight)) == INSIGHT


def test_a_severe_failure_is_read_from_several_sides_that_come_to_a_consensus(
    server: Running, provider: Provider
) -> None:
    provider.script({"contains": '"readings"', "then": {"text": said(root_cause="All three say so.")}})
    made = reflected(server, **failed(), namespace="severe", severity=0.9)
    assert (made.tier, made.insight.root_cause) == ("premium", "All three say so.")
    assert made.prompts == ("reflection@1", "consensus@1")
    assert len({call["body"]["messages"][0]["content"] for call in provider.calls}) == len(provider.calls) == 4
    assert made.nano_usd / 1e9 == pytest.approx(provider.billed_usd)


def test_what_reflections_cost_is_what_was_billed_and_nothing_stays_held(server: Running, provider: Provider) -> None:
    before = spent_usd(server)
    for n in ("red", "green", "blue"):
        reflected(server, **failed(n), namespace="billed", error_class=n)
    server.until(lambda: not server.service.learner.state.ledger.held)
    assert spent_usd(server) - before == pytest.approx(provider.billed_usd)
    assert server.get("/v1/admin/budget")["reserved_usd"] == 0


@pytest.mark.parametrize(
    "then",
    [
        {"text": "All is well."},
        {"text": f"Here: {said()}"},
        {"text": said(suggested_action="rm -rf /")},
        {"text": said(confidence=7)},
        {"text": said(root_cause="")},
        {"text": said(root_cause="\u200b")},
        {"text": said(preconditions=["x"] * 9)},
        {"text": said(), "tool_calls": [{"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}}]},
    ],
    ids=["prose", "prose around it", "another field", "out of bounds", "empty", "unseen", "too many", "tools"],
)
def test_anything_else_is_no_reflection_and_the_local_answer_stays(
    server: Running, provider: Provider, then: Json, request: pytest.FixtureRequest
) -> None:
    provider.script(otherwise=then)
    before, apart = spent_usd(server), request.node.name
    why = refused(server, **failed(), namespace=apart)
    assert "no reflection" in why or "wanted tools" in why
    shown = asked(server, **failed(), namespace=apart)["reflection"]
    assert (shown["tier"], shown["root_cause"], shown["cost_usd"]) == (None, "Error: ImagePullBackOff", 0.0)
    assert spent_usd(server) - before == pytest.approx(provider.billed_usd)


def test_where_no_provider_answers_the_job_waits_and_a_later_start_makes_it(
    reflecting: Callable[[], Running], provider: Provider
) -> None:
    provider.script(otherwise={"status": 503})
    server = reflecting()
    assert "answered with an error of its own" in refused(server, **failed())
    assert spent_usd(server) == 0
    server.stop()
    provider.script()
    again = reflecting()
    [job] = again.service.outbox.jobs.open.values()
    job.due = 0.0  # minutes later
    again.run(again.service.outbox.tick("reflection"))
    again.until(lambda: not again.service.outbox.jobs.open)
    assert asked(again, **failed())["reflection"]["tier"] == "cheap"


def test_a_reply_that_was_lost_is_charged_whole(server: Running, provider: Provider) -> None:
    provider.script(otherwise={"text": said(), "fault": "cut"})
    before = spent_usd(server)
    assert "stopped in the middle" in refused(server, **failed(), namespace="lost")
    assert spent_usd(server) - before >= provider.billed_usd > 0
    assert len(server.get("/v1/admin/budget")["unreconciled"]) == len(provider.calls) == 3, "each try is one"


def test_an_empty_purse_leaves_the_local_answer_and_asks_nobody(server: Running, provider: Provider) -> None:
    limit = {"scope": "tenant", "tenant": "default", "period": "month", "why": "none"}
    assert server.client.put("/v1/admin/budget", json={**limit, "limit_usd": 0.0}).status_code == 200
    captured = server.capture(**failed(), namespace="purse", severity=1.0)
    assert server.client.put("/v1/admin/budget", json={**limit, "limit_usd": None}).status_code == 200
    assert provider.calls == []
    assert nobody_reflects(captured)
    assert asked(server, **failed(), namespace="purse")["reflection"]["tier"] is None


def test_a_similar_failure_of_the_same_class_has_the_stored_reflection(server: Running) -> None:
    plan = {**failed(), "namespace": "cached"}
    first = reflected(server, **plan, error_class="pull")
    again = reflected(server, **plan, error_class="pull", environment={"stage": "prod"})
    assert (again.tier, again.of, again.insight, again.nano_usd) == ("cached", first.reflection_id, first.insight, 0)
    other = reflected(server, **plan, error_class="quota")
    unlike = reflected(server, **failed("wholly other things"), namespace="cached", error_class="pull")
    apart = reflected(server, **failed(), namespace="team", error_class="pull")
    assert [made.tier for made in (other, unlike, apart)] == ["cheap"] * 3
    settled(server)


def test_a_bad_reflection_is_evicted_by_one_call_with_all_that_was_taken_from_it(
    reflecting: Callable[[], Running], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = reflecting()
    first = reflected(server, **failed(), error_class="pull")
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    gone = server.client.delete(f"/v1/reflections/{again.reflection_id}")
    assert gone.status_code == 204
    assert "reflection_evicted" in (blamed := capfd.readouterr().out)
    assert all(word in blamed for word in (first.reflection_id, "reflection@1", "cheap"))
    assert INSIGHT["root_cause"] not in blamed
    for name in (first.reflection_id, again.reflection_id):
        assert server.client.delete(f"/v1/reflections/{name}").json()["code"] == "unknown_reflection"
    assert asked(server, **failed())["reflection"]["tier"] is None
    server.stop()
    assert INSIGHT["resolution_strategy"].encode() not in on_disk(tmp_path)
    assert asked(reflecting(), **failed())["reflection"]["tier"] is None


def test_a_purged_episode_takes_what_models_made_of_it_along(reflecting: Callable[[], Running], tmp_path: Path) -> None:
    server = reflecting()
    first = reflected(server, **failed(), error_class="pull")
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    assert server.client.delete(f"/v1/episodes/{first.episode_id}").status_code == 204
    left = server.service.memory.episode("default", again.episode_id)
    assert left is not None
    assert left.reflection is None
    server.stop()
    assert INSIGHT["resolution_strategy"].encode() not in on_disk(tmp_path)


def on_disk(folder: Path) -> bytes:
    """The reflections and the checks of them in the journal, as they are stored."""
    stored = "SELECT payload FROM events WHERE kind IN ('reflection', 'reuse_checked')"
    with sqlite3.connect(folder / "data" / "journal.db") as database:
        return b"".join(row[0] for row in database.execute(stored))


def test_a_reflection_outlives_its_server(reflecting: Callable[[], Running]) -> None:
    server = reflecting()
    made = reflected(server, **failed())
    server.stop()
    shown = asked(reflecting(), **failed())["reflection"]
    assert (shown["id"], shown["tier"]) == (made.reflection_id, "cheap")


def test_secrets_and_people_are_not_told_to_a_model(server: Running, provider: Provider) -> None:
    reflected(
        server,
        **failed(),
        namespace="secrets",
        resolution="export TOKEN=hunter2",
        environment={"api_key": "hunter2", "owner": "ann@acme.org"},
        preconditions={"call": ["+49 30 1234567"]},
    )
    [call] = provider.calls
    told = call["body"]["messages"][1]["content"]
    assert not re.search("hunter2|ann@|1234567", told), told


def test_without_a_provider_nothing_is_owed(serve: Serve) -> None:
    server = serve()
    assert nobody_reflects(server.capture(error_trace="Error: x"))
    assert server.service.outbox.jobs.open == {}


def settled(server: Running) -> None:
    """Have no check open."""
    jobs = server.service.outbox.jobs
    server.run(server.service.outbox.tick("reuse_check"))
    server.until(lambda: not [job for job in list(jobs.open.values()) if job.work == "reuse_check"])


def checked(server: Running) -> list[Json]:
    """What /status tells of reuses that were checked."""
    server.run(server.service.outbox.tick("reuse_check"))
    found: list[Json] = server.get("/status")["reuse"]
    return found


def test_a_reuse_that_was_right_is_checked_by_one_cheap_call_and_stays(
    reflecting: Callable[[], Running], provider: Provider
) -> None:
    server = reflecting()
    reflected(server, **failed(), error_class="pull")
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    assert again.tier == "cached"
    [row] = server.until(lambda: checked(server))
    assert (row["error_class"], row["threshold"], row["checked"], row["wrong"]) == ("pull", 0.92, 1, 0)
    assert row["at_most"] == pytest.approx(0.95)
    assert record(server, again.episode_id).reflection == again
    assert len(provider.calls) == 2
    assert spent_usd(server) == pytest.approx(provider.billed_usd)
    assert server.metric("pointsman_reuses_checked_total", outcome="right") == 1


def test_a_check_that_is_tried_again_counts_and_costs_once(
    reflecting: Callable[[], Running], provider: Provider
) -> None:
    server = reflecting()
    reflected(server, **failed(), error_class="pull")
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    server.until(lambda: checked(server))
    body = {"tenant": "default", "reflection_id": again.reflection_id}
    job = Job(job_id="jb_1", work="reuse_check", about="again", body=body, at=0.0, due=0.0, fence=2)
    server.run(server.service.rechecks(job))
    assert [row["checked"] for row in checked(server)] == [1]
    assert len(provider.calls) == 2


def test_a_reuse_that_was_wrong_gives_way_raises_the_threshold_and_outlives_a_restart(
    reflecting: Callable[[], Running], provider: Provider
) -> None:
    server = reflecting()
    first = reflected(server, **failed(), error_class="pull")
    provider.script(otherwise={"text": said(**OTHERWISE)})
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    [row] = server.until(lambda: checked(server))
    assert (row["threshold"], row["checked"], row["wrong"]) == (0.99, 1, 1)
    instead = record(server, again.episode_id).reflection
    assert (instead.tier, instead.replaces) == ("cheap", again.reflection_id)
    assert instead.insight.root_cause == OTHERWISE["root_cause"]
    assert record(server, first.episode_id).reflection == first
    before = server.run(dumped(server))
    server.stop()
    later = reflecting()
    assert record(later, again.episode_id).reflection == instead
    assert later.get("/status")["reuse"] == [row]
    assert later.run(refolded(later)) == before


def test_what_was_nearly_reused_is_checked_by_the_call_that_was_made_instead(
    server: Running, provider: Provider
) -> None:
    apart = {"planned_action": "kubectl apply", "namespace": "nearly", "error_class": "nearly"}
    reflected(server, goal="deploy the blue shop", **apart)
    other = reflected(server, goal="deploy the red shop", **apart)
    assert other.tier == "cheap"
    [row] = [row for row in checked(server) if row["error_class"] == "nearly"]
    assert (row["checked"], row["wrong"], row["rate"]) == (0, 0, None)
    [check] = server.service.learner.state.reuse.of("default", "nearly")
    assert check.agreed
    assert 85 <= check.similarity < 92
    assert len(provider.calls) == 2


def test_an_empty_purse_checks_nothing(server: Running, provider: Provider) -> None:
    plan = {**failed(), "namespace": "unchecked", "error_class": "unchecked"}
    reflected(server, **plan)
    limit = {"scope": "tenant", "tenant": "default", "period": "month", "why": "none"}
    assert server.client.put("/v1/admin/budget", json={**limit, "limit_usd": 0.0}).status_code == 200
    again = reflected(server, **plan, environment={"stage": "prod"})
    settled(server)
    assert server.client.put("/v1/admin/budget", json={**limit, "limit_usd": None}).status_code == 200
    assert again.tier == "cached"
    assert record(server, again.episode_id).reflection == again
    assert "unchecked" not in [row["error_class"] for row in checked(server)]
    assert len(provider.calls) == 1


def test_of_a_replaced_reuse_and_its_check_a_purge_leaves_no_text(
    reflecting: Callable[[], Running], provider: Provider, tmp_path: Path
) -> None:
    server = reflecting()
    first = reflected(server, **failed(), error_class="pull")
    provider.script(otherwise={"text": said(**OTHERWISE)})
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    server.until(lambda: checked(server))
    for made in (first, again):
        assert server.client.delete(f"/v1/episodes/{made.episode_id}").status_code == 204
    server.stop()
    left = on_disk(tmp_path)
    assert b"reuse_checked" in left
    for text in (*texts_of(INSIGHT), *texts_of(OTHERWISE), "ImagePullBackOff"):
        assert text.encode() not in left
    assert reflecting().service.memory.reflections == {}


def test_an_evicted_replacement_does_not_bring_the_reuse_back(
    reflecting: Callable[[], Running], provider: Provider
) -> None:
    server = reflecting()
    reflected(server, **failed(), error_class="pull")
    provider.script(otherwise={"text": said(**OTHERWISE)})
    again = reflected(server, **failed(), error_class="pull", environment={"stage": "prod"})
    server.until(lambda: checked(server))
    instead = record(server, again.episode_id).reflection
    assert server.client.delete(f"/v1/reflections/{instead.reflection_id}").status_code == 204
    server.stop()
    later = reflecting()
    assert record(later, again.episode_id).reflection is None
    assert list(later.service.memory.reflections) != []


async def dumped(server: Running) -> bytes:
    """What was learnt, without the settings a restart may write again."""
    return encode(server.service.learner.state.reuse.dump())


async def refolded(server: Running) -> bytes:
    """The same, folded from the journal."""
    journal = server.service.journal
    return encode((await refold(journal, journal.last_seq)).state.reuse.dump())
