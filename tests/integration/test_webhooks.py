"""Webhooks: each piece of news is sent, signed, until it is taken; never into a private network; none is lost."""

import hmac
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from auditor.events import EpisodeDeleted, Recorded
from auditor.fold import Applied
from auditor.hygiene_events import EpisodeReturned
from auditor.webhook_events import WebhookSet
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, WebhookRequest
from controlplane.jobs import Job
from controlplane.outbox import MOST_OPEN, TryFailed
from controlplane.rebuilding import rebuild
from controlplane.service import Service
from controlplane.tenants import LOCAL
from controlplane.upstream import Upstream
from controlplane.webhooks import MOST, Webhooks

from .cancelling import until
from .conftest import Serve, chosen
from .test_hygiene import LIE, Yard
from .test_outbox import Receiver

Scripted = Callable[..., Any]


class Nothing(httpx.AsyncByteStream):
    """A body that is not there."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        return
        yield b""


def told(receiver: Receiver) -> list[Any]:
    return [msgspec.json.decode(body) for body in receiver.bodies]


def hook(yard: Yard, key: Any, receiver: Receiver, *kinds: str) -> Any:
    return yard.ask(key, "POST", "webhooks", {"url": receiver.url, "kinds": kinds}, 201)


@pytest.fixture
def yard(serve: Serve) -> Yard:
    return Yard(serve(insecure_local=False, webhooks_private=True))


def test_news_is_sent_signed_to_who_asked_for_it_and_to_nobody_else(yard: Yard, upstream: Scripted) -> None:
    receiver, other = Receiver(upstream), Receiver(upstream)
    key = yard.key()
    made = hook(yard, key, receiver, "captured")
    first = yard.server.service.first_keys
    assert first is not None
    hook(yard, {"key": first.tenant}, other)
    episode = yard.capture(key, **LIE)
    yard.operate("POST", "purge", {"key_id": key["key_id"]})
    yard.server.until(lambda: receiver.taken)
    yard.server.until(lambda: yard.server.service.outbox.jobs.open == {})
    [said] = told(receiver)
    assert (said["webhook_id"], said["event"], said["kind"]) == (made["webhook_id"], f"{episode}.0", "captured")
    assert said["details"] == {"episode_id": episode, "repeats": None}
    [(body, header)] = receiver.heard
    sent = dict(part.split("=", 1) for part in header.split(","))
    signed = sent["t"].encode() + b"." + body
    assert hmac.compare_digest(hmac.new(bytes.fromhex(made["secret"]), signed, "sha256").hexdigest(), sent["v1"])
    assert b"zzcanary" not in body
    assert other.heard == [], "another tenant's is told nothing"


def test_a_webhook_is_listed_without_its_secret_says_why_it_fails_and_can_be_removed(
    yard: Yard, upstream: Scripted
) -> None:
    receiver, key = Receiver(upstream, lambda _: 500), yard.key()
    made = hook(yard, key, receiver)
    yard.capture(key, **LIE)
    listed = yard.server.until(lambda: [of for of in yard.ask(key, "GET", "webhooks") if of["failing"] is not None])
    assert listed == [{**made, "waiting": 1, "failing": "it answered 500"} | {"secret": 0}] or "secret" not in listed[0]
    assert (listed[0]["waiting"], listed[0]["failing"]) == (1, "it answered 500")
    yard.ask(key, "DELETE", f"webhooks/{made['webhook_id']}", status=204)
    assert yard.ask(key, "GET", "webhooks") == []
    assert yard.ask(key, "DELETE", f"webhooks/{made['webhook_id']}", status=404)["code"] == "not_found"


def test_addresses_that_no_message_may_go_to_are_refused_without_being_quoted(serve: Serve, tmp_path: Path) -> None:
    yard = Yard(serve(insecure_local=False))
    key = yard.key()
    for url in (
        "http://127.0.0.1:9/zzcanary", "https://127.0.0.1/zzcanary", "https://localhost/zzcanary", "https://10.0.0.5/zzcanary",
        "https://[::1]/zzcanary", "https://169.254.169.254/zzcanary", "https://receiver/zzcanary", "https://x.internal/zzcanary",
        "http://hooks.example.org/zzcanary", "https://zzcanary:zzcanary@hooks.example.org/", "ftp://example.org/zzcanary",
        "https://hooks.example.org/?zzcanary", "https://hooks.slack.com/services/zzcanary", "https://[zzcanary/",
        "zzcanary",
    ):  # fmt: skip
        refused = yard.ask(key, "POST", "webhooks", {"url": url}, 422)
        assert "zzcanary" not in str(refused), url
    private = Yard(serve(insecure_local=False, webhooks_private=True, data_dir=str(tmp_path / "private")))
    for url in ("https://a b", "https://x/\n", "https://x/\u00a0zzcanary", "ht\ttps://x/"):
        private.ask(private.key(), "POST", "webhooks", {"url": url}, 422)
    for _ in range(MOST):
        yard.ask(key, "POST", "webhooks", {"url": "https://hooks.example.org/x", "kinds": ["swung"]}, 201)
    assert yard.ask(key, "POST", "webhooks", {"url": "https://hooks.example.org/x"}, 409)["code"] == "conflict"
    unknown = {"url": "https://hooks.example.org/x", "kinds": ["gossip"]}
    assert "'gossip'" in yard.ask(key, "POST", "webhooks", unknown, 422)["detail"]


async def test_a_public_name_that_leads_into_a_private_network_is_not_connected_to(tmp_path: Path) -> None:
    asked: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(204, stream=Nothing())

    service = await Service.open(chosen(tmp_path / "data"), FixedClock())
    leads = {"to": ["10.0.0.5"]}

    async def resolve(host: str, port: int) -> list[str]:
        return leads["to"]

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    hooks = Webhooks(
        service.learner, service.journal, service.registry, Upstream(http, deadline_s=5.0), service.clock,
        private=False, resolve=resolve,
    )  # fmt: skip
    event = WebhookSet(tenant="default", at=0.0, webhook_id="wh_1", url="https://hooks.example.org:8443/x", kinds=())
    hooks.observe(Recorded(1, event), Applied(), service.outbox)
    owed = {"webhook_id": "wh_1", "event": "2.0", "kind": "captured", "at": 1.0, "details": {}}
    job = Job(job_id="jb_1", work="webhook", about="wh_1/2.0", body=owed, at=0.0, due=0.0)
    with pytest.raises(TryFailed, match="no address that may be connected to"):
        await hooks(job)
    leads["to"] = ["93.184.215.14", "10.0.0.5"]
    with pytest.raises(TryFailed):
        await hooks(job)
    assert asked == []
    leads["to"] = ["93.184.215.14"]
    await hooks(job)
    [request] = asked
    assert (request.url.host, request.url.port) == ("93.184.215.14", 8443), "what was looked at is connected to"
    assert request.headers["Host"] == "hooks.example.org:8443"
    assert request.extensions["sni_hostname"] == "hooks.example.org"
    await http.aclose()
    await service.close()


async def test_what_was_owed_is_sent_after_a_restart_and_nothing_twice(tmp_path: Path, upstream: Scripted) -> None:
    """Also where no recovery file is left, and every event is folded again."""
    receiver, settings, clock = Receiver(upstream), chosen(tmp_path / "data"), FixedClock()
    first = await Service.open(settings, clock)
    await first.loaded()
    [sending] = [task for task in first._tasks if task.get_name() == "webhooks"]
    sending.cancel()
    await first.webhooks.set(LOCAL, WebhookRequest(url=receiver.url, kinds=("captured",)), first.outbox)
    episodes = [(await first.remembering.capture(LOCAL, CaptureRequest(goal=goal))).episode_id for goal in "ab"]
    await first.close()
    for file in first.recovery.files():
        file.unlink()
    for _ in range(2):
        again = await Service.open(settings, clock)
        await until(lambda service=again: service.outbox.jobs.open == {})
        await again.close()
    assert sorted(said["details"]["episode_id"] for said in told(receiver)) == episodes
    report = await rebuild(settings, verify=True, progress=lambda n, of: None)
    assert report.differences == [], "jobs and webhooks teach nothing"


async def test_a_receiver_that_takes_nothing_costs_its_own_news_only(tmp_path: Path) -> None:
    service = await Service.open(chosen(tmp_path / "data"), FixedClock())
    at = service.clock.now()
    kinds: dict[str, tuple[str, ...]] = {"wh_busy": (), "wh_calm": ("purged",)}
    for name, wanted in kinds.items():
        event = WebhookSet(tenant="default", at=at, webhook_id=name, url="http://127.0.0.1:9/", kinds=wanted)
        await service.learner.reached(await service.journal.append(event))
    deleted = EpisodeDeleted(tenant="default", at=at, episode_id=1)
    service.webhooks.observe(Recorded(1_000, deleted), Applied(), service.outbox)
    many = [EpisodeReturned(tenant="default", at=at, episode_id=n) for n in range(MOST_OPEN + 20)]
    for seq, returned in enumerate(many, 1_001):
        service.webhooks.observe(Recorded(seq, returned), Applied(), service.outbox)
    waiting = {of.webhook_id: of.waiting for of in service.webhooks.all("default", service.outbox)}
    assert waiting == {"wh_busy": MOST_OPEN, "wh_calm": 1}
    assert service.outbox.jobs.given_up[-1].why == f"{MOST_OPEN} newer ones are open"
    await service.close()
