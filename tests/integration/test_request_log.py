"""The request log of a real server: which requests are logged, what a line holds, and that a flood is bounded."""

import logging
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from controlplane.clock import FixedClock
from controlplane.http.request_log import MOST, SLOW_S, Few, RequestLog
from controlplane.http.shedding import refusal
from controlplane.intake import Intake

from .conftest import Running
from .test_access import Keyed

Serve = Callable[..., Running]
Lines = list[Any]
NEW = re.compile("rq_[0-9a-f]{32}")


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Everything that is logged from here on."""
    with structlog.testing.capture_logs() as logged:
        yield logged


def requests(lines: Lines) -> list[tuple[str, str, int]]:
    return [(line["method"], line["route"], line["status"]) for line in lines if line["event"] == "request"]


def test_every_answer_names_its_request_and_a_problem_says_the_same(serve: Serve) -> None:
    server = serve(insecure_local=False)
    keyed = Keyed(server)
    made = keyed.issue(tenant="default")
    key = {"X_API_Key": keyed.tenant}
    answers = [
        keyed.call("GET", "/livez"),
        keyed.call("GET", "/docs/openapi.json"),
        keyed.call("GET", "/nowhere"),
        keyed.call("PUT", "/v1/decisions"),
        keyed.call("OPTIONS", "/v1/decisions"),
        keyed.call("POST", "/v1/decisions", {}),
        keyed.call("POST", "/v1/decisions", {"planned_action": "ls"}, **key),
        keyed.call("POST", "/v1/decisions", {"nonsense": 1}, **key),
        keyed.call("DELETE", f"/v1/admin/keys/{made['key_id']}", X_Admin_API_Key=keyed.admin),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 405, 204, 401, 200, 400, 204]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(NEW.fullmatch(request_id) for request_id in ids)
    assert len(set(ids)) == len(ids)
    for answer in answers:
        if answer.status_code >= 400:
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
    given = [keyed.call("GET", path, X_Request_Id="mine-7") for path in ("/livez", "/nowhere")]
    assert [answer.headers["x-request-id"] for answer in given] == ["mine-7"] * 2


def test_what_is_refused_by_the_connection_names_its_request_too(serve: Serve) -> None:
    server = serve()
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=30) as client:
        client.sendall(b"NONSENSE\r\n\r\n")
        raw = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    server.service.intake.admit = lambda who: False  # type: ignore[method-assign]
    shed = refusal(server.service, b"GET /status HTTP/1.1\r\n\r\n")
    del server.service.intake.admit  # type: ignore[method-assign]
    assert shed is not None
    for answer in (raw, shed.answer.decode()):
        head, _, body = answer.partition("\r\n\r\n")
        [named] = re.findall(r"x-request-id: (\S+)", head.lower())
        assert NEW.fullmatch(named)
        assert f'"request_id":"{named}"' in body


def test_by_default_failures_and_operators_changes_are_logged_and_nothing_else(serve: Serve, lines: Lines) -> None:
    keyed = Keyed(serve(insecure_local=False))
    key = {"X_API_Key": keyed.tenant}
    trace_id = keyed.call("POST", "/v1/decisions", {"planned_action": "ls"}, **key).json()["trace_id"]
    keyed.call("GET", f"/v1/decisions/{trace_id}", **key)
    keyed.operate("GET", "/v1/admin/keys")
    keyed.call("GET", "/v1/decisions/tr_nobodys", **key)
    keyed.call("GET", "/a/path/that/anybody/may/make/up")
    keyed.call("POST", "/v1/feedback", {"trace_id": trace_id, "outcome": {}, "nonsense": 1}, **key)
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme"})
    keyed.running.stop()  # a line is written when its answer has left
    assert requests(lines) == [
        ("GET", "/v1/decisions/{trace_id}", 404),
        ("GET", "(none)", 404),
        ("POST", "/v1/feedback", 400),
        ("POST", "/v1/admin/tenants", 200),
    ]


def test_a_line_says_whose_request_it_was_and_no_name_or_path(serve: Serve, lines: Lines) -> None:
    keyed = Keyed(serve(insecure_local=False, request_log="all"))
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme"})
    made = keyed.issue(tenant="acme")
    answer = keyed.with_key(made["key"], "POST", "/v1/decisions", {"planned_action": "ls -la"})
    trace_id = answer.json()["trace_id"]
    reported = {"trace_id": trace_id, "outcome": {"success": True}}
    told = keyed.with_key(made["key"], "POST", "/v1/feedback", reported)
    keyed.with_key(made["key"], "GET", "/v1/decisions/ls -la/why")
    keyed.running.stop()
    *_, decided, fed, missed = [line for line in lines if line["event"] == "request"]
    assert decided == {
        "event": "request", "log_level": "info", "method": "POST", "route": "/v1/decisions", "status": 200,
        "ms": decided["ms"], "bytes": len(answer.content), "request_id": answer.headers["x-request-id"],
        "tenant": decided["tenant"], "key_id": made["key_id"], "trace_id": trace_id,
    }  # fmt: skip
    assert decided["ms"] > 0
    assert re.fullmatch("[0-9a-f]{12}", decided["tenant"])
    assert (fed["tenant"], fed["trace_id"], fed["bytes"]) == (decided["tenant"], trace_id, len(told.content))
    assert (missed["route"], missed["status"]) == ("/v1/decisions/{trace_id}/why", 404)
    assert "trace_id" not in missed, "what is no trace is not logged as one"
    assert [secret for secret in ("acme", "ls -la", made["key"]) if secret in str(lines)] == []


def test_all_or_none_can_be_asked_for(serve: Serve, lines: Lines) -> None:
    for logged, told in (("all", [("GET", "/livez", 200), ("GET", "(none)", 404)]), ("off", [])):
        server = serve(request_log=logged)
        lines.clear()
        server.client.get("/livez")
        server.client.get("/nowhere")
        server.stop()
        assert requests(lines) == told


async def ask(log: RequestLog, status: int, clock: FixedClock | None = None, took_s: float = 0.0) -> None:
    """A request that is answered so, after so long."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if clock is not None:
            clock.advance(took_s)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def nowhere(message: Any) -> None:
        """Nobody listens."""

    scope: Any = {"type": "http", "method": "GET", "headers": [], "path_template": "/status", "path_params": {}}
    await log.serve(app, scope, nowhere, nowhere)  # type: ignore[arg-type]


