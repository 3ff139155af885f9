"""News of a tenant's memory as server-sent events."""

import asyncio
from typing import Annotated

import msgspec
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from ..errors import InvalidRequest
from ..intake import Intake
from ..news import KINDS, Bus, Listener, News, place_of
from .admission import AdmittedRequest
from .replays import STREAM, gone_of, opened, tell

STILL_S = 15.0  # without news, after which a comment is sent: nothing between closes the stream
LAST, ACCEPT = b"last-event-id", b"accept"


async def events(
    request: AdmittedRequest, kinds: Annotated[str | None, QueryParameter(max_length=256)] = None
) -> ASGIResponse:
    """Server-sent events: what happens to the tenant's memory, from now on, or from `Last-Event-ID` on."""
    wanted = frozenset(KINDS if kinds is None else kinds.split(","))
    if unknown := sorted(wanted - KINDS.keys()):
        raise InvalidRequest(f"kinds has {', '.join(map(repr, unknown))}; it takes {', '.join(KINDS)}")
    last = request.sent.get(LAST)
    stays = STREAM.encode() in request.sent.get(ACCEPT, b"")
    return _Events(request.service.news, request.service.intake, request.caller.tenant, wanted, last, stays)


class _Events(ASGIResponse):
    """What came since; for who takes a stream all that comes until it leaves. Waiting is no call under way."""

    __slots__ = ("_bus", "_intake", "_kinds", "_last", "_stays", "_tenant")

    def __init__(
        self, bus: Bus, intake: Intake, tenant: str, kinds: frozenset[str], last: bytes | None, stays: bool
    ) -> None:
        super().__init__(media_type=STREAM)
        self._bus, self._intake, self._tenant = bus, intake, tenant
        self._kinds, self._last, self._stays = kinds, last, stays

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listener = self._bus.listen(self._tenant, self._kinds)
        gone = asyncio.create_task(gone_of(receive))
        try:
            await send(opened())
            await tell(send, self._before())
            while self._stays and not self._bus.closed and not gone.done():
                await self._until(listener, gone)
                await tell(send, _told(*listener.take()))
        finally:
            gone.cancel()
            self._bus.leave(self._tenant, listener)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _before(self) -> bytes:
        """What came since the last event that the caller knows."""
        if self._last is None:
            return b": from here on\n\n"
        place = place_of(self._last.decode("latin-1"))
        whole, since = (False, []) if place is None else self._bus.since(self._tenant, place, self._kinds)
        return (b": all since\n\n" if whole else _missed(None)) + b"".join(map(_event, since))

    async def _until(self, listener: Listener, gone: "asyncio.Task[None]") -> None:
        """Wait for news, for the listener to go, or for so long that something is to be said."""
        rang = asyncio.create_task(listener.rang.wait())
        self._intake.end()
        try:
            await asyncio.wait({rang, gone}, timeout=STILL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._intake.begin()
            rang.cancel()


def _told(lost: int, news: list[News]) -> bytes:
    if not news:
        return b": nothing new\n\n"
    return (_missed(lost) if lost else b"") + b"".join(map(_event, news))


def _missed(lost: int | None) -> bytes:
    """Some are not told; how many, where that is known."""
    return b"event: missed\ndata: %s\n\n" % msgspec.json.encode({"lost": lost})


def _event(news: News) -> bytes:
    data = msgspec.json.encode({"at": news.at, **news.details})
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (news.id.encode(), news.kind.encode(), data)
