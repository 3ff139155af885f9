"""Bytes no client library would send, written to the server's socket: refused with one text, or taken as meant.

What JSON and the contract forbid is in test_bad_input.py; here is what lies around it: the request line, headers,
lengths, chunks, encodings, and shapes by which one request is smuggled into another.
"""

import gzip
import http.client
import json
import random
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from controlplane.connections import Connections

from .conftest import Running, chosen

Server = Any
PATIENCE_S = 30.0
BODY = b'{"planned_action": "ls"}'
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
MEGA = 1 << 20
NOT_HTTP = "the request is not valid HTTP/1.1, or its line and headers are over 64 KB"
NO_PATH, EMPTY = "No such path; /docs lists them all.", "$: the body is empty; send a JSON object"
NO_JSON = "the body is not valid JSON: JSON is malformed: invalid character"


class Case(NamedTuple):
    """Bytes to send, the status they get, and how the problem's detail begins."""

    name: str
    sent: bytes
    status: int
    says: str = ""


def post(*headers: bytes, body: bytes = BODY, path: bytes = b"/v1/decisions") -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: localhost", *headers]) + b"\r\n\r\n" + body


def sized(*headers: bytes, body: bytes = BODY) -> bytes:
    return post(JSON, b"Content-Length: %d" % len(body), *headers, body=body)


def chunks(*headers: bytes, body: bytes) -> bytes:
    return post(JSON, *(headers or (CHUNKED,)), body=body)


def get(path: bytes, *headers: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + path + b" " + version, b"Host: localhost", *headers]) + b"\r\n\r\n"


