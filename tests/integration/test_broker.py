"""The broker: what happens to memory reaches a real NATS server at least once, under ids, and nothing waits for it."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from auditor.events import Recorded
from auditor.fold import Applied
from auditor.hygiene_events import EpisodeReturned
from benchmarks.services import Nats, running
from controlplane.broker import WORK as BROKER
from controlplane.broker import Broker
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest
from controlplane.errors import BadSetting
from controlplane.jetstream import STREAM, JetStream
from controlplane.jobs import Job
from controlplane.news import News
from controlplane.outbox import LONGEST_PAUSE_S, LONGEST_S, MOST_UNWRITTEN, PAGE, TryFailed
from controlplane.outbox import WORK as WORKS
from controlplane.rebuilding import rebuild
from controlplane.service import Service
from controlplane.tenants import LOCAL

from ..streams import jetstream, stored, stored_now
from .cancelling import until
from .conftest import Serve, chosen
from .test_hygiene import LIE, Yard

Lines = list[Any]
AT_ONCE, MOST_OPEN = WORKS[BROKER].at_once, WORKS[BROKER].most_open


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    folder = tmp_path / "nats"
    folder.mkdir()
    with running(Nats, folder) as server:
        yield server


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Everything that is logged from here on."""
    with structlog.testing.capture_logs() as logged:
        yield logged


@pytest.fixture
async def service(tmp_path: Path, nats: Nats) -> AsyncIterator[Service]:
    opened = await Service.open(chosen(tmp_path / "data", broker_url=nats.url), FixedClock())
    await opened.loaded()
    yield opened
    await opened.close()


def happened(service: Service, count: int, first: int = 1_000) -> list[str]:
    """Have so many things happen, as if they were folded; the ids of their news."""
    assert service.broker is not None
    for seq in range(first, first + count):
        event = EpisodeReturned(tenant="default", at=service.clock.now(), episode_id=seq)
        service.broker.observe(Recorded(seq, event), Applied(), service.outbox)
    return [f"{service.federation.origin('default')}.{seq}.0" for seq in range(first, first + count)]


def acknowledged(service: Service) -> dict[str, float]:
    """How many messages the broker took, by outcome."""
    samples = [of for family in service.metrics.broker_messages.collect() for of in family.samples]
    return {of.labels["outcome"]: of.value for of in samples if of.name.endswith("_total")}


def waiting(service: Service) -> int:
    return service.outbox.jobs.count[BROKER]


@contextlib.asynccontextmanager
async def held(url: str) -> AsyncIterator[JetStream]:
    stream = JetStream(url)
    holding = asyncio.create_task(stream.run())
    yield stream
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


async def connected(service: Service) -> None:
    assert service.broker is not None
    stream = service.broker.stream
    async with asyncio.timeout(30.0):
        while stream.trouble is not None:  # noqa: ASYNC110  # it rings no bell
            await asyncio.sleep(0.01)


def test_news_is_published_under_its_tenants_subject_and_an_id_of_its_own_without_a_text(
    serve: Serve, nats: Nats
) -> None:
    yard = Yard(serve(insecure_local=False, broker_url=nats.url))
    key, first = yard.key(), yard.server.service.first_keys
    assert first is not None
    episode = yard.capture(key, **LIE)
    yard.operate("POST", "purge", {"key_id": key["key_id"]})
    other = yard.capture({"key": first.tenant}, **LIE)
    yard.server.until(lambda: yard.server.service.outbox.jobs.open == {})
    told = stored_now(nats.url)
    by_kind = {message.subject: message.said for message in told}
    assert by_kind.keys() == {"pointsman.acme.captured", "pointsman.acme.purged", "pointsman.default.captured"}
    origin = yard.server.service.federation.origin("acme")
    said = by_kind["pointsman.acme.captured"]
    assert said == {
        "id": f"{origin}.{episode}.0", "tenant": "acme", "event": f"{episode}.0", "kind": "captured", "at": said["at"],
        "details": {"episode_id": episode, "repeats": None},
    }  # fmt: skip
    assert by_kind["pointsman.default.captured"]["details"]["episode_id"] == other
    assert all(message.id == message.said["id"] for message in told)
    assert len({message.id for message in told}) == len(told)
    assert not any(word in str(told) for word in ("zzcanary", "evil", "shop"))


