"""Errors as RFC 9457 problem documents, with a stable code, the request's id and whether to try again."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import structlog
from litestar import Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from msgspec.inspect import FrozenSetType, LiteralType, Metadata, StructType, Type, UnionType, VarTupleType, type_info

from ..errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    PointsmanError,
    TooLarge,
    Unauthorized,
    UnknownPath,
)
from ..masking import without_secrets
from .admission import AdmittedRequest
from .encoding import JSON

log = structlog.get_logger()
TYPE, PROBLEM = "urn:pointsman:error:", "application/problem+json"
RETRY_AFTER_S = "1"
NONE_OF_FEW = "Invalid enum value"  # how the decoder says that a field takes a few values, and not this one
_PLACE = re.compile(r"\[[^\]]*\]")  # in a path like `scopes[1]`


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    retryable: bool
    errors: list[dict[str, str]] = []


class OpenAIFault(msgspec.Struct, kw_only=True):
    """What OpenAI's clients look for in an error."""

    message: str
    type: str
    code: str
    param: str | None = None


class OpenAIProblem(msgspec.Struct, kw_only=True):
    """The body of every error on the paths that OpenAI's clients call."""

    error: OpenAIFault


KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}  # as OpenAI calls them


def respond(
    request: AdmittedRequest, error: PointsmanError, headers: dict[str, str] | None = None
) -> Response[Problem | OpenAIProblem]:
    """An error as its answer."""
    request.service.metrics.errors.labels(error.code).inc()
    headers = dict(headers or {})
    if error.retryable:
        headers["Retry-After"] = RETRY_AFTER_S
    headers |= error.headers
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "X-API-Key"
    if request.speaks_openai:
        return Response(as_openai(error), status_code=error.status, media_type=JSON, headers=headers)
    problem = describe(error, request_id(request))
    return Response(problem, status_code=error.status, media_type=PROBLEM, headers=headers)


def as_openai(error: PointsmanError) -> OpenAIProblem:
    """An error as OpenAI's clients read it."""
    kind = KINDS.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    param = error.errors[0]["path"].removeprefix("$.") if error.errors else None
    return OpenAIProblem(error=OpenAIFault(message=str(error), type=kind, code=error.code, param=param))


def describe(error: PointsmanError, request_id: str) -> Problem:
    """What is said of an error."""
    return Problem(
        type=TYPE + error.code,
        title=(type(error).__doc__ or "").strip().splitlines()[0],
        status=error.status,
        detail=str(error),
        code=error.code,
        request_id=request_id,
        retryable=error.retryable,
        errors=error.errors,
    )


def request_id(request: AdmittedRequest) -> str:
    """The id the request came under (request_log.py)."""
    given: str = request.scope["state"]["request_id"]
    return given


def ours(request: AdmittedRequest, error: Exception) -> Response[Problem | OpenAIProblem]:
    assert isinstance(error, PointsmanError)
    return respond(request, error)


def framework(request: AdmittedRequest, error: Exception) -> Response[Problem | OpenAIProblem]:
    """The framework's own refusals in our words."""
    assert isinstance(error, HTTPException)
    match error:
        case NotFoundException():
            return respond(request, UnknownPath())
        case MethodNotAllowedException():
            return respond(request, MethodNotAllowed(), {"Allow": (error.headers or {}).get("allow", "")})
        case ValidationException():
            return respond(request, _invalid(request, error))
        case ClientException() if error.status_code == 413:
            return respond(request, TooLarge())
        case _ if error.status_code < 500:
            return respond(request, InvalidRequest(error.detail))
        case _:
            return unforeseen(request, error)


def _invalid(request: AdmittedRequest, error: ValidationException) -> InvalidRequest:
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [_named(item.get("key", ""), str(item.get("message", ""))) for item in extra if isinstance(item, dict)]
    for named in errors:
        if named["detail"].startswith(NONE_OF_FEW):
            parameters = request.route_handler.parsed_fn_signature.parameters
            fields = _PLACE.sub("", named["path"]).split(".")
            body = parameters.get("data")
            kind, path = (body, fields) if body is not None else (parameters[fields[0]], fields[1:])
            named["detail"] += f"; it takes {', '.join(values_taken(type_info(kind.annotation), path))}"
    said = "; ".join(f"{e['path']}: {e['detail']}" for e in errors)
    return InvalidRequest(said or error.detail, errors=errors)


def _named(key: str, message: str) -> dict[str, str]:
    """A field's error; `data` is the framework's word for the body, and a body it misses is its KeyError."""
    if (key, message) == ("data", "'data'"):
        return {"path": "$", "detail": "the body is empty; send a JSON object"}
    return {"path": "$" if key == "data" else key or "$", "detail": without_secrets(message)}


def values_taken(kind: Type, path: Sequence[str]) -> Iterator[str]:
    """The few values that the field at a path takes."""
    match kind:
        case Metadata(type=bare):
            yield from values_taken(bare, path)
        case UnionType(types=kinds):
            for one in kinds:
                yield from values_taken(one, path)
        case FrozenSetType(item_type=item) | VarTupleType(item_type=item):
            yield from values_taken(item, path)
        case StructType(fields=fields) if path:
            for field in fields:
                if field.encode_name == path[0]:
                    yield from values_taken(field.type, path[1:])
        case LiteralType(values=values) if not path:
            yield from map(str, values)


def unforeseen(request: AdmittedRequest, error: Exception) -> Response[Problem | OpenAIProblem]:
    """A defect: the log has it, the caller gets an id to quote."""
    internal = InternalError()
    response = respond(request, internal)
    log.error("internal_error", request_id=request_id(request), path=request.url.path, exc_info=error)
    return response


HANDLERS: dict[int | type[Exception], Any] = {
    PointsmanError: ours,
    HTTPException: framework,
    Exception: unforeseen,
}
