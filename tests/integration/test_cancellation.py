"""A request that is cancelled at any of its awaits leaves nothing: no transaction, lock, claim, task or half an event.

A client that hangs up, a deadline, a server that stops: each cancels a request where it waits. Every route of the table
is cancelled at each of its awaits in turn, while it waits and as it is woken, with an idempotency key and without.
"""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditor.event import Event
from auditor.events import (
    EpisodeDeleted,
    KeyEnds,
    KeyIssued,
    Purged,
    Received,
    Recorded,
    WindowClosed,
)
from auditor.passage_events import DocumentKept, DocumentsDropped
from controlplane.app import create_app
from controlplane.http.routes import ROUTES
from controlplane.rebuilding import rebuild

from ..echoing import Echo
from .cancelling import Cancelled, claimed, left_behind, on_their_way, settled, until
from .conftest import catalogue_of, chosen
from .every_route import REQUESTS, Client

EVERYTHING = 2**60
SETTINGS = {
    "insecure_local": False,
    "recovery_interval_s": 3600.0,
    "openai_base_url": "http://127.0.0.1:9",  # where nobody is
}
CROWD, AWAITS = 24, 9  # requests at once; the await at which one is cancelled is drawn below this
NOTHING = WindowClosed(tenant="default", at=0.0, trace_id="nobody")
KEYED = {(route.method.__name__.upper(), route.path) for route in ROUTES if route.keyed}


class Way(NamedTuple):
    """How a route is cancelled: as it is woken or while it waits, with an idempotency key or without."""

    method: str
    path: str
    woken: bool
    keyed: bool


WAYS = [
    Way(*route, woken, keyed)
    for route in REQUESTS
    for woken in (False, True)
    for keyed in (False, True)
    if not keyed or route in KEYED
]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client of a started application, and what the loop complains of: errors that nobody heard of."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(str(told)))
    app = create_app(chosen(folder, **SETTINGS, catalogue=str(catalogue_of(folder, "one"))))
    async with app.lifespan():
        resilience: Any = app.service.models.chatting
        resilience._providers["openai"] = Echo(lambda: asyncio.sleep(0))
        outbox: Any = app.service.outbox
        outbox._deeds = {}  # or it would write on while somebody looks what a request left behind
        await until(lambda: app.service.memory.live)
        yield Client(app), complaints


async def cancelled(client: Client, way: Way, at: int, key: str) -> bool:
    """Send what this way sends and cancel it there; whether it was still going on then."""
    asked = await REQUESTS[way.method, way.path](client, way.path)
    headers = {"Idempotency-Key": key} if way.keyed else {}
    sent = client.request(way.method, asked, **headers)
    doomed = Cancelled(sent.answer(), at, woken=way.woken)
    with suppress(asyncio.CancelledError):
        await asyncio.create_task(doomed.run())
    await settled(client.service, client.resting)
    assert left_behind(client.service) == {}, f"{way} at {at}"
    if way.keyed:
        again = await client.request(way.method, asked, **headers).answer()
        assert again.status < 300, f"{way} at {at}: {again.body!r}"
    return doomed.suspended >= at


async def normal(client: Client) -> None:
    """Every call is answered as ever."""
    for (method, path), make in REQUESTS.items():
        answer = await client.request(method, await make(client, path)).answer()
        assert answer.status < 300, f"{method} {path}: {answer.body!r}"
    await settled(client.service, client.resting)
    assert left_behind(client.service) == {}


def former(event: DocumentKept, later: Event) -> bool:
    """Whether a document was replaced or dropped by what came later."""
    of = event.document
    dropped = isinstance(later, DocumentsDropped) and (later.origin, later.key) == (of.origin, of.key)
    return dropped or (isinstance(later, DocumentKept) and later.ref == event.ref)