@pytest.mark.parametrize("logged", ["failures", "all"])
async def test_a_flood_of_one_status_is_counted_not_logged_and_hides_no_other(lines: Lines, logged: Any) -> None:
    clock = FixedClock()
    log = RequestLog(logged, b"key", clock, Intake(clock))
    for _ in range(10_000):
        await ask(log, 401)
    await ask(log, 500)
    assert [line["status"] for line in lines] == [401] * MOST + [500]
    lines.clear()
    clock.advance(1.0)
    for _ in range(3):
        await ask(log, 401)
    assert [line.get("left_out") for line in lines] == [10_000 - MOST, None, None]


def test_a_flood_of_bytes_that_are_no_request_is_counted_not_logged() -> None:
    clock = FixedClock()
    few = Few(clock)

    def passed(message: str, *arguments: object) -> list[str]:
        record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, message, arguments, None)
        return [record.getMessage()] if few.filter(record) else []

    assert [line for _ in range(1000) for line in passed("no request")] == ["no request"] * MOST
    assert passed("another %s", "thing") == ["another thing"]
    clock.advance(1.0)
    assert passed("no request") == [f"no request ({1000 - MOST} more were left out)"]
    assert passed("no request") == ["no request"]


async def test_a_slow_request_is_logged_though_it_went_well(lines: Lines) -> None:
    clock = FixedClock()
    log = RequestLog("failures", b"key", clock, Intake(clock))
    await ask(log, 200, clock, SLOW_S / 2)
    assert lines == []
    await ask(log, 200, clock, 2 * SLOW_S)
    assert [(line["status"], line["ms"]) for line in lines] == [(200, 2000.0)]