def test_while_it_is_away_news_waits_untried_and_calls_go_on_and_then_it_all_arrives(
    serve: Serve, nats: Nats, lines: Lines
) -> None:
    url = nats.url.replace("//", "//zzuser:zzsecret@")
    nats.kill()
    server = serve(broker_url=url)
    episodes = [server.capture(goal=f"goal {n}")["episode_id"] for n in range(5)]
    server.until(lambda: server.get("/status")["broker"]["trouble"] == "ConnectionRefusedError")
    told = server.get("/status")
    assert (told["broker"]["waiting"], told["outbox"]["failing"]) == (5, 0), "nobody tries what cannot be done"
    assert server.metric("pointsman_broker_away") == 1.0
    away = [line for line in lines if line["event"] == "broker_away"]
    assert [line["why"] for line in away] == ["ConnectionRefusedError"], "told once"
    assert not any(secret in f"{told}{lines}{server.settings}" for secret in ("zzuser", "zzsecret", nats.url))

    nats.start()
    server.until(lambda: server.get("/status")["broker"] == {"trouble": None, "waiting": 0, "given_up": 0})
    assert {message.said["details"]["episode_id"] for message in stored_now(nats.url)} == set(episodes)
    assert server.metric("pointsman_broker_away") == 0.0
    assert server.metric("pointsman_broker_messages_total", outcome="stored") == 5.0


async def test_a_broker_that_is_killed_while_it_is_told_has_everything_once_it_is_back(
    service: Service, nats: Nats, seed: int
) -> None:
    clock, rng = service.clock, random.Random(seed)
    assert isinstance(clock, FixedClock)
    assert service.broker is not None
    await connected(service)
    line = service.broker.stream._line
    ids = happened(service, 400)
    nats.pause()
    trying = asyncio.create_task(service.outbox.tick(BROKER))
    await until(lambda: len(line._deadlines) >= AT_ONCE)
    await asyncio.sleep(0.05)
    nats.go_on()
    time.sleep(rng.uniform(0.0, 0.02))  # noqa: ASYNC251  # nothing of ours goes on meanwhile
    nats.kill()
    ids += happened(service, 100, 2_000)
    await trying
    nats.start()
    await connected(service)
    while waiting(service):
        clock.advance(LONGEST_PAUSE_S)
        await service.outbox.tick(BROKER)
    told = await stored(nats.url)
    assert sorted(message.id for message in told) == sorted(ids)
    assert sum(acknowledged(service).values()) == len(ids)


async def test_what_is_owed_twice_is_stored_once(service: Service, nats: Nats) -> None:
    """As after a crash before a job was journalled: its event is folded again, and makes another job."""
    assert service.broker is not None
    await connected(service)
    news = News(place=(7, 0), tenant="default", at=1.0, kind="returned", details={"episode_id": 1})
    owed: dict[str, Any] = {"work": BROKER, "about": news.id, "body": news, "at": 0.0, "due": 0.0}
    for job_id in ("jb_1", "jb_2"):
        await service.broker(Job(job_id=job_id, **owed))
    [once] = await stored(nats.url)
    assert once.id == f"{service.federation.origin('default')}.7.0"
    assert acknowledged(service) == {"stored": 1, "repeated": 1}


async def test_what_was_owed_is_told_after_a_restart_and_what_was_told_is_not_told_again(
    tmp_path: Path, nats: Nats
) -> None:
    """Also where no recovery file is left, and every event is folded again."""
    settings, clock = chosen(tmp_path / "data", broker_url=nats.url), FixedClock()
    nats.kill()
    first = await Service.open(settings, clock)
    await first.loaded()
    episodes = [(await first.remembering.capture(LOCAL, CaptureRequest(goal=goal))).episode_id for goal in "ab"]
    await first.close()
    nats.start()
    for file in first.recovery.files():
        file.unlink()
    for outcomes in ({"stored": 2}, {}):
        again = await Service.open(settings, clock)
        await connected(again)
        await until(lambda service=again: service.outbox.jobs.open == {})
        assert acknowledged(again) == outcomes
        await again.close()
    assert [message.said["details"]["episode_id"] for message in await stored(nats.url)] == episodes
    report = await rebuild(settings, verify=True, progress=lambda n, of: None)
    assert report.differences == [], "what the broker is told teaches nothing"


async def test_a_thousand_things_at_once_are_all_owed(service: Service) -> None:
    """As when a purge by key deletes that many: the fold goes on before a second is over."""
    await connected(service)
    for first in range(1_000, 6_000, 200):
        happened(service, 200, first)
        await until(lambda: service.outbox.unwritten < PAGE)
    assert (service.outbox.left_out, service.outbox.jobs.given_up_ever) == (0, {})