def half_done(recorded: list[Recorded]) -> Iterator[str]:
    """Receipts without an effect or twice, purges that left the content, keys that were replaced and go on."""
    receipts, made, replaced = Counter[str](), dict[str, str](), dict[str, str]()
    for place, (seq, event) in enumerate((r.seq, r.event) for r in recorded):
        match event:
            case Received():
                receipts[event.key] += 1
                if place + 1 == len(recorded) or recorded[place + 1].event.kind in ("receipt", "answered"):
                    yield f"receipt {seq} has no effect"
            case EpisodeDeleted() if not isinstance(recorded[event.episode_id - 1].event, Purged):
                yield f"the purge {seq} left the content of {event.episode_id}"
            case DocumentKept() if any(former(event, later.event) for later in recorded[place + 1 :]):
                yield f"the content of document {seq} was left though it was replaced or dropped"
            case KeyIssued() if event.name in made:
                replaced[made[event.name]] = event.key_id
            case KeyIssued() if event.name.startswith("key "):
                made[event.name] = event.key_id
            case KeyEnds():
                replaced.pop(event.key_id, None)
    yield from (f"the key {key_id} of a request came twice" for key_id, times in receipts.items() if times > 1)
    yield from (f"{old} goes on, though {new} replaced it" for old, new in replaced.items())


def test_every_route_is_cancelled_here() -> None:
    """A route that is added is entered in REQUESTS."""
    assert set(REQUESTS) == {(route.method.__name__.upper(), route.path) for route in ROUTES}


async def test_a_request_cancelled_at_any_await_leaves_nothing_behind(tmp_path: Path) -> None:
    """Each way at its first await, its second and so on, until it is answered before it can be cancelled."""
    cancels, keys = 0, count()
    async with running(tmp_path / "data") as (client, complaints):
        for way in WAYS:
            at = 1
            while await cancelled(client, way, at, f"key-{next(keys)}"):
                at, cancels = at + 1, cancels + 1
        await normal(client)
        recorded = await client.service.journal.read(0, EVERYTHING)
        gc.collect()
        assert complaints == []
    print(f"{cancels} cancels, {len(recorded)} events")
    assert cancels > len(WAYS)
    assert list(half_done(recorded)) == []
    settings = chosen(tmp_path / "data", **SETTINGS)
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []


@pytest.mark.parametrize("cancels", [100, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_storms_of_cancelled_requests_leave_nothing_behind(tmp_path: Path, cancels: int, seed: int) -> None:
    """Many at once, ways and awaits drawn, so that they wait for each other's commits and folds."""
    rng, keys, made = random.Random(seed), count(), 0
    async with running(tmp_path / "data") as (client, complaints):
        while made < cancels:
            doomed = []
            for way in rng.choices(WAYS, k=CROWD):
                asked = await REQUESTS[way.method, way.path](client, way.path)
                headers = {"Idempotency-Key": f"key-{next(keys)}"} if way.keyed else {}
                sent = client.request(way.method, asked, **headers)
                doomed.append(Cancelled(sent.answer(), rng.randrange(1, AWAITS), woken=way.woken))
            tasks = [asyncio.create_task(one.run()) for one in doomed]
            await asyncio.gather(*tasks, return_exceptions=True)
            made += sum(task.cancelled() for task in tasks)
            await settled(client.service, client.resting)
            assert left_behind(client.service) == {}
        await normal(client)
        recorded = await client.service.journal.read(0, EVERYTHING)
        gc.collect()
        assert complaints == []
    print(f"{made} cancels, {len(recorded)} events")
    assert list(half_done(recorded)) == []
    settings = chosen(tmp_path / "data", **SETTINGS)
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []


@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/validate_fix"])
@pytest.mark.parametrize("woken", [False, True])
async def test_what_a_cancelled_report_claimed_of_its_share_is_held_until_it_is_folded(
    tmp_path: Path, path: str, woken: bool
) -> None:
    """The fold is held meanwhile, so that each report that is committed waits for it."""
    async with running(tmp_path / "data") as (client, _):
        service, at, held = client.service, 0, 0
        while True:
            at += 1
            sent = client.request("POST", await REQUESTS["POST", path](client, path))
            doomed = Cancelled(sent.answer(), at, woken=woken)
            async with service.learner._still:
                task = asyncio.create_task(doomed.run())
                await until(lambda task=task: task.done() or bool(service.learner._waiting))
                await service.journal.append(NOTHING)
                claims = claimed(service)
                assert claims == len(on_their_way(service)), f"cancelled at {at}"
            with suppress(asyncio.CancelledError):
                await task
            await settled(service, client.resting)
            assert left_behind(service) == {}
            held += claims * task.cancelled()
            if doomed.suspended < at:
                break
        assert held, "some were cancelled after they were handed in"
