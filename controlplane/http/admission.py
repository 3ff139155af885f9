"""What may come in: JSON of bounded size, depth, text and numbers. Everything else is a clear 4xx.

Cheap tests on the raw bytes clear nearly every body; only a suspicious one is walked value by value.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
from litestar import Request
from litestar.types import Empty, HTTPRequestEvent

from ..contract import MAX_DOCUMENT, MAX_IMAGE, MAX_TEXT, MAX_TRACE
from ..errors import InvalidRequest, TooLarge, UnsupportedMedia
from ..idempotency import Receipt
from ..service import Service
from ..tenants import Caller, Left

MAX_BODY, MAX_LARGE = 256 * 1024, 1024 * 1024
OPENAI = frozenset(f"{before}/v1/{call}" for before in ("", "/api") for call in ("chat/completions", "models"))
CARRIED = frozenset(f"{before}/v1/memory" for before in ("", "/api"))
LARGE = CARRIED.union(f"{before}/v1/{call}" for before in ("", "/api") for call in ("capture", "search"))
MAX_DEPTH, AROUND = 32, 3  # levels; and those that stand around a capture that is carried
MAX_INT = 2**53
LONGER = {  # texts that may be longer, by where they stand, whichever of a list they are
    "$.error_trace": MAX_TRACE,
    "$.episodes.episode.error_trace": MAX_TRACE,
    "$.documents.text": MAX_DOCUMENT,
    "$.query": MAX_IMAGE,
    "$.images": MAX_IMAGE,
}
_NUL = rb"\u0000"
_LONG_NUMBER = re.compile(rb"[0-9](?:[eE]|[0-9]{15})")  # starts with one class, which the engine finds fast
# a string never gives back what it took, closed or not: its bytes are looked at once
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_PLACE = re.compile(r"\[\d+\]")
_decoder = msgspec.json.Decoder()


class AdmittedRequest(Request[Any, Any, Any]):
    """A request whose JSON was admitted. It reads its body itself, and no further than it may."""

    caller: Caller  # set by the route's guard before anything is read, as is what it has left of such calls
    left: Left | None = None
    receipt: Receipt | None = None  # of one that came with an idempotency key
    _sent: dict[bytes, bytes] | None = None

    @property
    def service(self) -> Service:
        """What answers it; not the framework's state, each look into which takes a lock."""
        found: Service = self.scope["litestar_app"].service  # type: ignore[attr-defined]
        return found

    @property
    def speaks_openai(self) -> bool:
        """Whether it came to one of the two paths that OpenAI's clients call."""
        return self.scope["path"] in OPENAI

    @property
    def sent(self) -> dict[bytes, bytes]:
        """The headers by name, in small letters; of one that came twice the last."""
        if self._sent is None:
            self._sent = dict(self.scope["headers"])
        return self._sent

    @property
    def may_be_large(self) -> bool:
        """Whether it may hold a conversation, or what one capture may."""
        return self.speaks_openai or self.scope["path"] in LARGE

    async def body(self) -> bytes:
        """The body.

        Raises:
          TooLarge: it is longer than MAX_BODY, or where it may be large MAX_LARGE, whatever its headers say.
          InvalidRequest: the caller went away before it was whole.
        """
        if self._body is Empty:
            intake = self.service.intake
            intake.end()  # while the caller is waited for, nobody waits for this call
            try:
                self._body = self._connection_state.body = await self._read()
            finally:
                intake.begin()
        return self._body

    async def _read(self) -> bytes:
        read, more, most = b"", True, MAX_LARGE if self.may_be_large else MAX_BODY
        while more and len(read) <= most:
            message = cast(HTTPRequestEvent, await self.receive())
            if message["type"] != "http.request":
                raise InvalidRequest("the connection was closed before the body was whole")
            read, more = read + message.get("body", b""), message.get("more_body", False)
        if len(read) > most:
            raise TooLarge(f"The body is over {most // 1024} KB; send less.")
        return read

    async def json(self) -> Any:
        """The body's value; see `admit`. It is read once."""
        if self._json is Empty:
            self._json = await self._value()
        return self._json

    async def _value(self) -> Any:
        body = await self.body()
        if self.sent.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            raise UnsupportedMedia
        if self.sent.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedMedia("send the body as it is, without Content-Encoding")
        deepest = MAX_DEPTH + (AROUND if self.scope["path"] in CARRIED else 0)
        return admit(body, MAX_LARGE if self.speaks_openai else MAX_TEXT, deepest)


def admit(body: bytes, most: int, deepest: int) -> Any:
    """The body's value.

    Raises:
      InvalidRequest: it is not JSON, or something in it is out of bounds; the message says what and where.
    """
    if body.count(b"{") + body.count(b"[") > deepest and _depth(body) > deepest:
        raise InvalidRequest(f"the body is nested deeper than {deepest}; flatten it")
    try:
        value = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
    if len(body) > MAX_TEXT or _NUL in body or _LONG_NUMBER.search(body):
        for path, wrong in _out_of_bounds(value, "$", most):
            raise InvalidRequest(f"{path}: {wrong}", errors=[{"path": path, "detail": wrong}])
    return value


def _depth(body: bytes) -> int:
    """Deepest nesting, strings apart."""
    deepest = depth = 0
    for mark in _MARKS.finditer(body):
        sign = mark[0]
        if sign in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif sign in (b"]", b"}"):
            depth -= 1
    return deepest


def _longest(path: str) -> int:
    """Characters of a text that has a bound of its own; 0 for all others."""
    return LONGER.get(_PLACE.sub("", path), 0)


def _out_of_bounds(value: Any, path: str, most: int) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            longest = max(most, _longest(path))
            if len(value) > longest:
                yield path, f"the text has {len(value)} characters; at most {longest} are taken"
            if "\x00" in value:
                yield path, "the text has a NUL character; remove it"
        case bool():
            return
        case int() if abs(value) > MAX_INT:
            yield path, "the number is beyond 2^53; send it as text"
        case float() if not math.isfinite(value) or abs(value) > MAX_INT:
            yield path, "the number is beyond 2^53; send it as text"
        case list():
            for i, item in enumerate(value):
                yield from _out_of_bounds(item, f"{path}[{i}]", most)
        case dict():
            for key, item in value.items():
                yield from _out_of_bounds(key, f"{path} key", most)
                yield from _out_of_bounds(item, f"{path}.{key[:64]}", most)
