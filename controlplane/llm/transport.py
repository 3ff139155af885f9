"""An exchange with a provider: one request, one answer, one deadline, bounded, and never cancelled.

A pool of connections does not survive calls that are cancelled. So an exchange runs in a task of its own and ends
by its deadline; whoever asked takes what comes from a queue, and may leave.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

import msgspec
import structlog

from ..clock import Clock
from .failures import SAYING_MORE, refusal
from .provider import ProviderFailed

log = structlog.get_logger()
MOST_BYTES = 10_000_000  # of an answer, whole or streamed
MOST_UNDER_WAY = 1000  # exchanges of one provider, those that nobody waits for any more included
PLAIN = {"Content-Type": "application/json", "Accept-Encoding": "identity"}  # nothing to inflate
LEAVING_S = 1.0  # from the end of the process on
CONNECT_S = 5.0  # longest time until there is a connection


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A POST below the base URL."""

    path: str
    body: bytes
    headers: Mapping[str, str]


class Head(msgspec.Struct, frozen=True):
    """How an answer begins; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]


class Sink:
    """Takes an answer as it comes in, and refuses what is too late, too large or packed."""

    def __init__(self, ends: float) -> None:
        self.ends = ends  # by the loop's clock
        self.wanted = True
        self.queue: asyncio.Queue[Head | bytes | ProviderFailed | None] = asyncio.Queue()
        self._left = MOST_BYTES

    @property
    def left_s(self) -> float:
        """What is left of the deadline, in seconds; never nothing, which libraries take for no bound."""
        return max(self.ends - asyncio.get_running_loop().time(), 0.001)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The status and the headers are there.

        Raises:
          ProviderFailed: the body is packed, though only plain ones are asked for.
        """
        small = {name.lower(): value for name, value in headers.items()}
        if small.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            raise ProviderFailed("garbled", status=status, billed=True)
        self.queue.put_nowait(Head(status, small))

    def part(self, part: bytes) -> None:
        """A part of the body is there.

        Raises:
          ProviderFailed: it is too much, or too late.
        """
        self._left -= len(part)
        if self._left < 0:
            raise ProviderFailed("too_large", billed=True)
        if asyncio.get_running_loop().time() > self.ends:
            raise ProviderFailed("timeout", retryable=True, billed=True)
        if self.wanted:
            self.queue.put_nowait(part)

    def forget(self) -> None:
        """Nobody takes any more of it."""
        self.wanted = False
        while not self.queue.empty():
            self.queue.get_nowait()


class Transport(Protocol):
    """A way to one base URL. Redirects are not followed, and nothing is unpacked."""

    async def exchange(self, request: Request, sink: Sink) -> None:
        """Send the request and hand the answer to the sink.

        Raises:
          ProviderFailed: it did not come whole; the sink's own are passed on.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Exchanges:
    """All exchanges under way over one transport."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport, self._clock = transport, clock
        self._slots = asyncio.Semaphore(MOST_UNDER_WAY)
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps tasks only weakly

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    async def open(self, request: Request, deadline_s: float) -> "Answer":
        """The answer, begun.

        Raises:
          ProviderFailed: it did not begin within the deadline, or the status is another than 200.
        """
        sink = Sink(asyncio.get_running_loop().time() + deadline_s)
        await self._slot(sink.ends)
        task = asyncio.create_task(self._run(request, sink), name="provider")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        answer = Answer(sink)
        await answer.begin()
        if answer.status != 200:
            said = await answer.said() if answer.status in SAYING_MORE else b""
            answer.leave()
            raise refusal(answer.status, answer.headers, said, self._clock.now())
        return answer

    async def close(self) -> None:
        """Wait a little for what is under way, end the rest, and let go of the connections."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=LEAVING_S)
            for task in late:  # no connection of the pool is used any more
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._transport.close()

    async def _slot(self, ends: float) -> None:
        if not self._slots.locked():  # a bound on time is not free
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout_at(ends):
                await self._slots.acquire()
        except TimeoutError as error:
            raise ProviderFailed("timeout", retryable=True) from error

    async def _run(self, request: Request, sink: Sink) -> None:
        try:
            await self._transport.exchange(request, sink)
        except ProviderFailed as failure:
            sink.queue.put_nowait(failure)
        except Exception as error:  # whatever a library raises that it does not say: the caller must not wait for it
            log.error("provider_exchange_broke", error=type(error).__name__)
            sink.queue.put_nowait(ProviderFailed("garbled", billed=True))
        else:
            sink.queue.put_nowait(None)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._slots.release()
        self._tasks.discard(task)


class Answer:
    """An answer that is coming in."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.status, self.headers = 0, dict[str, str]()

    async def begin(self) -> None:
        """Wait for the status and the headers.

        Raises:
          ProviderFailed: they do not come in time.
        """
        try:
            first = await self._next()
        except BaseException:
            self.leave()
            raise
        assert isinstance(first, Head)
        self.status, self.headers = first.status, dict(first.headers)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes; whoever leaves early leaves the rest to be read by nobody.

        Raises:
          ProviderFailed: the rest does not come, or not in time.
        """
        try:
            while isinstance(part := await self._next(), bytes):
                yield part
        finally:
            self.leave()

    async def whole(self) -> bytes:
        """The body.

        Raises:
          ProviderFailed: it does not come whole, or not in time.
        """
        return b"".join([part async for part in self.parts()])

    async def said(self) -> bytes:
        """The body of a refusal, or nothing where it does not come whole: the refusal stands either way."""
        try:
            return await self.whole()
        except ProviderFailed:
            return b""

    def leave(self) -> None:
        """Take no more of it, and let go of what nobody took."""
        self._sink.forget()

    async def _soon(self) -> Head | bytes | ProviderFailed | None:
        try:
            async with asyncio.timeout_at(self._sink.ends):
                return await self._sink.queue.get()
        except TimeoutError as error:
            raise ProviderFailed("timeout", retryable=True, billed=True) from error

    async def _next(self) -> Head | bytes | None:
        item = await self._soon() if self._sink.queue.empty() else self._sink.queue.get_nowait()
        if not isinstance(item, ProviderFailed):
            return item
        try:
            raise item
        finally:
            del (
                item
            )  # or the failure would hold this frame, and the frame it: what came in would wait for the collector
