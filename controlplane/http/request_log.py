"""The request log: a line for each request that an operator should see. And every answer names its request's id.

A line costs a good part of what a decision does, so what goes well is not logged unless that is asked for.
"""

import hmac
import logging
import re
from typing import Any

import structlog
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

from ..clock import Clock
from ..ids import new_id
from ..intake import Intake
from ..masking import without_secrets
from ..settings import RequestLogged

log = structlog.get_logger()
LABEL = "pointsman request log 1"
SLOW_S = 1.0
MOST = 10  # lines a second of one status: a flood of one kind fills no disk and hides no other
NO_ROUTE, ADMIN = "(none)", "/v1/admin/"
HEADER = b"x-request-id"
LONGEST = 64  # characters of a caller's own id
_TRACE = re.compile("tr_[0-9a-f]{32}")


class RequestLog:
    """Stands around the application; `key` is what tenants' names are hashed with.

    What is under way is told to the intake.
    """

    def __init__(self, logged: RequestLogged, key: bytes, clock: Clock, intake: Intake) -> None:
        self._logged, self._key, self._clock, self._intake = logged, key, clock, intake
        self._hashes: dict[str, str] = {}
        self._allowances: dict[int, _Allowance] = {}

    async def serve(self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Let the application answer under an id, and log it if it is due."""
        began, state = self._clock.monotonic(), scope.setdefault("state", {})
        state["request_id"] = request_id = _given(scope["headers"]) or new_id("rq")
        answer = _Answer(send, request_id)
        self._intake.begin()
        try:
            await app(scope, receive, answer.send)
        finally:
            self._intake.end()
        took_s = self._clock.monotonic() - began
        if self._due(scope, answer.status, took_s):
            self._log(scope, answer, took_s)

    def _due(self, scope: HTTPScope, status: int, took_s: float) -> bool:
        if self._logged != "failures":
            return self._logged == "all"
        return status >= 400 or took_s > SLOW_S or (scope["method"] != "GET" and ADMIN in _route(scope))

    def _log(self, scope: HTTPScope, answer: "_Answer", took_s: float) -> None:
        left_out = 0
        if answer.status >= 400 or self._logged == "failures":
            allowance = self._allowances.setdefault(answer.status, _Allowance())
            if (left_out := allowance.take(int(self._clock.monotonic()))) < 0:
                return
        caller = scope["state"].get("caller")
        told = {
            "tenant": self._hash(caller.tenant) if caller and caller.tenant else None,
            "key_id": caller.key_id or None if caller else None,
            "trace_id": _trace(scope),
            "left_out": left_out or None,
        }
        log.info(
            "request",
            method=scope["method"],
            route=_route(scope),
            status=answer.status,
            ms=round(1000 * took_s, 3),
            bytes=answer.size,
            request_id=scope["state"]["request_id"],
            **{name: value for name, value in told.items() if value is not None},
        )

    def _hash(self, tenant: str) -> str:
        """The same for the same tenant, and nothing that a list of names could be tried on."""
        if tenant not in self._hashes:
            self._hashes[tenant] = hmac.digest(self._key, tenant.encode(), "sha256").hex()[:12]
        return self._hashes[tenant]


class _Answer:
    """Passes an answer on with its request's id; what is seen of it."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._id = send, request_id
        self.status = self.size = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (HEADER, self._id.encode())]
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)


class _Allowance:
    """So many lines in each second."""

    def __init__(self) -> None:
        self._second = self._lines = self._left_out = 0

    def take(self, second: int) -> int:
        """How many lines were left out before this one; -1 where this one is, too."""
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= MOST:
            self._left_out += 1
            return -1
        self._lines += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


class Few(logging.Filter):
    """Passes so many lines a second of each warning of the server's library, of bytes that are no request above all."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._allowances = clock, dict[str, _Allowance]()

    def filter(self, record: logging.LogRecord) -> bool:
        allowance = self._allowances.setdefault(str(record.msg), _Allowance())
        if (left_out := allowance.take(int(self._clock.monotonic()))) > 0:
            record.msg = f"{record.msg} ({left_out} more were left out)"
        return left_out >= 0


def _given(headers: Any) -> str | None:
    """The caller's own id, when it is a short plain word, and looks like no secret."""
    given = next((value.decode("latin-1") for name, value in headers if name == HEADER), "")
    plain = given.isascii() and given.isprintable() and 0 < len(given) <= LONGEST
    return given if plain and without_secrets(given) == given else None


def _route(scope: HTTPScope) -> str:
    """The template, never the path: ids and whatever a caller made up are no part of it."""
    return scope.get("path_template") or NO_ROUTE


def _trace(scope: HTTPScope) -> str | None:
    """The decision that a request was about, or made."""
    state = scope["state"]
    named = [scope.get("path_params", {}).get("trace_id")]
    named += [getattr(state.get(thing), "trace_id", None) for thing in ("asked", "answered")]
    return next((name for name in named if isinstance(name, str) and _TRACE.fullmatch(name)), None)