ONE_CHUNK = b"18\r\n" + BODY + b"\r\n0\r\n\r\n"
LENGTHS = [
    *(
        Case(f"a length of {value.decode()!r}", post(JSON, b"Content-Length: " + value), 400, NOT_HTTP)
        for value in (b"-1", b"+24", b"0x18", b"24, 24", b"2 4", b"9" * 30)
    ),
    Case("no length", post(JSON), 400, EMPTY),
    Case("one length twice", sized(b"Content-Length: 24"), 400, NOT_HTTP),
    Case("two lengths", sized(b"Content-Length: 3"), 400, NOT_HTTP),
    Case("a length and chunks", sized(CHUNKED), 400, NOT_HTTP),
    Case("a length and chunks, then another request", sized(CHUNKED) + get(b"/status"), 400, NOT_HTTP),
    Case("11 MB", sized(body=b'{"planned_action": "' + b"a" * 11 * MEGA + b'"}'), 413, "The body is over 256 KB"),
    Case(
        "11 MB in one chunk",
        chunks(body=b"%x\r\n" % (11 * MEGA) + b"a" * 11 * MEGA + b"\r\n0\r\n\r\n"),
        413,
        "The body is over 256 KB",
    ),
]
CHUNKS = [
    *(
        Case(f"chunks {name}", chunks(body=body), 400, NOT_HTTP)
        for name, body in (
            ("shorter than they say", b"ff\r\n" + BODY + b"\r\n0\r\n\r\n" + b"x" * 300),
            ("longer than they say", b"10\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("of no number", b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("of a negative number", b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("beyond 2^64", b"f" * 17 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
            ("without carriage returns", ONE_CHUNK.replace(b"\r\n", b"\n")),
        )
    ),
    *(
        Case(f"an encoding of {header.decode()!r}", chunks(header, body=ONE_CHUNK), 400, NOT_HTTP)
        for header in (
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\n folded",
        )
    ),
    Case("an encoding nobody knows", chunks(b"Transfer-Encoding: xchunked", body=ONE_CHUNK), 400, ""),
    Case("one chunk", chunks(body=ONE_CHUNK), 200),
    Case("a chunk with an extension", chunks(body=ONE_CHUNK.replace(b"18", b"18;a=b")), 200),
    Case("a key in a trailer", chunks(body=ONE_CHUNK[:-2] + b"X-API-Key: a\r\n\r\n"), 200),
]
ENCODINGS = [
    Case("gzip", sized(b"Content-Encoding: gzip", body=gzip.compress(BODY)), 415, "send the body as it is"),
    Case("gzip, not named", sized(body=gzip.compress(BODY)), 400, NO_JSON),
    Case("UTF-8 of a surrogate", sized(body=b'{"planned_action": "\xed\xa0\x80"}'), 400, "the body is not valid JSON"),
    Case("a second content type", sized(b"Content-Type: text/plain"), 415, "Send JSON"),
    Case("no content type", post(b"Content-Length: 24"), 415, "Send JSON"),
    Case("a content type in Latin-1", post(b"Content-Type: \xff", b"Content-Length: 24"), 415, "Send JSON"),
    Case("a field twice: the last counts", sized(body=BODY[:-1] + b', "planned_action": "pwd"}'), 200),
    Case("text that runs backwards", sized(body='{"planned_action": "ls \u202egpj"}'.encode()), 200),
    Case("characters that are none", sized(body='{"planned_action": "\uffff \U0010ffff"}'.encode()), 200),
]
HEADERS = [
    *(
        Case(f"a header {header[:24]!r}", sized(header), 400, NOT_HTTP)
        for header in (
            b"X-A: b\0c",
            b"X-A: b\rX-API-Key: c",
            b"X A: b",
            b": b",
            b"nonsense",
            b"X-A: " + b"a" * 70_000,
            b"X-A: " + b"a" * MEGA,
        )
    ),
    Case("20,000 headers", sized(*(b"X-%d: a" % n for n in range(20_000))), 400, NOT_HTTP),
    Case("900 headers", sized(*(b"X-%d: a" % n for n in range(900))), 200),
    Case("lines without carriage returns", sized().replace(b"\r\n", b"\n"), 400, NOT_HTTP),
    Case("headers of other systems", sized(b"X-HTTP-Method-Override: DELETE", b"Forwarded: for=\xff"), 200),
    Case("cookies and preferences of noise", sized(b"Cookie: \xff=;=;;", b"Accept: \xff/;q=nan"), 200),
    Case("an expectation that is met", sized(b"Expect: 100-continue"), 200),
    Case("an upgrade", get(b"/status", b"Connection: Upgrade", b"Upgrade: h2c"), 200),
]
LINES = [
    *(
        Case(f"a request line {line[:40]!r}", line + b"\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP)
        for line in (
            b"get /status HTTP/1.1",
            b"BREW /status HTTP/1.1",
            b"GET status HTTP/1.1",
            b"GET /st\xc3\xa4tus HTTP/1.1",
            b"GET http://x:99999/status HTTP/1.1",
            b"CONNECT x:443 HTTP/1.1",
            b"GET /status HTTP/9.9",
            b"PRI * HTTP/2.0",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0\1\2",
            b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
            b"GET /" + b"a" * MEGA + b" HTTP/1.1",
        )
    ),
    *(
        Case(f"a path {path[:40]!r}", get(path), 404, says)
        for path, says in (
            (b"/" + b"a" * 8000, NO_PATH),
            (b"/docs/assets/%00", NO_PATH),
            (b"/docs/assets/%ff", NO_PATH),
            (b"/docs/assets/" + b"a" * 5000, NO_PATH),
            (b"/docs/assets/..%2f..%2fapp.py", NO_PATH),
            (b"/docs/assets/../../app.py", NO_PATH),
            (b"/v1/decisions/a%2fb", NO_PATH),
            (b"/v1/decisions/%zz%f", "No decision has this trace_id"),
            (b"/v1/decisions/%00", "No decision has this trace_id"),
            (b"/v1/points/%ed%a0%80/policy", "No decision point has this name"),
        )
    ),
    Case("every path at once", get(b"*", method=b"OPTIONS"), 404, NO_PATH),
    Case("a query of noise", get(b"/status?%ff=%00&&&=;[]"), 200),
    Case("a body where none is read", get(b"/status", b"Content-Length: 5") + b"hello", 200),
    Case("the version before", get(b"/status", version=b"HTTP/1.0"), 200),
]
CASES = [*LENGTHS, *CHUNKS, *ENCODINGS, *HEADERS, *LINES]


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=PATIENCE_S)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_bytes_are_refused_with_one_text_or_taken_as_meant(server: Server, case: Case) -> None:
    with connect(server) as connection:
        try:
            connection.sendall(case.sent)
        except ConnectionError:
            assert case.status in (400, 413), "it may close before it has read what it refuses"
        status, headers, body = answer(connection)
    assert status == case.status, body
    if status >= 400:
        problem = json.loads(body)
        assert headers["content-type"] == "application/problem+json"
        assert problem["status"] == status
        assert problem["detail"].startswith(case.says), problem
        assert (headers.get("connection") == "close") >= (case.says == NOT_HTTP)
    assert server.get("/livez") == {"status": "alive"}


def test_what_follows_a_whole_request_does_not_take_its_answer(server: Server) -> None:
    """The first was heard and is answered; what comes behind it is no request, and ends the connection."""
    with connect(server) as connection:
        connection.sendall(sized() + b"\xff\xff\xff\xff")
        status, headers, body = answer(connection)
        assert (status, json.loads(body)["point"], headers["connection"]) == (200, "gate", "close")
        assert connection.recv(1) == b""


def test_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(sized() + get(b"/livez") + get(b"/nowhere"))
        file = connection.makefile("rb")
        assert [int(line.split()[1]) for line in status_lines(file, 3)] == [200, 200, 404]


def status_lines(file: Any, count: int) -> list[bytes]:
    """Of so many answers."""
    lines = []
    for _ in range(count):
        lines.append(file.readline())
        length = 0
        while (header := file.readline().strip()) != b"":
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        file.read(length)
    return lines


def test_a_body_that_is_cut_off_is_not_taken_for_whole(server: Server) -> None:
    """What came so far may be JSON by itself."""
    before = server.last_seq
    for headers in ((JSON, b"Content-Length: 1000"), (JSON, CHUNKED)):
        refused = server.metric("pointsman_errors_total", code="invalid_request")
        body = b'{"goal": "half a request"}'
        sent = post(*headers, body=b"1a\r\n" + body if CHUNKED in headers else body, path=b"/v1/capture")
        with connect(server) as connection:
            connection.sendall(sent)
        server.until(lambda: server.metric("pointsman_errors_total", code="invalid_request") > refused)  # noqa: B023
    assert server.last_seq == before


def changed(rng: random.Random) -> bytes:
    """A request with some bytes flipped, doubled, taken out or put in."""
    request = bytearray(rng.choice((sized(b"X-Request-Id: a", b"Accept: */*"), chunks(body=ONE_CHUNK))))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(request))
        noise = rng.choice((b"", bytes([rng.randrange(256)]), request[at : at + 9] * 2))
        request[at : at + rng.randrange(3)] = noise
    return bytes(request)


def first_status(connection: socket.socket) -> int | None:
    """None where the server waited for more, and then closed."""
    try:
        return answer(connection)[0]
    except http.client.RemoteDisconnected:
        return None


@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=pytest.mark.nightly)])
def test_requests_with_bytes_changed_at_random_meet_no_defect_and_no_silence(
    tmp_path: Path, rounds: int, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--seed")
    print(f"seed {seed}")
    rng, statuses = random.Random(seed), Counter[int | None]()
    with Running(chosen(tmp_path / "data"), Connections(whole_s=0.5)) as server:
        for _ in range(rounds * 10):
            with ExitStack() as connected:
                connections = [connected.enter_context(connect(server)) for _ in range(20)]
                for connection in connections:
                    connection.sendall(changed(rng))
                statuses.update(first_status(connection) for connection in connections)
        assert server.metric("pointsman_errors_total", code="internal_error") == 0
        shed = server.metric("pointsman_errors_total", code="overloaded")
    print(dict(statuses))
    assert {200, 400, None} <= set(statuses)
    assert shed == sum(number for status, number in statuses.items() if status and status >= 500)
