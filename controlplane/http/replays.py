"""Calls about offline replays, and the stream that tells how far one is."""

import asyncio

import msgspec
from litestar.params import FromPath, JSONBody
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from ..contract import ReplayAnswer, ReplayRequest
from ..intake import Intake
from ..replay.jobs import Job
from .admission import AdmittedRequest

STREAM = "text/event-stream"
STILL_S = 15.0  # without news, after which the last is told again: nothing between closes the stream


async def start(request: AdmittedRequest, data: JSONBody[ReplayRequest]) -> ReplayAnswer:
    """Replay a policy on a window of one's own decisions; it goes on after the answer."""
    return (await request.service.replays.start(request.caller.tenant, data)).answer()


async def read(request: AdmittedRequest, replay_id: FromPath[str]) -> ReplayAnswer:
    """How far a replay is, and its report once it is done."""
    return request.service.replays.of(request.caller.tenant, replay_id).answer()


async def events(request: AdmittedRequest, replay_id: FromPath[str]) -> ASGIResponse:
    """Server-sent events: each change of a replay, the last one with its report."""
    job = request.service.replays.of(request.caller.tenant, replay_id)
    return _Events(job, request.service.intake)


async def cancel(request: AdmittedRequest, replay_id: FromPath[str]) -> None:
    """End a replay; one that is over is forgotten."""
    await request.service.replays.cancel(request.caller.tenant, replay_id)


class _Events(ASGIResponse):
    """Every change until the replay is over or nobody listens. While it waits it is no call under way."""

    __slots__ = ("_intake", "_job")

    def __init__(self, job: Job, intake: Intake) -> None:
        super().__init__(media_type=STREAM)
        self._job, self._intake = job, intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(opened())
        gone = asyncio.create_task(gone_of(receive))
        try:
            while not self._job.over and not gone.done():
                news = self._job.news  # of what changes while the last is told, too
                await tell(send, self._event("progress"))
                await self._until(news, gone)
            await tell(send, self._event(self._job.kept.state))
        finally:
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until(self, news: asyncio.Event, gone: "asyncio.Task[None]") -> None:
        """Wait for a change, for the listener to go, or for so long that something is to be said."""
        changed = asyncio.create_task(news.wait())
        self._intake.end()
        try:
            await asyncio.wait({changed, gone}, timeout=STILL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._intake.begin()
            changed.cancel()

    def _event(self, name: str) -> bytes:
        return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(self._job.answer()))


def opened() -> HTTPResponseStartEvent:
    """How a stream of events begins: nothing between keeps or holds back any of it."""
    headers = [(b"content-type", STREAM.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def tell(send: Send, told: bytes) -> None:
    """Send a part of it."""
    await send({"type": "http.response.body", "body": told, "more_body": True})


async def gone_of(receive: Receive) -> None:
    """Until the listener has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue
