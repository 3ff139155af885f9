"""Connections that are slow on purpose, or too many: the server has no deadline for what comes in, so it stands here.

A request must be whole some seconds after its first byte, the first one after the connection was made; an answer must
be taken as soon. One look a second over all connections, so the hot path pays two assignments a request. Where too many
are open, a new one takes the place of the slowest, so that whoever sends a whole request, a health probe above all,
gets in.
"""

import asyncio
import resource
from typing import Any

import msgspec
import structlog
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from .errors import InvalidRequest
from .http.problems import PROBLEM, describe
from .http.shedding import refusal
from .ids import new_id
from .service import Service

log = structlog.get_logger()
WHOLE_S = 10.0  # how long a request may take to arrive, and an answer to be taken
MOST = 1000  # connections, or half of what the operating system lets this process open
MAX_HEAD = 64 * 1024  # bytes of request line and headers
NOT_HTTP = f"the request is not valid HTTP/1.1, or its line and headers are over {MAX_HEAD // 1024} KB"
_LOOKS = 10  # at every connection within that time
_CLEARED = 10  # at least so many make room at once, so that not every newcomer costs a look at all of them


class Connections:
    """All connections of one server; `protocol` is what it makes for each."""

    def __init__(self, whole_s: float = WHOLE_S, most: int | None = None) -> None:
        self._whole_s, self._most = whole_s, most or most_connections()
        self._open: set[Bounded] = set()
        self._looking = False

    @property
    def open(self) -> int:
        return len(self._open)

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Bounded":
        """The server asks for one per connection, by these names."""
        return Bounded(self, config, server_state, app_state, _loop)

    def enter(self, connection: "Bounded") -> None:
        """Count a new connection; where there are too many, the slowest go."""
        if self.open >= self._most:
            self._make_room()
        self._open.add(connection)
        if not self._looking:
            self._looking = True
            connection.loop.call_later(self._whole_s / _LOOKS, self._look, connection.loop)

    def leave(self, connection: "Bounded") -> None:
        self._open.discard(connection)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = [connection for connection in self._open if connection.late_s(now) > self._whole_s]
        for connection in late:
            connection.transport.abort()
        if late:
            log.info("slow_connections_closed", connections=len(late), after_s=self._whole_s, open=self.open)
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(self._whole_s / _LOOKS, self._look, loop)

    def _make_room(self) -> None:
        """Close those who owe a request the longest, then those who sit idle; nobody whose request is worked on."""
        owing = sorted(self._open, key=lambda c: c.since or float("inf"))
        going = [c for c in owing if c.since is not None or c.idle][: max(_CLEARED, self._most // 10)]
        for connection in going:
            connection.transport.abort()
            self._open.discard(connection)
        log.warning("connections_displaced", connections=len(going), open=self.open)


class Bounded(HttpToolsProtocol):
    """One connection, and since when it owes a whole request [seconds of the loop's clock]."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        self._service: Service = config.app.service  # type: ignore[union-attr]
        self.since: float | None = self.loop.time()
        self._stuck_since: float | None = None
        self._unread = 0  # bytes since the last whole request
        self._in_head = True

    @property
    def idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def late_s(self, now: float) -> float:
        """How long it has owed the rest of a request, or not taken its answer; called at every look."""
        stuck = self.transport.is_closing() or self.flow.write_paused
        self._stuck_since = (self._stuck_since or now) if stuck else None
        owing = None if self.flow.read_paused else self.since  # what we do not read is not owed
        return max(now - (owing or now), now - (self._stuck_since or now))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._all.leave(self)

    def data_received(self, data: bytes) -> None:
        if not self._unread and self.idle and self._refused(data):
            return
        if self.since is None:
            self.since = self.loop.time()
        self._unread += len(data)
        super().data_received(data)
        if self._in_head and self._unread > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("")

    def _refused(self, data: bytes) -> bool:
        """Whether the request that begins here is one too many; then it is answered."""
        refused = refusal(self._service, data)
        if refused is None:
            return False
        self.transport.write(refused.answer)
        self.since = None
        self._unset_keepalive_if_required()
        if refused.keeps:
            after_s = self.timeout_keep_alive
            self.timeout_keep_alive_task = self.loop.call_later(after_s, self.timeout_keep_alive_handler)
        else:
            self.transport.close()
        return True

    def on_message_begin(self) -> None:
        self.since, self._in_head = self.loop.time(), True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._unread > MAX_HEAD and len(self.url) + sum(len(k) + len(v) for k, v in self.headers) > MAX_HEAD:
            raise InvalidRequest  # into the parser, which hands it on as what it could not parse
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        self.since, self._unread = None, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; it does not fall into an answer that was begun, or is owed to the one before."""
        if self.idle:
            unanswered = self._in_head
        elif self.cycle.more_body:
            unanswered = not (self.pipeline or self.cycle.response_started)
        else:
            self.cycle.keep_alive = False  # a whole request is answered, and nothing after it
            return
        if unanswered:
            request_id = new_id("rq")
            body = msgspec.json.encode(describe(InvalidRequest(NOT_HTTP), request_id))
            head = f"content-type: {PROBLEM}\r\nx-request-id: {request_id}\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[InvalidRequest.status] + head.encode() + body)
        self.transport.close()


def most_connections() -> int:
    """How many may be open, as the operating system allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else min(MOST, files // 2)
