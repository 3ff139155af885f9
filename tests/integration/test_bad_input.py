"""Bad input over real sockets: each kind is a problem document that says what to do, and leaves nothing behind."""

from typing import Any, NamedTuple

import pytest

Server = Any
DECIDE, FEEDBACK, CAPTURE, SEARCH, VALIDATE = (
    f"/v1/{name}" for name in ("decisions", "feedback", "capture", "search", "validate_fix")
)
TENANTS, KEYS = "/v1/admin/tenants", "/v1/admin/keys"
JSON = {"Content-Type": "application/json"}
BIG = str(2**53 + 1).encode()
PLACE = b'{"provider": "a", "sku": "%d"}'


class Case(NamedTuple):
    """A request that must be refused, and how."""

    name: str
    status: int
    code: str
    says: str  # a part of the detail
    path: str
    body: bytes | None = None
    method: str = "POST"
    headers: dict[str, str] = JSON


def plan(extra: bytes) -> bytes:
    return b'{"planned_action": "ls", ' + extra + b"}"


def text(length: int, letter: bytes = b"a") -> bytes:
    return b'"' + letter * length + b'"'


def bad(name: str, body: bytes, says: str, path: str = DECIDE) -> Case:
    """Refused with 400, as most are."""
    return Case(name, 400, "invalid_request", says, path, body)


