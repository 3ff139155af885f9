"""A load generator for loopback servers: keep-alive connections, closed loop (throughput) or open loop (latency).

Open loop sends on a fixed schedule and measures from the scheduled moment, so a stalled server cannot hide
its stall (coordinated omission). Runs are bounded in requests and in time.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, cast

import uvloop

from controlplane.tenants import Key

from .access import TENANT

STALL_S = 30.0


class Result(NamedTuple):
    """Latencies in seconds, sorted; `failed` counts answers that were not 2xx."""

    latencies_s: list[float]
    elapsed_s: float
    failed: int

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.elapsed_s

    def quantile_ms(self, q: float) -> float:
        return self.latencies_s[min(len(self.latencies_s) - 1, int(q * len(self.latencies_s)))] * 1000.0


def request_bytes(path: str, body: bytes, key: Key = TENANT) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key.text}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request in flight."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + length:
            answer, self._buffer = bytes(self._buffer[: end + 4 + length]), self._buffer[end + 4 + length :]
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    async def ask(self, request: bytes) -> bytes:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


async def connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Connection, "127.0.0.1", port) for _ in range(count)]
    return [protocol for _, protocol in made]


def closed_loop(port: int, make: Callable[[int], bytes], *, requests: int, connections: int) -> Result:
    """As many requests as the connections carry, one in flight on each."""

    async def run() -> Result:
        latencies: list[float] = []
        failed = 0
        numbers = iter(range(requests))

        async def worker(connection: Connection) -> None:
            nonlocal failed
            for number in numbers:
                request = make(number)
                begun = time.perf_counter()
                answer = await connection.ask(request)
                latencies.append(time.perf_counter() - begun)
                failed += not answer.startswith(b"HTTP/1.1 2")

        pool = await connect(port, connections)
        begun = time.perf_counter()
        await asyncio.wait_for(asyncio.gather(*(worker(c) for c in pool)), STALL_S * 4)
        return Result(sorted(latencies), time.perf_counter() - begun, failed)

    return uvloop.run(run())


def open_loop(port: int, make: Callable[[int], bytes], *, rate: float, seconds: float, connections: int = 64) -> Result:
    """`rate` requests a second on a fixed schedule, whatever the server does."""

    async def run() -> Result:
        latencies: list[float] = []
        failed = 0
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in await connect(port, connections):
            idle.put_nowait(connection)

        async def one(number: int, due: float) -> None:
            nonlocal failed
            connection = await idle.get()
            answer = await connection.ask(make(number))
            latencies.append(time.perf_counter() - due)
            failed += not answer.startswith(b"HTTP/1.1 2")
            idle.put_nowait(connection)

        begun = time.perf_counter()
        await paced(one, rate=rate, seconds=seconds)
        return Result(sorted(latencies), time.perf_counter() - begun, failed)

    return uvloop.run(run())


async def paced(one: Callable[[int, float], Coroutine[Any, Any, None]], *, rate: float, seconds: float) -> None:
    """Begin `one` (its number, when it is due) on a fixed schedule, whatever became of those before; wait for all."""
    begun, running = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(one(number, due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.wait_for(asyncio.gather(*running), STALL_S)
