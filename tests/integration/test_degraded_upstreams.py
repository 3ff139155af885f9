"""A signal source and a router that are dead, slow, wrong or flaky cost their part of an answer, never the answer."""

import gzip
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

Serve = Callable[..., Any]
Start = Callable[..., Any]
Answer = Callable[[BaseHTTPRequestHandler, int], None]
STATE, SCORE = b'{"coherence": 0.68, "density": 0.82}', b'{"score": 0.87}'
NEVER = threading.Event()  # nobody sets it: whoever waits for it hangs until the test's server is closed
HERE = {"context": {"region": "us"}}


def reply(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def saying(body: bytes, status: int = 200) -> Answer:
    return lambda handler, n: reply(handler, body, status)


def drip(start: bytes) -> Answer:
    """A byte at a time, each well within a read's deadline, for ever."""

    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        handler.wfile.write(start)
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            NEVER.wait(0.05)

    return answer


def packed(handler: BaseHTTPRequestHandler, n: int) -> None:
    """A kilobyte that would inflate to a megabyte."""
    content = gzip.compress(b" " * 1_000_000 + STATE)
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def cut(handler: BaseHTTPRequestHandler, n: int) -> None:
    """Promise more than is sent."""
    reply(handler, b'{"coh', length=500)
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler, n: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(400):
        handler.wfile.write(b" " * 100_000)


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
WRONG: dict[str, Answer] = {
    "a server error": saying(STATE, 500),
    "a redirect": saying(STATE, 302),
    "not JSON": saying(b"<html>it works</html>"),
    "no body": saying(b""),
    "invalid UTF-8": saying(b'{"coherence": "\xff"}'),
    "nested without end": saying(b'{"x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
    "text for a number": saying(b'{"coherence": "high", "score": "high"}'),
    "NaN": saying(b'{"coherence": NaN, "score": NaN}'),
    "an infinite number": saying(b'{"coherence": 1e999, "score": 1e999}'),
    "a list": saying(b"[1, 2]"),
    "cut short": cut,
    "packed": packed,
    "without end": endless,
    "a body in drips": drip(HEADERS),
    "headers in drips": drip(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "not HTTP": lambda handler, n: handler.wfile.write(b"\x00\x01\x02 what?\r\n\r\n"),
    "hanging up": lambda handler, n: handler.connection.shutdown(socket.SHUT_RDWR),
}


def dead_url() -> str:
    """Where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_signals_shape_the_answer_and_are_asked_once_per_lifetime(serve: Serve, upstream: Start) -> None:
    source = upstream(saying(STATE))
    server = serve(psi_url=source.url)
    answers = [server.route("a/1", **HERE) for _ in range(5)]
    for answer in answers:
        explained = answer["explanations"]
        assert (explained["psi_coherence"], explained["psi_density"]) == (0.68, 0.82)
        assert answer["degraded"] == []
    assert [asked for asked, _ in source.asked] == ["GET /state"]
    cache = server.get("/status")["cache"]
    assert (cache["cache_hits"], cache["cache_misses"], cache["cache_errors"]) == (4, 1, 0)
    assert (cache["cache_valid"], cache["cache_hit_rate"]) == (True, 0.8)
    assert server.metric("pointsman_signal_cache_hits_total") == 4


@pytest.mark.parametrize("url", [None, "not a url", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
def test_a_dead_signal_source_costs_the_signals_only(serve: Serve, url: str | None) -> None:
    server = serve(psi_url=url or dead_url())
    answer = server.route("a/1", "b/2", **HERE)
    assert answer["degraded"] == ["signals"]
    explained = answer["explanations"]
    assert (explained["psi_coherence"], explained["psi_density"]) == (0.5, 0.5), "neutral values"
    assert server.feedback(answer["trace_id"], latency_ms=10)["updated"] is True
    assert server.metric("pointsman_signal_cache_errors_total") == 1
    assert server.metric("pointsman_degraded_total", part="signals") == 1
    assert server.get("/status")["cache"]["cache_errors"] == 1
    assert server.get(f"/v1/decisions/{answer['trace_id']}")["degraded"] == ["signals"]
    assert server.get("/status")["healthy"] is True


@pytest.mark.parametrize("kind", WRONG)
def test_upstreams_that_answer_wrongly_cost_their_part_only(serve: Serve, upstream: Start, kind: str) -> None:
    wrong = upstream(WRONG[kind])
    server = serve(psi_url=wrong.url, router_url=wrong.url)
    answer = server.route("a/1", **HERE)
    assert answer["degraded"] == ["signals", "router"]
    assert (answer["explanations"]["psi_coherence"], answer["explanations"]["psi_density"]) == (0.5, 0.5)
    assert answer["score"] == answer["explanations"]["q_value"]
    assert server.metric("pointsman_signal_cache_errors_total") == 1
    assert server.metric("pointsman_router_errors_total") == 1
    assert server.feedback(answer["trace_id"], latency_ms=10)["updated"] is True


@pytest.mark.parametrize("state", [b'{"coherence": 1.5}', b'{"coherence": -0.1}', b'{"density": 7}'])
def test_signals_out_of_range_are_no_signals(serve: Serve, upstream: Start, state: bytes) -> None:
    server = serve(psi_url=upstream(saying(state)).url)
    assert server.route("a/1")["degraded"] == ["signals"]


def test_a_slow_signal_source_is_waited_for_once_and_no_longer_than_its_deadline(serve: Serve, upstream: Start) -> None:
    source = upstream(lambda handler, n: source.release.wait())
    server = serve(psi_url=source.url, cache_ttl_s=3600.0)
    for _ in range(30):
        assert server.route("a/1", **HERE)["degraded"] == ["signals"]
    assert source.answered == 0, "every answer came while the source was still silent"
    assert len(source.asked) == 1, "a failing source is asked no more often than a good one"


def test_a_cached_value_is_served_without_waiting_for_the_next_one(serve: Serve, upstream: Start) -> None:
    def once_then_silence(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 1:
            reply(handler, STATE)
        else:
            source.release.wait()

    source = upstream(once_then_silence)
    server = serve(psi_url=source.url, cache_ttl_s=0.001, upstream_deadline_s=3600.0)
    assert server.route("a/1")["explanations"]["psi_coherence"] == 0.68
    server.until(lambda: server.route("a/1") and len(source.asked) == 2)
    answer = server.route("a/1")
    assert source.answered == 1, "the source has not answered again"
    assert answer["explanations"]["psi_coherence"] == 0.68
    assert server.get("/status")["cache"]["cache_valid"] is False


def test_a_source_that_fails_after_a_value_keeps_the_value_and_says_so(serve: Serve, upstream: Start) -> None:
    healthy = threading.Event()
    healthy.set()
    source = upstream(lambda handler, n: reply(handler, STATE, 200 if healthy.is_set() else 500))
    server = serve(psi_url=source.url, cache_ttl_s=0.001)
    assert server.route("a/1")["degraded"] == []
    healthy.clear()
    server.until(lambda: server.route("a/1")["degraded"] == ["signals"])
    answer = server.route("a/1")
    assert answer["explanations"]["psi_coherence"] == 0.68, "the last known value"
    assert server.metric("pointsman_signal_cache_errors_total") >= 1
    healthy.set()
    server.until(lambda: server.route("a/1")["degraded"] == [])


def test_the_router_s_score_is_the_score(serve: Serve, upstream: Start) -> None:
    router = upstream(saying(SCORE))
    server = serve(router_url=router.url)
    answer = server.route("akash/A8", task_id="t", **HERE)
    assert (answer["score"], answer["degraded"]) == (0.87, [])
    assert answer["explanations"]["q_value"] != 0.87
    [(asked, body)] = router.asked
    assert asked == "POST /route"
    assert body == b'{"task_id":"t","context":{"region":"us"},"chosen":{"provider":"akash","sku":"A8"}}'


def test_a_dead_router_costs_its_score_only(serve: Serve) -> None:
    _expect_no_score(serve(router_url=dead_url()))


def test_a_slow_router_costs_its_score_only(serve: Serve, upstream: Start) -> None:
    router = upstream(lambda handler, n: router.release.wait())
    _expect_no_score(serve(router_url=router.url))
    assert router.answered == 0, "the decision did not wait for it"


def test_a_router_that_comes_back_scores_again(serve: Serve, upstream: Start) -> None:
    router = upstream(lambda handler, n: reply(handler, SCORE, 500 if n <= 2 else 200))
    server = serve(router_url=router.url)
    assert [server.route("a/1")["degraded"] for _ in range(3)] == [["router"], ["router"], []]
    assert server.metric("pointsman_router_errors_total") == 2


def test_both_may_be_gone_at_once(serve: Serve) -> None:
    server = serve(router_url=dead_url(), psi_url=dead_url())
    answer = server.route("a/1", "b/2", **HERE)
    assert answer["degraded"] == ["signals", "router"]
    assert server.feedback(answer["trace_id"], latency_ms=10)["updated"] is True


def _expect_no_score(server: Any) -> None:
    answer = server.route("a/1", **HERE)
    assert answer["degraded"] == ["router"]
    assert answer["score"] == answer["explanations"]["q_value"]
    assert server.metric("pointsman_router_errors_total") == 1
    assert server.metric("pointsman_degraded_total", part="router") == 1
    assert server.feedback(answer["trace_id"], latency_ms=10)["updated"] is True
