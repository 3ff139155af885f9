"""The bodies a provider should not send."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import cache

import msgspec

from .fake_script import Behaviour
from .fake_shapes import Json

MEGABYTE = 1_000_000
HUGE, BOMB, LONG_HEAD = 11 * MEGABYTE, 50 * MEGABYTE, MEGABYTE
SLOW_S = 0.1  # between two bytes of a drip
WHOLE_ONLY = ("huge", "huge_head", "gzip_bomb", "endless", "drip")  # are not streamed as events


def broken_head(behaviour: Behaviour) -> dict[str, str] | None:
    """Headers that a fault adds; None for a fault that a stream of events can have too."""
    match behaviour.fault:
        case "gzip_bomb":
            return {"content-encoding": "gzip"}
        case "huge_head":
            return {"x-long": "x" * LONG_HEAD}
        case "endless":
            return {"transfer-encoding": "chunked"}
    return {} if behaviour.fault in WHOLE_ONLY else None


def broken_body(behaviour: Behaviour, body: Json) -> bytes:
    """What is sent instead of a whole answer, or the answer."""
    match behaviour.fault:
        case "garbage":
            return b"<html>502 Bad Gateway</html>"
        case "wrong_schema":
            return b'{"answer": 42}'
        case "duplicate_choices":
            return msgspec.json.encode(
                {name: value * 2 if name == "choices" else value for name, value in body.items()}
            )
        case "huge":
            return b'{"text": "' + b"x" * HUGE + b'"}'
        case "gzip_bomb":
            return bomb()
        case "error_inside":
            return msgspec.json.encode({"error": behaviour.error or {"code": 502, "message": "scripted"}})
    encoded = msgspec.json.encode(body)
    return encoded[: len(encoded) // 2] if behaviour.fault == "no_done" else encoded


def whole_parts(behaviour: Behaviour, head: bytes, body: bytes) -> Iterable[bytes]:
    """An answer as it is written: in one piece, or as its fault wants it."""
    if behaviour.fault == "endless":
        return _endless(head)
    full = head[:-2] + b"content-length: %d\r\n\r\n" % len(body)
    match behaviour.fault:
        case "cut" | "stall":
            return [full + body[: len(body) // 2]]
        case "drip":
            return [full, *(body[place : place + 1] for place in range(len(body)))]
    return [full + body]


async def in_time(behaviour: Behaviour, parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The parts with the pauses between them."""
    pause_s = behaviour.between_s or (SLOW_S if behaviour.fault == "drip" else 0)
    for place, part in enumerate(parts):
        if place and pause_s:
            await asyncio.sleep(pause_s)
        yield part


@cache
def bomb() -> bytes:
    """Little that unpacks into much."""
    return gzip.compress(bytes(BOMB))


def _endless(head: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield b"10000\r\n" + b" " * 65536 + b"\r\n"
