"""Answers as bytes. The framework's own way from a struct to a response costs as much as a decision's choice."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from .admission import AdmittedRequest

_encoder = msgspec.json.Encoder()
JSON = "application/json"
_CONTENT_TYPE = (b"content-type", JSON.encode())


class Encoded(ASGIResponse):
    """An answer that is bytes already: it is sent, and nothing else is done to it."""

    __slots__ = ("_body", "_start")

    def __init__(self, body: bytes, status: int, headers: dict[str, str] | None) -> None:
        sent = [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
        if headers is not None:
            sent += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._start: HTTPResponseStartEvent = {"type": "http.response.start", "status": status, "headers": sent}
        self._body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._start)
        await send(self._body)


def respond(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> ASGIResponse:
    """A JSON response of a struct or of builtins."""
    return Encoded(_encoder.encode(value), status, headers)


def encoded(call: Callable[..., Awaitable[Any]], status: int) -> Callable[..., Awaitable[Any]]:
    """The call, with its answer encoded; a response it made itself is passed on, and None stays None.

    Who is limited is told what is left; what was asked and answered stays at hand for the request log.
    """
    if inspect.signature(call).return_annotation is None:
        return call

    @functools.wraps(call)
    async def wrapped(*args: Any, **kwargs: Any) -> ASGIResponse:
        request: AdmittedRequest | None = kwargs.get("request")
        if request is None:
            answer = await call(*args, **kwargs)
            return answer if isinstance(answer, ASGIResponse) else respond(answer, status)
        request.scope["state"]["asked"] = kwargs.get("data")
        request.scope["state"]["answered"] = answer = await call(*args, **kwargs)
        if isinstance(answer, ASGIResponse):
            return answer
        return respond(answer, status, request.left.headers if request.left else None)

    hints = inspect.get_annotations(call)
    wrapped.__annotations__ = {**hints, "return": ASGIResponse}
    wrapped.__signature__ = inspect.signature(call).replace(return_annotation=ASGIResponse)  # type: ignore[attr-defined]
    return wrapped
