"""Whom alarms are sent to, in the place of a network: the seed draws what it does; it remembers what it took."""

import asyncio
import hmac
import random
from collections import Counter
from collections.abc import Callable

import httpx
import msgspec

from .loop import SimulatedLoop

URL = "http://receiver.test/alarms"
HOW = {"takes": 5, "refuses": 2, "is out of reach": 1, "hangs": 2}
STATUSES = (400, 500, 503, 302)  # of refusals; who follows the last asks for another address
PAUSE_S = (0.0, 0.003, 0.1, 4.0)


class Receiver(httpx.AsyncBaseTransport):
    """Hears one process after another. What it did not like is in `wrong`."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random, note: Callable[..., None]) -> None:
        self.key = b""  # of signatures
        self.steady = False  # whether it takes everything
        self.taken: set[str] = set()  # ids
        self.heard: Counter[str] = Counter()  # what it did, and which alarms it took
        self.wrong: list[str] = []
        self._loop, self._rng, self._note = loop, rng, note
        self._bodies: dict[str, bytes] = {}
        self._under_way: dict[asyncio.Task[object], str] = {}
        self._closed: asyncio.Future[None] = loop.create_future()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One delivery."""
        body = await request.aread()
        how = "takes" if self.steady else self._rng.choices(list(HOW), list(HOW.values()))[0]
        self._note("alarm", how, body)
        self.heard[how] += 1
        if how == "is out of reach":
            raise httpx.ConnectError("nobody is there")
        said = msgspec.json.decode(body)
        self._look(request, body, said["id"])
        if how == "hangs":
            await self._pass(request.extensions["timeout"]["read"])
            raise httpx.ReadTimeout("no answer came")
        await self._pass(self._rng.choice(PAUSE_S))
        if how == "refuses":
            return _answered(self._rng.choice(STATUSES))
        self.taken.add(said["id"])
        self.heard[said["alarm"]] += 1
        return _answered(204)

    def _look(self, request: httpx.Request, body: bytes, job_id: str) -> None:
        """It was sent here, signed as documented, as it was before, and not while it is being sent already."""
        sent = dict(part.split("=", 1) for part in request.headers["X-Pointsman-Signature"].split(","))
        signed = sent["t"].encode() + b"." + body
        if not hmac.compare_digest(hmac.new(self.key, signed, "sha256").hexdigest(), sent["v1"]):
            self.wrong.append(f"the outbox: the signature of {body!r} is not genuine")
        if str(request.url) != URL:
            self.wrong.append(f"the outbox: an alarm was sent to {request.url}")
        if self._bodies.setdefault(job_id, body) != body:
            self.wrong.append(f"the outbox: {body!r} was sent as {self._bodies[job_id]!r} before")
        if job_id in self._under_way.values():
            self.wrong.append(f"the outbox: two tries of {body!r} at once")
        task = asyncio.current_task()
        assert task is not None
        self._under_way[task] = job_id
        task.add_done_callback(self._under_way.pop)

    async def _pass(self, seconds: float) -> None:
        """Time passes, unless the process closes its connections."""
        closed, _ = await asyncio.wait({self._closed}, timeout=seconds)
        if closed:
            raise httpx.ReadError("the connection was closed")

    async def aclose(self) -> None:
        """End what is under way; the next process may connect."""
        self._closed.set_result(None)
        if self._under_way:
            await asyncio.wait(set(self._under_way))
        self._closed = self._loop.create_future()


def _answered(status: int) -> httpx.Response:
    return httpx.Response(status, headers={"Location": f"{URL}/elsewhere"}, stream=httpx.ByteStream(b""))