BYTES = [
    bad("invalid UTF-8 in a known field", b'{"planned_action": "\xff\xfe"}', "not valid JSON"),
    bad("invalid UTF-8 in a free map", plan(b'"context": {"k": "\xc3\x28"}'), "not valid JSON"),
    bad("an overlong encoding", plan(b'"goal": "\xc0\x80"'), "not valid JSON"),
    bad("a byte order mark", b"\xef\xbb\xbf" + plan(b'"goal": "x"'), "not valid JSON"),
    bad("UTF-16", '{"planned_action": "ls"}'.encode("utf-16"), "not valid JSON"),
    bad("cut short", b'{"planned_action": "ls"', "not valid JSON"),
    bad("two documents", b'{"planned_action": "ls"}{}', "not valid JSON"),
    bad("single quotes", b"{'planned_action': 'ls'}", "not valid JSON"),
    bad("a raw NUL", b'{"planned_action": "a\x00b"}', "not valid JSON"),
    bad("a lone high surrogate", b'{"planned_action": "\\ud800"}', "not valid JSON"),
    bad("a lone low surrogate in a free map", plan(b'"metadata": {"k": "\\udc00 x"}'), "not valid JSON"),
    bad("a NUL", b'{"planned_action": "a\\u0000b"}', "NUL character; remove it"),
    bad("a NUL in a free map", plan(b'"environment": {"k": ["\\u0000"]}'), "$.environment.k[0]: the text has a NUL"),
    bad("a NUL in a key", plan(b'"context": {"a\\u0000b": 1}'), "$.context key: the text has a NUL"),
    bad("an empty body", b"", "the body is empty; send a JSON object"),
    bad("null", b"null", "$: Expected `object`, got `null`"),
    bad("a list", b"[]", "$: Expected `object`, got `array`"),
    bad("a number", b"7", "$: Expected `object`, got `int`"),
]
DEEP = [
    bad(f"{name}, {depth} deep", body, "nested deeper than 32; flatten it")
    for depth in (33, 1000, 100_000)
    for name, body in (
        ("lists", b"[" * depth + b"]" * depth),
        ("a free map of lists", plan(b'"context": {"k": ' + b"[" * depth + b"]" * depth + b"}")),
        ("never closed", b"[" * depth),
        ("maps", (b'{"a":' * min(depth, 30_000)) + b"1" + b"}" * min(depth, 30_000)),
    )
] + [bad("deep, then a string that never ends", b"[" * 40 + b'"' + b'\\"' * 125_000, "nested deeper than 32")]
NUMBERS = [
    bad(f"{value.decode()[:24]} in {where}", body % value, says, path)
    for value, says in (
        (b"NaN", "not valid JSON"),
        (b"Infinity", "not valid JSON"),
        (b"-Infinity", "not valid JSON"),
        (b"1e999", "not valid JSON"),
        (b"9" * 5000, "not valid JSON"),
        (BIG, "beyond 2^53; send it as text"),
        (b"-" + BIG, "beyond 2^53"),
        (b"18446744073709551616", "beyond 2^53"),
        (b"1" * 400, "beyond 2^53"),
        (b"1e300", "beyond 2^53"),
        (b"90071992547409930.0", "beyond 2^53"),
    )
    for where, path, body in (
        ("a typed field", DECIDE, b'{"planned_action": "ls", "wait_ms": %s}'),
        ("a free map", DECIDE, b'{"planned_action": "ls", "metadata": {"a": [{"b": %s}]}}'),
        ("a report", FEEDBACK, b'{"trace_id": "tr_x", "outcome": {"latency_ms": %s}}'),
        ("a report's own terms", FEEDBACK, b'{"trace_id": "tr_x", "outcome": {"custom": {"k": %s}}}'),
        ("an id", VALIDATE, b'{"episode_id": %s, "outcome": "success"}'),
    )
]
FIELDS = [
    bad("an unknown field", plan(b'"tenant": "other"'), "unknown field `tenant`"),
    bad("an unknown field within", b'{"candidates": [{"provider": "a", "sku": "b", "x": 1}]}', "unknown field `x`"),
    bad(
        "an unknown field in a report",
        b'{"trace_id": "t", "outcome": {"reward": 1}}',
        "unknown field `reward`",
        FEEDBACK,
    ),
    bad("a field left out", b'{"trace_id": "tr_x"}', "missing required field `outcome`", FEEDBACK),
    bad("a field of another type", plan(b'"wait_ms": "soon"'), "wait_ms: Expected `int`, got `str`"),
    *(
        bad(f"a value that is not offered: {body.decode()}", body, says, path)
        for path, body, says in (
            (
                VALIDATE,
                b'{"episode_id": 1, "outcome": "o"}',
                "outcome: Invalid enum value 'o'; it takes failure, suc",
            ),
            (CAPTURE, b'{"goal": "x", "episode_type": "o"}', "episode_type: Invalid enum value 'o'; it takes failure"),
            (TENANTS, b'{"tenant": "t", "tier": "o"}', "'o'; it takes enterprise, free, local, pro, starter"),
            (TENANTS, b'{"tenant": "t", "fail_mode": "o"}', "'o'; it takes closed, last_good, open"),
            (TENANTS, b'{"tenant": "t\\n"}', "tenant"),
            (
                KEYS,
                b'{"scopes": ["read", "o"]}',
                "Invalid enum value 'o'; it takes admin, capture, decide, ",
            ),
            (
                "/v1/context",
                b'{"goal": "x", "kinds": ["patch", "o"]}',
                "kinds[1]: Invalid enum value 'o'; it takes document, episode, patch, record",
            ),
        )
    ),
    bad("an empty text", b'{"planned_action": ""}', "planned_action: Expected `str` of length >= 1"),
    bad("a negative cost", b'{"trace_id": "t", "outcome": {"cost": -1}}', "Expected `float` >= 0.0", FEEDBACK),
    bad("a negative count", b'{"trace_id": "t", "outcome": {"failures": -1}}', "Expected `int` >= 0", FEEDBACK),
    bad("a severity over 1", b'{"goal": "x", "severity": 1.5}', "severity: Expected `float` <= 1", CAPTURE),
    bad("k of 0", b'{"goal": "x", "k": 0}', "k: Expected `int` >= 1", SEARCH),
    bad("k of 101", b'{"goal": "x", "k": 101}', "k: Expected `int` <= 100", SEARCH),
    bad("a free map that is a list", plan(b'"context": []'), "context: Expected `object`"),
    bad("65 candidates", b'{"candidates": [' + b",".join(PLACE % i for i in range(65)) + b"]}", "length <= 64"),
    bad("a candidate without a name", b'{"candidates": [{"provider": "", "sku": "b"}]}', "length >= 1"),
]
SIZES = [
    bad("text over 8 KB", b'{"planned_action": ' + text(8193) + b"}", "8193 characters; at most 8192"),
    bad(
        "text over 8 KB in a free map", plan(b'"context": {"k": ' + text(8193) + b"}"), "$.context.k: the text has 8193"
    ),
    bad("a key over 8 KB", plan(b'"context": {' + text(8193) + b": 1}"), "$.context key: the text has 8193"),
    bad("text over 8 KB in many bytes", plan(b'"goal": ' + text(8193, "é".encode())), "8193 characters"),
    bad("a name over 256", plan(b'"task_id": ' + text(257)), "task_id: Expected `str` of length <= 256"),
    bad("an error trace over 64 KB", b'{"goal": "x", "error_trace": ' + text(65_537) + b"}", "at most 65536", CAPTURE),
    bad(
        "a long text named error_trace elsewhere",
        plan(b'"context": {"error_trace": ' + text(9000) + b"}"),
        "at most 8192",
    ),
    Case("a body over 256 KB", 413, "too_large", "over 256 KB", DECIDE, plan(b'"goal": ' + text(262_144))),
    Case("a capture over 1 MB", 413, "too_large", "over 1024 KB", CAPTURE, b'{"goal": ' + text(1_048_576) + b"}"),
]
MEANING = [
    Case(name, 422, "unprocessable", says, path, body)
    for name, path, body, says in (
        ("nothing to decide", DECIDE, b"{}", "give planned_action (to pass the gate) or candidates"),
        ("no candidates", DECIDE, b'{"candidates": []}', "candidates is empty; give at least one"),
        ("route without candidates", DECIDE, b'{"point": "route"}', "candidates is empty"),
        ("gate without an action", DECIDE, b'{"point": "gate"}', "the gate needs planned_action"),
        (
            "the same candidate twice",
            DECIDE,
            b'{"candidates": [' + PLACE % 1 + b"," + PLACE % 1 + b"]}",
            "name a/1 more than once; give each provider and sku once",
        ),
        ("both an action and candidates", DECIDE, plan(b'"candidates": [' + PLACE % 1 + b"]"), 'say "point"'),
        ("an unknown point", DECIDE, plan(b'"point": "teleport"'), "there are chat, gate, route"),
        (
            "a filter that is none",
            SEARCH,
            b'{"goal": "x", "filters": {"colour": "red"}}',
            "it takes error_class, license",
        ),
    )
]
OUTCOME = b'{"trace_id": "tr_none", "outcome": {"success": true}}'
UNKNOWN = [
    Case("report on an unknown decision", 404, "unknown_trace", "use the one the decision", FEEDBACK, OUTCOME),
    Case(
        "capture from an unknown decision",
        404,
        "unknown_trace",
        "use the one",
        CAPTURE,
        b'{"goal": "x", "trace_id": "t"}',
    ),
    Case(
        "validate an unknown episode",
        404,
        "unknown_episode",
        "use the episode_id",
        VALIDATE,
        b'{"episode_id": 999999, "outcome": "success"}',
    ),
    Case("read an unknown decision", 404, "unknown_trace", "use the one", f"{DECIDE}/tr_none", None, "GET", {}),
    Case("explain an unknown decision", 404, "unknown_trace", "use the one", f"{DECIDE}/tr_none/why", None, "GET", {}),
    Case(
        "read a decision named in bad UTF-8", 404, "unknown_trace", "use the one", f"{DECIDE}/%ff%00", None, "GET", {}
    ),
    Case(
        "read an unknown episode", 404, "unknown_episode", "use the episode_id", "/v1/episodes/999999", None, "GET", {}
    ),
    Case("purge an unknown episode", 404, "unknown_episode", "use the", "/v1/episodes/999999", None, "DELETE", {}),
    Case(
        "evict an unknown reflection", 404, "unknown_reflection", "use the", "/v1/reflections/rf_0", None, "DELETE", {}
    ),
    Case("read an unknown skill", 404, "unknown_skill", "GET /v1/skills lists", "/v1/skills/999999", None, "GET", {}),
    Case("retire an unknown skill", 404, "unknown_skill", "lists them", "/v1/skills/999999/retire", b"{}"),
    Case("restore an unknown checkpoint", 404, "unknown_checkpoint", "lists them", "/v1/checkpoints/cp_0/restore", b""),
    Case("the policy of an unknown point", 404, "unknown_point", "lists them", "/v1/points/x/policy", None, "GET", {}),
    Case(
        "an episode past 2^53", 400, "invalid_request", "<= 9007199254740992", f"/v1/episodes/{2**60}", None, "GET", {}
    ),
    Case("episode 0", 400, "invalid_request", "episode_id: Expected `int` >= 1", "/v1/episodes/0", None, "GET", {}),
    Case("an episode of 5000 digits", 404, "unknown_path", "/docs", "/v1/episodes/" + "9" * 5000, None, "GET", {}),
    Case("an episode that is no number", 404, "unknown_path", "/docs lists them", "/v1/episodes/one", None, "GET", {}),
    Case("an unknown path", 404, "unknown_path", "/docs lists them all", "/v2/decisions", b"{}"),
    Case(
        "a path with an escape",
        404,
        "unknown_path",
        "/docs lists",
        "/docs/assets/%2e%2e/%2e%2e/app.py",
        None,
        "GET",
        {},
    ),
]
PROTOCOL = [
    Case(
        "no content type",
        415,
        "unsupported_media_type",
        "application/json",
        DECIDE,
        b'{"planned_action": "a"}',
        "POST",
        {},
    ),
    *(
        Case(
            f"content type {kind}",
            415,
            "unsupported_media_type",
            "set Content-Type: application/json",
            DECIDE,
            b'{"planned_action": "ls"}',
            "POST",
            {"Content-Type": kind},
        )
        for kind in (
            "text/plain",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "application/msgpack",
            "multipart/form-data; boundary=x",
            "garbage",
        )
    ),
    *(
        Case(f"{method} on a POST path", 405, "method_not_allowed", "takes another method", DECIDE, None, method, {})
        for method in ("GET", "PUT", "PATCH", "DELETE")
    ),
    Case("POST on a GET path", 405, "method_not_allowed", "takes another method", "/status", b"{}"),
]
CASES = [*BYTES, *DEEP, *NUMBERS, *FIELDS, *SIZES, *MEANING, *UNKNOWN, *PROTOCOL]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_with_what_to_do_and_leaves_nothing(server: Server, case: Case) -> None:
    before, served = server.last_seq, server.get("/status")["model"]
    response = server.client.request(
        case.method, case.path, content=case.body, headers={**case.headers, "X-Request-Id": "rq-7"}
    )
    problem = response.json()
    assert (response.status_code, problem["code"]) == (case.status, case.code), problem
    assert case.says in problem["detail"], problem
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == case.status
    assert problem["type"] == f"urn:pointsman:error:{case.code}"
    assert problem["title"]
    assert problem["request_id"] == "rq-7"
    assert problem["retryable"] is False
    assert server.last_seq == before
    assert server.get("/status")["model"] == served