async def test_a_broker_that_never_comes_back_keeps_the_newest_news_for_a_day_and_the_rest_is_counted(
    tmp_path: Path, lines: Lines
) -> None:
    settings = chosen(tmp_path / "data", broker_url="nats://127.0.0.1:9")
    clock = FixedClock()
    service = await Service.open(settings, clock)
    for first in range(1_000, 1_000 + MOST_OPEN, MOST_UNWRITTEN // 2):
        happened(service, MOST_UNWRITTEN // 2, first)
        await service.outbox.flush()
    happened(service, 7, 20_000)
    given_up = service.outbox.jobs.given_up
    assert (waiting(service), given_up[-1].why) == (MOST_OPEN, f"{MOST_OPEN} newer ones are open")
    assert min(int(job.about.split(".")[0]) for job in service.outbox.jobs.open.values()) == 1_007, "the oldest went"
    clock.advance(LONGEST_S + 1)
    while waiting(service):
        await service.outbox.tick("alarm")
    assert given_up[-1].why == "not done within 24 h"
    assert service.outbox.jobs.given_up_ever == {BROKER: MOST_OPEN + 7}
    assert service.outbox.left_out == 0
    told = [line["why"] for line in lines if line["event"] == "job_given_up"]
    assert told == [f"{MOST_OPEN} newer ones are open", "not done within 24 h"], "not one line for each"
    await service.close()


async def test_the_stream_is_made_where_there_is_none_again_if_need_be_and_never_changed(
    service: Service, nats: Nats
) -> None:
    await connected(service)
    async with jetstream(nats.url) as manager:
        made = (await manager.stream_info(STREAM)).config
        assert (made.subjects, made.storage, made.max_age) == (["pointsman.>"], "file", 7 * 86_400.0)
        assert made.duplicate_window == 3600.0
        await manager.delete_stream(STREAM)
        ids = happened(service, 1)
        await until(lambda: any(job.why == "no stream takes it" for job in service.outbox.jobs.open.values()))
        clock: Any = service.clock
        clock.advance(LONGEST_PAUSE_S)
        await until(lambda: waiting(service) == 0)
        assert [message.id for message in await stored(nats.url)] == ids
        await manager.update_stream(made, max_age=60.0, duplicate_window=60.0)
    nats.kill()
    await until(lambda: service.broker is not None and service.broker.stream.trouble is not None)
    nats.start()
    await connected(service)
    async with jetstream(nats.url) as manager:
        assert (await manager.stream_info(STREAM)).config.max_age == 60.0


async def test_every_name_of_a_tenant_is_one_token_and_no_two_are_the_same(service: Service, nats: Nats) -> None:
    assert service.broker is not None
    await connected(service)
    names = ["acme", "a-1", "a.1", "a*", ">", "*", "a b", "a\r\nPUB x", "ü", "a%2E1", "A", "a_1", "$JS", "."]
    for number, name in enumerate(names):
        news = News(place=(number, 0), tenant=name, at=1.0, kind="returned", details={})
        await service.broker(Job(job_id="jb", work=BROKER, about=news.id, body=news, at=0.0, due=0.0))
    told = await stored(nats.url)
    assert [message.said["tenant"] for message in told] == names
    tokens = [message.subject.split(".") for message in told]
    assert {(len(parts), parts[0], parts[2]) for parts in tokens} == {(3, "pointsman", "returned")}
    assert len({parts[1] for parts in tokens}) == len(names)
    assert [parts[1] for parts in tokens[:2]] == ["acme", "a-1"], "a name that the contract takes stays as it is"
    async with jetstream(nats.url) as listening:
        heard = await listening.subscribe("pointsman.a%2E1.*", ordered_consumer=True)
        assert (await heard.next_msg(timeout=5.0)).subject == "pointsman.a%2E1.returned"
        assert (await heard.consumer_info()).num_pending == 0, "nobody else's"


class Guarded(Nats):
    """One that lets nobody in without a password, and a guest publish nothing."""

    def command(self) -> list[str]:
        file = self.folder / "nats.conf"
        file.write_text(
            'authorization { users: [ {user: "host", password: "zzsecret"},'
            ' {user: "guest", password: "zzsecret", permissions: {publish: {deny: "pointsman.>"}}} ] }\n'
        )
        return [*super().command(), "-c", str(file)]


async def test_whoever_is_not_let_in_or_may_not_publish_is_told_so_without_a_secret_or_a_subject(
    tmp_path: Path,
) -> None:
    service = await Service.open(chosen(tmp_path / "data"), FixedClock())
    with running(Guarded) as server:
        async with held(server.url.replace("//", "//host:zzwrong@")) as refused:
            await until(lambda: refused.trouble == "nats: 'Authorization Violation'")
        async with held(server.url.replace("//", "//guest:zzsecret@")) as guest:
            await until(lambda: guest.trouble is None)
            broker = Broker(guest, service.federation.origin, service.metrics.broker_messages)
            news = News(place=(1, 0), tenant="zzsecret", at=1.0, kind="returned", details={})
            with pytest.raises(TryFailed) as failed:
                await broker(Job(job_id="jb", work=BROKER, about=news.id, body=news, at=0.0, due=0.0))
    assert str(failed.value) == "not permitted"
    await service.close()


def test_without_nats_py_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nats", None)
    with pytest.raises(BadSetting, match=r"pip install 'pointsman\[nats\]'"):
        JetStream("nats://127.0.0.1:9")
