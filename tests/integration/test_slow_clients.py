"""Clients that are slow on purpose: each is let go in time, and nobody else is held up by them."""

import asyncio
import resource
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.connections import WHOLE_S, Connections
from controlplane.intake import BURST

from .conftest import Running, chosen

Upstream = Callable[..., Any]
HEAD = b"POST /v1/capture HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
LONG = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE_S = 60.0
# What is sent at once, and what then goes on byte by byte for ever; None for silence.
MANNERS: dict[str, tuple[bytes, bytes | None]] = {
    "nothing": (b"", None),
    "half a request line": (b"GET /liv", None),
    "a request line without end": (b"GET /", b"a"),
    "headers without end": (HEAD, b"X-A: b\r\n"),
    "line ends only": (b"", b"\r\n"),
    "a body that does not come": (HEAD + b"Content-Length: 100\r\n\r\n", None),
    "a body byte by byte": (HEAD + b"Content-Length: 100000\r\n\r\n{", b" "),
    "chunks byte by byte": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body after the refusal": (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b" "),
    "a request, then half of one": (WHOLE + b"GET /li", None),
    "a request, then line ends": (WHOLE, b"\r\n"),
}


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Running]:
    """A server with little patience."""
    with Running(chosen(tmp_path / "data"), Connections(whole_s=0.4)) as running:
        yield running


async def linger(server: Running, manner: str, pace_s: float) -> str:
    """Behave so until the server ends it; the manner."""
    first, then = MANNERS[manner]
    reader, writer = await asyncio.open_connection(*address(server))
    ended = asyncio.create_task(reader.read())
    try:
        writer.write(first)
        while not ended.done():
            if then is not None:
                writer.write(then)
            await asyncio.wait([ended], timeout=pace_s)
        await ended
    except ConnectionError:
        return manner  # it was let go in the middle of a word
    finally:
        writer.transport.abort()
    return manner


async def traffic(url: str, until: asyncio.Event) -> AsyncIterator[float]:
    """A well-behaved client's requests, one after another on one connection; how long each took [s].

    On a busy machine it may itself be slower than the server's patience: then it comes again.
    """
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        while not until.is_set():
            begun = time.perf_counter()
            try:
                answer = await client.post("/v1/decisions", json={"planned_action": "ls"})
            except httpx.TransportError:
                continue
            if (answer.status_code, answer.json().get("code")) == (503, "overloaded"):
                continue  # so many came at once that a slow machine sheds
            assert answer.status_code == 200
            yield time.perf_counter() - begun


def address(server: Running) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rsplit(":", 1)[1])


async def beside(server: Running, slow: int, pace_s: float) -> tuple[Counter[str], list[float]]:
    """So many slow clients, all manners alike, and normal traffic until the last of them is gone."""
    over = asyncio.Event()

    async def crowd() -> Counter[str]:
        manners = [list(MANNERS)[n % len(MANNERS)] for n in range(slow)]
        try:
            async with asyncio.timeout(PATIENCE_S):
                return Counter(await asyncio.gather(*(linger(server, manner, pace_s) for manner in manners)))
        finally:
            over.set()

    gone = asyncio.create_task(crowd())
    took = [seconds async for seconds in traffic(server.url, over)]
    return await gone, took


async def test_two_hundred_slow_clients_are_let_go_and_hold_nobody_up(hasty: Running) -> None:
    gone, took = await beside(hasty, 200, 0.05)
    assert gone.keys() == MANNERS.keys()
    assert gone.total() == 200
    assert took, "others were answered meanwhile"


async def test_calls_whose_bodies_do_not_come_are_not_what_others_wait_for(tmp_path: Path) -> None:
    """They are not counted: with many times a burst of them there, it is calm."""
    connections, crowd = Connections(whole_s=PATIENCE_S), list[asyncio.Task[str]]()

    def calm() -> bool:
        intake = server.get("/status")["intake"]
        return connections.open >= len(crowd) and (intake["under_way"], intake["shedding"]) == (1, False)

    with Running(chosen(tmp_path / "data"), connections) as server:
        while len(crowd) < 4 * BURST:  # no more than a burst at once, which is refused on no machine
            crowd += [asyncio.create_task(linger(server, "a body that does not come", 1.0)) for _ in range(BURST // 2)]
            await asyncio.to_thread(server.until, calm)
        for lingering in crowd:
            lingering.cancel()
        await asyncio.wait(crowd)  # their connections are closed: a server that stops waits for those that are open


@pytest.mark.nightly
async def test_two_thousand_slow_clients_are_let_go_and_hold_nobody_up(tmp_path: Path) -> None:
    """As shipped: ten seconds, and no more connections than are good for the server."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    with Running(chosen(tmp_path / "data")) as server:
        alone = asyncio.Event()
        asyncio.get_running_loop().call_later(WHOLE_S, alone.set)
        before = [seconds async for seconds in traffic(server.url, alone)]
        gone, took = await beside(server, 2000, 1.0)
    resource.setrlimit(resource.RLIMIT_NOFILE, files)
    assert gone.total() == 2000
    for name, times in (("alone", before), ("beside 2,000 slow clients", took)):
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
        print(f"{name}: {len(times)} requests, p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms")


async def test_answers_that_are_not_taken_are_given_up(tmp_path: Path) -> None:
    """They fill the buffers of both sides; then the server waits for the client as for a request."""
    connections = Connections(whole_s=0.4)
    with Running(chosen(tmp_path / "data"), connections) as server, socket.create_connection(address(server)) as deaf:
        deaf.sendall(LONG * 20)
        server.until(lambda: connections.open == 1)
        server.until(lambda: connections.open == 0)


async def test_a_probe_gets_in_however_many_idle_connections_there_are(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data"), Connections(most=20)) as server:
        opened = [await asyncio.open_connection(*address(server)) for _ in range(100)]
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as client:
            assert (await client.get("/livez")).status_code == 200
        async with asyncio.timeout(PATIENCE_S):
            for reader, _ in opened[:70]:
                assert await reader.read() == b"", "the first to come were the first to go"
        for _, writer in opened:
            writer.transport.abort()


def test_a_request_that_is_worked_on_is_not_displaced(tmp_path: Path, upstream: Upstream) -> None:
    asked = threading.Event()

    def hang(request: Any, _: int) -> None:
        asked.set()
        router.release.wait(PATIENCE_S)

    router = upstream(hang)
    settings = chosen(tmp_path / "data", router_url=router.url, upstream_deadline_s=PATIENCE_S)
    with Running(settings, Connections(most=20)) as server:
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(server.route("a/1", "b/2")))
        waiting.start()
        assert asked.wait(PATIENCE_S)
        asyncio.run(_open_and_leave(server, 100))
        router.release.set()
        waiting.join()
    assert answers[0]["degraded"] == ["router"]


async def _open_and_leave(server: Running, count: int) -> None:
    opened = [await asyncio.open_connection(*address(server)) for _ in range(count)]
    for _, writer in opened:
        writer.transport.abort()


async def test_a_client_that_takes_its_time_within_the_deadline_is_served(tmp_path: Path) -> None:
    """Each of its requests has the whole time, and what it thinks between them does not count."""
    with Running(chosen(tmp_path / "data"), Connections(whole_s=1.0)) as server:
        reader, writer = await asyncio.open_connection(*address(server))
        for _ in range(3):
            for piece in (WHOLE[:10], WHOLE[10:]):
                await asyncio.sleep(0.2)
                writer.write(piece)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(len(b'{"status":"alive"}'))
        writer.transport.abort()