def test_the_same_bad_input_on_a_seeds_path_is_refused_alike(server: Server) -> None:
    for path in ("/decisions", "/api/v1/decisions"):
        response = server.client.post(path, json={"planned_action": "ls", "reward": 1})
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


def test_every_bad_field_is_named(server: Server) -> None:
    body = {"candidates": [{"provider": "a", "sku": "b"}, {"provider": "a", "sku": 7}]}
    problem = server.post("/v1/decisions", body, 400)
    assert problem["errors"] == [{"path": "candidates[1].sku", "detail": "Expected `str`, got `int`"}]


def test_the_allowed_method_is_named(server: Server) -> None:
    assert set(server.client.get("/v1/feedback").headers["allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("path", ["/v1/episodes/1", "/api/v1/episodes/1"])
def test_every_method_of_a_path_is_named(server: Server, path: str) -> None:
    asked, refused = server.client.options(path), server.client.put(path)
    assert (asked.status_code, refused.status_code) == (204, 405)
    for answer in (asked, refused):
        assert set(answer.headers["allow"].split(", ")) == {"DELETE", "GET", "OPTIONS"}


@pytest.mark.parametrize("given", ["x" * 65, "no\ttabs", "naïve", ""])
def test_a_request_id_that_could_harm_a_log_is_replaced(server: Server, given: str) -> None:
    problem = server.client.get("/nowhere", headers={"X-Request-Id": given.encode()}).json()
    assert problem["request_id"].startswith("rq_")


def test_content_types_that_mean_json_are_taken(server: Server) -> None:
    for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON", "application/json ;v=1"):
        response = server.client.post(DECIDE, content=b'{"planned_action": "ls"}', headers={"Content-Type": kind})
        assert response.status_code == 200, kind


def test_what_is_just_within_the_bounds_is_taken(server: Server) -> None:
    deepest = b'"context": {"k": ' + b"[" * 30 + b"]" * 30 + b"}"
    exact = b'"metadata": {"most": %d, "least": -%d, "half": 0.5}' % (2**53, 2**53)
    for body in (
        plan(deepest),
        plan(exact),
        b'{"planned_action": ' + text(8192) + b"}",
        plan(b'"goal": ' + text(8192, b"\\n")),
        b'{"candidates": [' + b",".join(PLACE % i for i in range(64)) + b"]}",
        plan(b'"goal": "[[[[[[[[" '),
        plan(b'"goal": "' + b"[" * 100 + b'"'),
        plan(b'"goal": "\\"' + b"{" * 100 + b'\\\\"'),
    ):
        assert server.client.post(DECIDE, content=body, headers=JSON).status_code == 200, body[:80]
    longest = b'{"goal": "x", "namespace": "bounds", "error_trace": ' + text(65_536) + b"}"
    assert server.client.post(CAPTURE, content=longest, headers=JSON).status_code == 201
    assert len(longest) < 256 * 1024
