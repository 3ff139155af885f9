"""Calls that would wait too long are refused where they come in: a 503 at once, never a slow success.

A refusal must cost a small part of an answer, or refusing is what the server does all day. So it is given before the
request is parsed, by the connection itself.
"""

from typing import NamedTuple

import msgspec

from ..errors import Overloaded
from ..ids import new_id
from ..service import Service
from .admission import OPENAI
from .encoding import JSON
from .problems import PROBLEM, RETRY_AFTER_S, as_openai, describe

PROBES = tuple(b"GET /" + name for name in (b"livez ", b"readyz ", b"startupz ", b"healthz ", b"metrics "))
_KEY, _ID = b"pm_live_", 12
_LENGTH = b"\r\ncontent-length:"
_ERROR = Overloaded("more calls come in than this server answers in time; nothing was done for this one")
_HEAD = (
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nRetry-After: {}\r\nX-Request-Id: %b\r\nContent-Length: {}"
)


_OPENAI = tuple(f"{method} {path} ".encode() for path in OPENAI for method in ("GET", "POST"))


def _answer() -> bytes:
    """But for the request's id, twice, and whether the connection is closed in between."""
    body = msgspec.json.encode(describe(_ERROR, "%b"))
    length = len(body) - len("%b") + len(new_id("rq"))
    return _HEAD.format(PROBLEM, RETRY_AFTER_S, length).encode() + b"%b\r\n\r\n" + body


def _openai_answer() -> bytes:
    """The same to OpenAI's clients, whose error has no place for the request's id."""
    body = msgspec.json.encode(as_openai(_ERROR))
    return _HEAD.format(JSON, RETRY_AFTER_S, len(body)).encode() + b"%b\r\n\r\n" + body + b"%.0b"


_ANSWER, _OPENAI_ANSWER = _answer(), _openai_answer()


class Refusal(NamedTuple):
    """An answer, and whether the connection is kept: it is where nothing of the request can follow."""

    answer: bytes
    keeps: bool


def refusal(service: Service, data: bytes) -> Refusal | None:
    """How the request that begins with these bytes is refused, if it is one too many; probes never are."""
    who = _tenant(service, data) if service.intake.shedding else ""
    if data.startswith(PROBES) or service.intake.admit(who):
        return None
    service.metrics.errors.labels(_ERROR.code).inc()
    request_id, whole = new_id("rq").encode(), is_whole(data)
    answer = _OPENAI_ANSWER if data.startswith(_OPENAI) else _ANSWER
    return Refusal(answer % (request_id, b"" if whole else b"\r\nConnection: close", request_id), whole)


def _tenant(service: Service, data: bytes) -> str:
    """Whose key is sent, not looked at more closely than that; all strangers are one."""
    at = data.find(_KEY, 0, data.find(b"\r\n\r\n")) + len(_KEY)
    known = service.registry.keys.get(data[at : at + _ID].decode("latin-1"))
    return known.tenant if known else ""


def is_whole(data: bytes) -> bool:
    """Whether these bytes are one request, head and body, and nothing else.

    >>> is_whole(b"POST / HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}"), is_whole(b"GET / HTTP/1.1\\r\\n\\r\\n")
    (True, True)
    >>> is_whole(b"POST / HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{"), is_whole(b"GET / HT")
    (False, False)
    """
    head, end, body = data.partition(b"\r\n\r\n")
    head = head.lower()
    told = head.partition(_LENGTH)[2].partition(b"\r\n")[0].strip() or b"0"
    return bool(end) and b"\r\ntransfer-encoding:" not in head and told.isdigit() and int(told) == len(body)
