"""Answers as bytes. The framework's own way from a struct to a response costs as much as a decision's choice."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from .admission import AdmittedRequest

_encoder = msgspec.json.Encoder()
JSON = "application/json"


def respond(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> ASGIResponse:
    """A JSON response of a struct or of builtins."""
    return ASGIResponse(body=_encoder.encode(value), media_type=JSON, status_code=status, headers=headers)


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
