"""Calls that would wait too long are refused where they come in: a 503 at once, never a slow success.

A refusal must cost a small part of an answer, or refusing is what the server does all day. So it is given before the
request is parsed, by the connection itself.
"""

import asyncio
from typing import Any

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..errors import Overloaded
from ..ids import new_id
from ..service import Service
from .problems import MEDIA_TYPE, RETRY_AFTER_S, document

PROBES = tuple(b"GET /" + name for name in (b"livez ", b"readyz ", b"startupz ", b"healthz ", b"metrics "))
_KEY, _ID = b"pm_live_", 12
_LENGTH = b"\r\ncontent-length:"
_ERROR = Overloaded("more calls come in than this server answers in time; nothing was done for this one")
_HEAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: %b\r\nRetry-After: %b\r\nContent-Length: %d%b%b"
_FIELDS = MEDIA_TYPE.encode(), RETRY_AFTER_S.encode()


class SheddingProtocol(HttpToolsProtocol):
    """A connection that asks the intake before it hands a request on. Probes always come through."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._service: Service = config.app.state.service  # type: ignore[union-attr]
        self._intake = self._service.intake
        self._between_requests = True

    def data_received(self, data: bytes) -> None:
        if self._between_requests and (self.cycle is None or self.cycle.response_complete):
            who = self._tenant(data) if self._intake.shedding else ""
            if not data.startswith(PROBES) and not self._intake.admit(who):
                return self._refuse(data)
        return super().data_received(data)

    def on_message_begin(self) -> None:
        self._between_requests = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between_requests = True
        super().on_message_complete()

    def _tenant(self, data: bytes) -> str:
        """Whose key is sent, not looked at more closely than that; all strangers are one."""
        at = data.find(_KEY, 0, data.find(b"\r\n\r\n")) + len(_KEY)
        known = self._service.registry.keys.get(data[at : at + _ID].decode("latin-1"))
        return known.tenant if known else ""

    def _refuse(self, data: bytes) -> None:
        """Answer 503; the connection is kept when nothing of the request can follow."""
        self._service.metrics.errors.labels(_ERROR.code).inc()
        body = msgspec.json.encode(document(_ERROR, new_id("rq")))
        whole = _is_whole(data)
        end = b"\r\n\r\n" if whole else b"\r\nConnection: close\r\n\r\n"
        self.transport.write(_HEAD % (*_FIELDS, len(body), end, body))
        self._unset_keepalive_if_required()
        if whole:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self.transport.close()


def _is_whole(data: bytes) -> bool:
    """Whether these bytes are one request, head and body, and nothing else.

    >>> _is_whole(b"POST / HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}"), _is_whole(b"GET / HTTP/1.1\\r\\n\\r\\n")
    (True, True)
    >>> _is_whole(b"POST / HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{"), _is_whole(b"GET / HT")
    (False, False)
    """
    head, end, body = data.partition(b"\r\n\r\n")
    head = head.lower()
    told = head.partition(_LENGTH)[2].partition(b"\r\n")[0].strip() or b"0"
    return bool(end) and b"\r\ntransfer-encoding:" not in head and told.isdigit() and int(told) == len(body)
