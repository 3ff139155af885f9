"""A request that comes again under its Idempotency-Key has its effect once and is told the same."""

import asyncio
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from controlplane import failpoints
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, FeedbackRequest
from controlplane.errors import InFlight, KeyReused
from controlplane.http.routes import ROUTES
from controlplane.idempotency import Asked, Receipt
from controlplane.service import Service
from controlplane.tenants import LOCAL

from .conftest import Running, chosen
from .every_route import elsewhere, proven
from .test_rebuild import verify

Serve = Callable[..., Running]
Json = dict[str, Any]
DAY_S = 86_400.0
GOOD = {"latency_ms": 20, "cost": 0.05, "failures": 0, "slo_hit": True}
PLAN = {"goal": "ship", "planned_action": "make ship"}
PLACES = {"candidates": [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": "2"}]}


def send(server: Running, path: str, body: Json | None, key: str) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return server.client.post(path, headers=headers) if body is None else server.client.post(
        path, json=body, headers=headers
    )  # fmt: skip


def kinds(server: Running) -> Counter[str]:
    """How many events of each kind are in the journal."""
    with sqlite3.connect(Path(server.settings.data_dir) / "journal.db") as database:
        found = Counter(kind for (kind,) in database.execute("SELECT kind FROM events"))
    database.close()
    return found


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    drawn: int = request.config.getoption("--seed")
    print(f"seed {drawn}")
    return drawn


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def episode(server: Running, goal: str) -> int:
    captured = server.post("/v1/capture", {"goal": goal, "error_trace": "Error: x", "resolution": "make it"}, 201)
    found: int = captured["episode_id"]
    return found


def skill(server: Running) -> int:
    """A skill by three validations."""
    for _ in range(3):
        said = server.post("/v1/validate_fix", {"episode_id": episode(server, "skilled"), "outcome": "success"})
    found: int = said["skill_id"]
    return found


def session(server: Running) -> str:
    """Where the outcome of a session is told that was shown something."""
    episode(server, "shown")
    return f"/v1/sessions/{server.post('/v1/context', {'goal': 'shown'})['session_id']}/outcome"


def checkpoint(server: Running) -> str:
    found: str = server.post("/v1/checkpoints", {}, 201)["checkpoint_id"]
    return found


APPEAL, RULING = {"reason": "it works"}, {"upheld": True, "why": "it does"}


def blocked(server: Running) -> str:
    """A decision that an operator's rule makes a BLOCK."""
    path, guard = "/v1/points/gate/policy", {"name": "no", "effect": "force", "actions": ["BLOCK"], "tool": "nono"}
    body = {"version": server.get(path)["version"], "why": "to be contested", "guards": [guard]}
    assert server.client.patch(path, json=body).is_success
    return str(server.gate(tool="nono")["trace_id"])


def contested(server: Running) -> str:
    path = f"/v1/decisions/{blocked(server)}/appeal"
    server.post(path, APPEAL, 201)
    return f"{path}/ruling"


def challenged(server: Running, *, promoted: bool = False) -> str:
    """A challenger stands beside this point's champion that counts as proven, or was promoted."""
    point = "route"
    if server.get(f"/v1/points/{point}/policy")["challenger"] is not None:
        assert server.client.delete(f"/v1/points/{point}/challenger").is_success
    server.post(f"/v1/points/{point}/challenger", WHY, 201)
    server.service.learner.state.of("default").rivals[point].comparison.for_theirs = proven()
    if promoted:
        server.post(f"/v1/points/{point}/promote", WHY)
    return f"/v1/points/{point}"


def unchallenged(server: Running) -> str:
    path = challenged(server)
    assert server.client.delete(f"{path}/challenger").is_success
    return path


WHY = {"why": "to try"}


# Every writing POST: its path and body, made when its turn comes, and the event that is its effect.
def a_key(server: Running) -> str:
    """The id of a tenant's key."""
    server.post("/v1/admin/tenants", {"tenant": "acme"})
    return str(server.post("/v1/admin/keys", {"tenant": "acme"}, 201)["key_id"])


CALLS: dict[str, tuple[Callable[[Running], tuple[str, Json | None]], str]] = {
    "/v1/decisions": (lambda s: ("/v1/decisions", PLACES), "decision"),
    "/v1/feedback": (
        lambda s: ("/v1/feedback", {"trace_id": s.route("a/1")["trace_id"], "outcome": GOOD}),
        "feedback",
    ),
    "/v1/decisions/{trace_id:str}/appeal": (lambda s: (f"/v1/decisions/{blocked(s)}/appeal", APPEAL), "appeal"),
    "/v1/decisions/{trace_id:str}/appeal/ruling": (lambda s: (contested(s), RULING), "appeal_ruled"),
    "/v1/points/{point:str}/challenger": (lambda s: (f"{unchallenged(s)}/challenger", WHY), "challenger_set"),
    "/v1/points/{point:str}/promote": (lambda s: (f"{challenged(s)}/promote", WHY), "promoted"),
    "/v1/points/{point:str}/rollback": (lambda s: (f"{challenged(s, promoted=True)}/rollback", WHY), "rolled_back"),
    "/v1/federation/{point:str}": (
        lambda s: ("/v1/federation/route", elsewhere(s.get("/v1/federation/route")["own"], s.last_seq)),
        "federated",
    ),
    "/v1/capture": (lambda s: ("/v1/capture", {"goal": "once", "error_trace": "Error: once"}), "capture"),
    "/v1/reflect": (lambda s: ("/v1/reflect", PLAN), "decision"),
    "/v1/validate_fix": (
        lambda s: ("/v1/validate_fix", {"episode_id": episode(s, "fixed"), "outcome": "success"}),
        "validation",
    ),
    "/v1/sessions/{session_id:str}/outcome": (lambda s: (session(s), {"success": True}), "session_outcome"),
    "/v1/skills/{skill_id:int}/retire": (lambda s: (f"/v1/skills/{skill(s)}/retire", None), "skill_retired"),
    "/v1/checkpoints": (lambda s: ("/v1/checkpoints", {"name": "once"}), "checkpoint"),
    "/v1/checkpoints/{checkpoint_id:str}/restore": (
        lambda s: (f"/v1/checkpoints/{checkpoint(s)}/restore", None),
        "restored",
    ),
    "/v1/checkpoints/prune": (lambda s: ("/v1/checkpoints/prune", {"keep": 1}), "checkpoints_pruned"),
    "/v1/admin/tenants": (lambda s: ("/v1/admin/tenants", {"tenant": "acme", "tier": "pro"}), "tenant_set"),
    "/v1/admin/quarantine": (
        lambda s: ("/v1/admin/quarantine", {"key_id": a_key(s), "why": "it lies"}),
        "quarantined",
    ),
}


def test_every_writing_post_is_tried_here() -> None:
    """A route that is added takes keys unless it says otherwise, and is added to CALLS."""
    posts = {route.path: route.repeats for route in ROUTES if route.method.__name__ == "post"}
    assert {path for path, repeats in posts.items() if repeats == "once"} == set(CALLS)
    assert {path for path, repeats in posts.items() if repeats == "harmless"} == {
        "/v1/search",
        "/v1/replays",
        "/v1/context",  # another session is begun
        "/v1/patches/search",  # the same
        "/v1/ranker/reload",
        "/v1/ranker/reset",
        "/v1/episodes/{episode_id:int}/return",  # what is in use stays so
        "/v1/documents",  # what is there as it is changes nothing
        "/v1/documents/search",
        "/v1/origins",
        "/v1/admin/purge",  # what is left
        "/v1/memory",  # what is not known yet
        "/v1/chat/completions",  # it is not kept what a model answered
    }


def test_the_api_document_shows_which_calls_take_a_key(server: Running) -> None:
    paths = server.get("/docs/openapi.json")["paths"]
    shown = {
        (path, method)
        for path, methods in paths.items()
        for method, call in methods.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in call.get("parameters", []))
    }
    assert shown == {(re.sub(r":(str|int)}", "}", path), "post") for path in CALLS}


@pytest.mark.parametrize("route", CALLS)
def test_a_call_that_comes_again_has_its_effect_once_and_is_told_the_same(server: Running, route: str) -> None:
    make, effect = CALLS[route]
    path, body = make(server)
    before = kinds(server)
    first = send(server, path, body, f"again {route}".replace(" ", "-"))
    assert first.is_success, first.text
    for _ in range(3):
        again = send(server, path, body, f"again {route}".replace(" ", "-"))
        assert (again.status_code, again.json()) == (first.status_code, first.json())
    added = kinds(server) - before
    assert (added[effect], added["receipt"]) == (1, 1)


def test_answers_hold_after_a_restart_and_the_journal_folds_to_the_same_bytes(serve: Serve) -> None:
    server = serve()
    sent, first = {}, {}
    for route, (make, _) in CALLS.items():
        sent[route] = path, body = make(server)
        first[route] = send(server, path, body, "kept")
    before = kinds(server)
    server.stop()
    assert verify(server.settings).differences == []
    again = serve()
    for route, (path, body) in sent.items():
        repeated = send(again, path, body, "kept")
        assert (repeated.status_code, repeated.json()) == (first[route].status_code, first[route].json())
    assert kinds(again) == before
    again.stop()
    assert verify(again.settings).differences == []


def test_an_alias_counts_as_its_route(server: Running) -> None:
    said = [send(server, path, PLACES, "alias").json() for path in ("/decisions", "/v1/decisions", "/api/v1/decisions")]
    assert said[0] == said[1] == said[2]


def test_another_body_under_the_key_is_refused_and_changes_nothing(server: Running) -> None:
    send(server, "/v1/decisions", PLACES, "reused")
    before = server.last_seq
    refused = send(server, "/v1/decisions", PLAN, "reused")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert server.last_seq == before


def test_the_same_body_for_another_thing_is_another_request(server: Running) -> None:
    one, other = checkpoint(server), skill(server)
    assert send(server, f"/v1/checkpoints/{one}/restore", None, "thing").status_code == 200
    refused = send(server, f"/v1/checkpoints/{one[:-1]}/restore", None, "thing")
    assert refused.json()["code"] == "idempotency_key_reused"
    assert send(server, f"/v1/skills/{other}/retire", None, "thing").status_code == 404, (
        "it was unlearnt; another route"
    )


def test_without_a_key_there_is_no_receipt_and_the_same_request_counts_again(serve: Serve) -> None:
    server = serve()
    one, other = (server.post("/v1/decisions", PLACES)["trace_id"] for _ in range(2))
    assert one != other
    assert kinds(server)["receipt"] == 0


def test_a_refused_request_leaves_its_key_free(server: Running) -> None:
    unknown = {"trace_id": "tr_unknown", "outcome": GOOD}
    for _ in range(2):
        assert send(server, "/v1/feedback", unknown, "free").json()["code"] == "unknown_trace"
    known = {"trace_id": server.route("a/1")["trace_id"], "outcome": GOOD}
    assert send(server, "/v1/feedback", known, "free").json()["updated"] is True


def test_a_write_that_fails_leaves_neither_receipt_nor_effect_and_the_key_free(serve: Serve) -> None:
    server = serve()
    body = {"trace_id": server.route("a/1")["trace_id"], "outcome": GOOD}
    before = kinds(server)
    failpoints.arm("journal.insert:error@1")
    refused = send(server, "/v1/feedback", body, "failing")
    assert (refused.status_code, refused.json()["retryable"]) == (503, True)
    assert kinds(server) == before
    assert send(server, "/v1/feedback", body, "failing").json()["updated"] is True
    added = kinds(server) - before
    assert (added["feedback"], added["receipt"], added["answered"]) == (1, 1, 1)


def test_an_answer_that_cannot_be_kept_is_given_and_made_again(serve: Serve) -> None:
    """The second write is the answer's; the report is on disk by then, so it is no refusal."""
    server = serve()
    body = {"trace_id": server.route("a/1")["trace_id"], "outcome": GOOD}
    failpoints.arm("journal.insert:error@2")
    first = send(server, "/v1/feedback", body, "unkept")
    assert (first.status_code, first.json()["updated"]) == (200, True)
    assert kinds(server)["answered"] == 0
    server.stop()
    again = serve()
    repeated = send(again, "/v1/feedback", body, "unkept").json()
    assert {k: v for k, v in repeated.items() if k != "policy_version"} == {
        k: v for k, v in first.json().items() if k != "policy_version"
    }
    assert (kinds(again)["feedback"], kinds(again)["answered"]) == (1, 1)


def test_a_restore_whose_answer_could_not_be_kept_is_told_the_same_though_its_checkpoint_was_made_again(
    server: Running,
) -> None:
    """After a restore the same content stands at a later place, under the same id."""
    cp, before = checkpoint(server), kinds(server)
    server.route("a/1")
    failpoints.arm("journal.insert:error@2")
    first = send(server, f"/v1/checkpoints/{cp}/restore", None, "unkept").json()
    assert first["unlearnt_events"] > 0
    assert checkpoint(server) == cp
    repeated = send(server, f"/v1/checkpoints/{cp}/restore", None, "unkept").json()
    told = ("checkpoint_id", "restored_to", "unlearnt_events")
    assert {name: repeated[name] for name in told} == {name: first[name] for name in told}
    assert (kinds(server) - before)["restored"] == 1


def test_a_change_of_a_tenant_that_comes_again_is_told_what_it_did_not_what_was_changed_since(server: Running) -> None:
    body = {"tenant": "acme", "tier": "pro", "fail_mode": "open"}
    failpoints.arm("journal.insert:error@2")  # whatever would be written after the change is not
    first = send(server, "/v1/admin/tenants", body, "unkept").json()
    failpoints.arm("")
    server.post("/v1/admin/tenants", {"tenant": "acme", "tier": "free", "fail_mode": "closed"})
    assert send(server, "/v1/admin/tenants", body, "unkept").json() == first
    assert (first["tier"], first["fail_mode"]) == ("pro", "open")


@pytest.mark.parametrize("key", ["", "a b", "schlüssel".encode().decode("latin-1"), "k" * 256])
def test_a_key_that_is_none_is_refused(server: Running, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    refused = server.client.post("/v1/decisions", json=PLACES, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert "visible ASCII" in refused.json()["detail"]


def test_two_different_keys_are_none(server: Running) -> None:
    before = server.last_seq
    refused = server.client.post(
        "/v1/decisions", json=PLACES, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert "came twice with different values; send one" in refused.json()["detail"]
    assert server.last_seq == before


@pytest.mark.parametrize("path", ["/v1/admin/keys", "/v1/admin/keys/nobody/rotate"])
def test_an_answer_that_shows_a_secret_once_takes_no_key(server: Running, path: str) -> None:
    before = server.last_seq
    refused = send(server, path, {}, "secret")
    assert refused.status_code == 400
    assert "leave Idempotency-Key out" in refused.json()["detail"]
    assert server.last_seq == before


def test_a_search_reads_no_key(server: Running) -> None:
    assert send(server, "/v1/search", {"goal": "ship"}, "a b").status_code == 200


def test_keys_of_one_tenant_are_nothing_to_another(serve: Serve) -> None:
    server = serve(insecure_local=False)
    first = server.service.first_keys
    assert first is not None
    admin = {"X-Admin-API-Key": first.admin}
    server.client.post("/v1/admin/tenants", json={"tenant": "south"}, headers=admin).raise_for_status()
    south = server.client.post("/v1/admin/keys", json={"tenant": "south"}, headers=admin).json()["key"]
    said = {}
    for key in (first.tenant, south):
        headers = {"X-API-Key": key, "Idempotency-Key": "ours"}
        said[key] = server.client.post("/v1/decisions", json=PLACES, headers=headers).json()["trace_id"]
    assert said[first.tenant] != said[south]


def test_a_purge_leaves_nothing_of_what_was_captured_and_retired_under_keys(serve: Serve) -> None:
    server = serve()
    body = {"goal": "purged canary-4711", "error_trace": "Error: canary-4711 broke", "resolution": "make canary-4711"}
    first = send(server, "/v1/capture", body, "purged").json()
    assert "canary-4711" in first["reflection"]["root_cause"]
    for key in "abc":
        fixed = {"episode_id": first["episode_id"], "outcome": "success"}
        skill_id = send(server, "/v1/validate_fix", fixed, key).json()["skill_id"]
    assert "canary-4711" in send(server, f"/v1/skills/{skill_id}/retire", None, "retired").text
    assert server.client.delete(f"/v1/episodes/{first['episode_id']}").status_code == 204
    for file in Path(server.settings.data_dir).glob("journal.db*"):
        assert b"canary-4711" not in file.read_bytes(), file
    assert send(server, "/v1/capture", body, "purged").json() == first, "made again from what was sent"
    assert kinds(server)["capture"] == 0, "and nothing was captured again"
    assert send(server, f"/v1/skills/{skill_id}/retire", None, "retired").status_code == 404


def asked(tenant: str, trace_id: str, key: str) -> Asked:
    return Asked(tenant=tenant, by="", route="/v1/feedback", key=key, fingerprint=trace_id.encode())


async def report(service: Service, trace_id: str, key: str) -> Any:
    """One report under a key, without HTTP."""
    request = msgspec.convert({"trace_id": trace_id, "outcome": GOOD}, FeedbackRequest)

    async def call(receipt: Receipt) -> Any:
        return await service.learning.feedback(LOCAL, request, receipt)

    return await service.idempotency.once(asked("default", trace_id, key), call)


def test_a_request_that_is_cancelled_midway_is_still_done_once(serve: Serve, seed: int) -> None:
    """Wherever it is cancelled: the next try with its key is told what came of it."""
    server, rng = serve(), random.Random(seed)

    async def cancelled(trace_id: str, ticks: int) -> Any:
        doomed = asyncio.create_task(report(server.service, trace_id, trace_id))
        for _ in range(ticks):
            await asyncio.sleep(0)
        doomed.cancel()
        while True:
            try:
                return await report(server.service, trace_id, trace_id)
            except InFlight:
                await asyncio.sleep(0.001)

    for _ in range(40):
        trace_id = server.route("a/1")["trace_id"]
        told = server.run(cancelled(trace_id, rng.randrange(12)))
        assert (told if isinstance(told, dict) else {"updated": told.updated})["updated"] is True
    found = kinds(server)
    assert (found["feedback"], found["receipt"]) == (40, 40)


async def test_a_key_may_be_used_anew_after_a_day(tmp_path: Path) -> None:
    clock = FixedClock()
    service = await Service.open(chosen(tmp_path / "data", route_window_s=1e9), clock)
    try:

        async def other(receipt: Receipt) -> Any:
            return await receipt.append()

        known = asked("default", "one", "daily")
        first = await service.idempotency.once(known, lambda receipt: _capture(service, receipt))
        clock.advance(DAY_S - 1.0)
        again = await service.idempotency.once(known, lambda receipt: _capture(service, receipt))
        assert again.episode_id == first.episode_id
        with pytest.raises(KeyReused):
            await service.idempotency.once(asked("default", "two", "daily"), other)
        clock.advance(1.0)
        anew = await service.idempotency.once(
            asked("default", "two", "daily"), lambda receipt: _capture(service, receipt)
        )
        assert (anew.duplicate_of, anew.episode_id) == (first.episode_id, first.episode_id), "it had an effect again"
    finally:
        await service.close()


async def _capture(service: Service, receipt: Receipt) -> Any:
    return await service.remembering.capture(LOCAL, CaptureRequest(goal="daily"), receipt)


@pytest.mark.parametrize("bursts", [4, pytest.param(1000, marks=pytest.mark.nightly)])
async def test_a_burst_of_fifty_of_one_report_is_applied_exactly_once(serve: Serve, seed: int, bursts: int) -> None:
    """Same key: one answer or 409. Other keys with the same report: duplicates. Another report: logged, not learnt."""
    server, rng = serve(), random.Random(seed)
    refused = 0
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for burst in range(bursts):
            trace_id = server.route("a/1", context={"region": f"r{rng.randrange(5)}"})["trace_id"]
            body = {"trace_id": trace_id, "outcome": {"latency_ms": rng.randrange(400)}}

            async def once(key: str, sent: Json) -> httpx.Response:
                return await client.post("/v1/feedback", json=sent, headers={"Idempotency-Key": key})

            answers = await asyncio.gather(*(once(f"burst-{burst}", body) for _ in range(50)))
            busy = [answer for answer in answers if answer.status_code == 409]
            assert {answer.json()["code"] for answer in busy} <= {"idempotency_key_in_flight"}
            assert all(a.headers["retry-after"] == "1" and a.json()["retryable"] for a in busy)
            told = {answer.text for answer in answers if answer.status_code == 200}
            assert len(told) == 1
            assert len(busy) < 50
            refused += len(busy)
            assert (await once(f"burst-{burst}", body)).text in told
            duplicate = (await once(f"other-{burst}", body)).json()
            assert (duplicate["updated"], duplicate["duplicate"]) == (True, True)
            lie = {"trace_id": trace_id, "outcome": {"latency_ms": 401}}
            assert "logged, not learnt" in (await once(f"lie-{burst}", lie)).json()["reason"]
            assert (await once(f"burst-{burst}", lie)).status_code == 422
    found = kinds(server)
    assert server.get("/status")["model"]["updates"] == bursts
    assert (found["feedback"], found["receipt"]) == (3 * bursts, 3 * bursts)
    assert refused > 0, "some came while the first was in flight"
    print(f"{bursts} bursts of 50: {refused} refused while in flight, each applied once")
