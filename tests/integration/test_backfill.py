"""Backfills from real files: what is new is kept, what changed is replaced, what is gone is dropped, nothing twice."""

import json
import sqlite3
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from controlplane.backfill.described import read_described
from controlplane.backfill.passing import Backfill, Passed
from controlplane.backfill.server import LOADED_WITHIN_S, TRIES, Server, ServerRefused
from controlplane.cli.backfilling import _pass as one_pass
from controlplane.contract import MAX_TEXT
from controlplane.errors import BadSetting
from controlplane.licences import fingerprints

from .conftest import Running, Serve, Upstream

TABLE = "CREATE TABLE fixes (id INTEGER PRIMARY KEY, title TEXT, body, changed INTEGER, licence TEXT, score REAL)"
ORIGIN = """
[[origin]]
name = "fixes"
path = "fixes.db"
table = "fixes"
key = "id"
title = "title"
text = ["title", "body"]
modified = "changed"
license_from = "licence"
enhancement = "score"
metadata = ["changed"]
kind = "patch"
what = "enhancements"
"""
LINES = """
[[origin]]
name = "lines"
path = "errors.jsonl"
key = "name"
text = ["said"]
license = "MIT"
"""
Sql = Callable[..., None]


@pytest.fixture
def sql(tmp_path: Path) -> Sql:
    """Changes the database."""

    def run(statement: str, *rows: tuple[Any, ...]) -> None:
        with closing(sqlite3.connect(tmp_path / "fixes.db")) as database, database:
            database.executemany(statement, rows) if rows else database.execute(statement)

    run(TABLE)
    run("INSERT INTO fixes VALUES (?, ?, ?, ?, ?, ?)", *((n, f"Fix {n}", f"do {n}", 1, None, 0.5) for n in range(1, 4)))
    return run


Passes = Callable[..., Callable[[], Passed]]


@pytest.fixture
def passes(tmp_path: Path) -> Iterator[Passes]:
    """Makes clients, each of which goes over a described origin as often as it is called."""
    with ExitStack() as open_clients:

        def made(
            server: Running | Upstream, described: str, stopped: Callable[[], bool] = lambda: False
        ) -> Callable[[], Passed]:
            (tmp_path / "origins.toml").write_text(described, "utf-8")
            [origin] = read_described(tmp_path / "origins.toml")
            asked = Server(server.url, "", lambda wait_s: False)
            open_clients.callback(asked.close)
            work = Backfill(asked, stopped)
            return lambda: work.over(origin, lambda done, of: None)

        yield made


def counts(passed: Passed) -> tuple[int, int, int]:
    assert passed.failed is None, passed.failed
    return passed.kept, passed.unchanged, passed.dropped


def texts(server: Running) -> dict[str, str]:
    asked = {"query": "fix", "min_similarity": -1.0, "k": 100}
    return {r["key"]: r["text"] for r in server.post("/v1/documents/search", asked)["results"]}


def test_records_are_kept_once_and_again_only_when_they_changed(
    serve: Serve, tmp_path: Path, sql: Sql, passes: Passes
) -> None:
    server = serve()
    run = passes(server, ORIGIN)
    assert [counts(run()) for _ in range(2)] == [(3, 0, 0), (0, 3, 0)]
    before = server.last_seq
    sql("UPDATE fixes SET body = 'do otherwise', changed = 2 WHERE id = 2")
    sql("DELETE FROM fixes WHERE id = 3")
    sql("INSERT INTO fixes VALUES (4, 'Fix 4', 'do 4', 2, NULL, NULL)")
    assert counts(run()) == (2, 1, 1)
    assert server.last_seq == before + 3
    kept = texts(server)
    assert {key: "otherwise" in text for key, text in kept.items()} == {"1": False, "2": True, "4": False}
    found = server.post("/v1/documents/search", {"query": "Fix 1 do 1", "k": 1})["results"][0]
    assert (found["title"], found["kind"], found["enhancement"]) == ("Fix 1", "patch", 0.5)
    assert found["metadata"] == {"changed": "1"}
    [origin] = server.get("/v1/origins")
    assert (origin["origin"], origin["what"], origin["documents"]) == ("fixes", "enhancements", 3)


def test_what_changed_is_found_without_a_column_that_says_so(
    serve: Serve, tmp_path: Path, sql: Sql, passes: Passes
) -> None:
    run = passes(serve(), ORIGIN.replace('modified = "changed"\n', ""))
    assert counts(run()) == (3, 0, 0)
    sql("UPDATE fixes SET body = 'do otherwise' WHERE id = 2")
    assert counts(run()) == (1, 2, 0)


def test_long_records_are_sent_apart_where_the_server_would_not_take_them_together(
    serve: Serve, tmp_path: Path, passes: Passes
) -> None:
    columns = [f"c{number}" for number in range(18)]
    rows = [{"name": name, "said": "quota", **dict.fromkeys(columns, "x" * 8000)} for name in "abc"]
    (tmp_path / "errors.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert counts(passes(serve(), f"{LINES}metadata = {columns}\n")()) == (3, 0, 0)


def test_a_watcher_says_of_a_later_pass_only_what_is_otherwise(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "origins.toml").write_text(LINES, "utf-8")
    lines, origins = tmp_path / "errors.jsonl", read_described(tmp_path / "origins.toml")
    with closing(Server(serve().url, "", lambda wait_s: False)) as asked:
        work, before, said = Backfill(asked, lambda: False), None, list[bool]()
        for more in ('{"name": "a", "said": "quota"}\n', "", '{"name": "b"}\n', "", '{"said": "x"}\n', ""):
            with lines.open("a", encoding="utf-8") as file:
                file.write(more)
            before = one_pass(work, origins, json=False, before=before)
            said.append("lines: " in capsys.readouterr().out)
    assert said == [True, False] * 3


def test_another_client_goes_on_where_the_first_one_stopped(
    serve: Serve, tmp_path: Path, sql: Sql, passes: Passes
) -> None:
    server = serve()
    rows = [(n, f"Fix {n}", f"do {n}", 1, None, 0.5) for n in range(4, 201)]
    sql("INSERT INTO fixes VALUES (?, ?, ?, ?, ?, ?)", *rows)
    records = count()
    assert counts(passes(server, ORIGIN, lambda: next(records) > 100)()) == (64, 0, 0), "one batch was sent"
    assert counts(passes(server, ORIGIN)()) == (136, 64, 0)
    assert server.get("/status")["memory"]["documents"] == 200


def test_a_query_and_names_with_quotes_are_read(serve: Serve, sql: Sql, passes: Passes) -> None:
    server = serve()
    sql('CREATE TABLE "odd ""name" AS SELECT * FROM fixes')
    odd = ORIGIN.replace('table = "fixes"', "table = 'odd \"name'")
    assert counts(passes(server, odd)()) == (3, 0, 0)
    joined = 'query = "SELECT *, id AS number FROM fixes WHERE id > 1;"'
    asked = ORIGIN.replace('table = "fixes"', joined).replace('name = "fixes"', 'name = "some"')
    assert counts(passes(server, asked)()) == (2, 0, 0)


def test_records_that_are_none_are_named_and_spoil_no_other(
    serve: Serve, tmp_path: Path, sql: Sql, passes: Passes
) -> None:
    server = serve()
    bad = [
        (10, "latin", b"abc\xe9", 1, None, 0.5),
        (11, "huge", "x" * 131_073, 1, None, 0.5),
        (12, None, "", 1, None, 0.5),
        (13, "scored", "badly", 1, None, 7.0),
        (14, "nul", "a\x00b", 1, None, None),
        (15, "wordy", "do 15", "x" * 8193, None, None),
    ]
    sql("INSERT INTO fixes VALUES (?, ?, ?, ?, ?, ?)", *bad)
    passed = passes(server, ORIGIN)()
    assert counts(passed) == (3, 0, 0)
    whys = {skipped.key: skipped.why for skipped in passed.skipped}
    said = {"10": "body is not UTF-8", "11": "at most 131072", "12": "no text", "13": "from 0 to 1", "14": "NUL"}
    said["15"] = "changed has 8193 characters; at most 8192"
    assert whys.keys() == said.keys()
    assert [key for key, words in said.items() if words not in whys[key]] == []


def test_large_records_stop_no_other(serve: Serve, tmp_path: Path, passes: Passes) -> None:
    """Together they are more than a body may be, and alone they are not; one has a field that is too long."""
    server = serve()
    sizes = {"a": 149_000, "b": 199_000, "c": 20}
    records = [{"name": name, "said": "€€€€ " * (of // 13)} for name, of in sizes.items()]
    records.append({"name": "f", "said": "Fix it", "at": "x" * (MAX_TEXT + 1)})
    (tmp_path / "errors.jsonl").write_text("\n".join(map(json.dumps, records)))
    run = passes(server, LINES + 'metadata = ["at"]')
    for expected in ((3, 0, 0), (0, 3, 0)):
        passed = run()
        assert counts(passed) == expected
        [(key, why)] = [(skipped.key, skipped.why) for skipped in passed.skipped]
        assert (key, f"at most {MAX_TEXT} are taken" in why) == ("f", True)
    assert server.metric("pointsman_errors_total", code="too_large") == 0, "none was sent in vain"


def test_what_is_too_large_for_the_server_is_skipped_by_name(
    tmp_path: Path, passes: Passes, upstream: Callable[..., Upstream]
) -> None:
    """A server, or what stands before it, may take less."""
    takes, kept = 1000, list[str]()

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        asked, sent = before.asked[-1]
        told: Any = {"documents": [], "next": None} if asked.startswith("GET /v1/documents") else []
        if asked.startswith("POST /v1/documents"):
            made = [{"status": "kept"} for _ in json.loads(sent)["documents"]]
            told = {"documents": made}
            kept.extend(document["key"] for document in json.loads(sent)["documents"] if len(sent) <= takes)
        body = b"<html>413</html>" if len(sent) > takes else json.dumps(told).encode()
        request.send_response(413 if len(sent) > takes else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    before = upstream(answer)
    lines = [{"name": name, "said": "Fix it " * words} for name, words in (("a", 3), ("b", 300), ("c", 3))]
    (tmp_path / "errors.jsonl").write_text("\n".join(map(json.dumps, lines)))
    passed = passes(before, LINES)()
    assert counts(passed) == (2, 0, 0)
    assert [(skipped.key, skipped.why) for skipped in passed.skipped] == [("b", "it is larger than the server takes")]
    assert kept == ["a", "c"]


def test_denied_licences_are_violations_and_are_not_sent_again(
    serve: Serve, tmp_path: Path, sql: Sql, passes: Passes
) -> None:
    notice = "All rights reserved."
    server = serve(license_denylist=f"GPL-3.0, {min(fingerprints(notice))}")
    sql("UPDATE fixes SET licence = 'GPL-3.0-only' WHERE id = 1")
    sql(f"UPDATE fixes SET title = NULL, body = '{notice}' WHERE id = 2")
    run = passes(server, ORIGIN)
    for _ in range(2):
        passed = run()
        assert [skipped.key for skipped in passed.violations] == ["1", "2"]
        assert passed.skipped == []
    assert passed.unchanged == 1


def test_a_mark_of_the_encoding_is_no_part_of_the_first_record(serve: Serve, tmp_path: Path, passes: Passes) -> None:
    line = json.dumps({"name": "a", "said": "Fix it"}).encode()
    file = tmp_path / "errors.jsonl"
    file.write_bytes(BOM_UTF8 + line + b"\n" + line.replace(b'"a"', b'"b"'))
    run = passes(serve(), LINES)
    assert counts(run()) == (2, 0, 0)
    file.write_bytes(BOM_UTF8)
    assert "it is empty" in str(run().failed)


def test_a_file_that_is_still_being_written_drops_nothing(serve: Serve, tmp_path: Path, passes: Passes) -> None:
    server = serve()
    whole = "".join(json.dumps({"name": f"r{n}", "said": f"Fix {n}"}) + "\n" for n in range(4))
    file = tmp_path / "errors.jsonl"
    file.write_text(whole)
    run = passes(server, LINES)
    assert counts(run()) == (4, 0, 0)
    file.write_text(whole[: len(whole) // 2 + 5])
    passed = run()
    assert ("not whole" in str(passed.failed), passed.dropped) == (True, 0)
    file.write_text("")
    passed = run()
    assert ("it is empty" in str(passed.failed), passed.dropped) == (True, 0)
    file.write_text(whole.replace('{"name": "r1"', '{"name": r1'))
    passed = run()
    assert ([skipped.key for skipped in passed.skipped], passed.dropped) == (["record 2"], 0), "it may be any"
    file.write_text(whole)
    assert counts(run()) == (0, 4, 0)


def test_secrets_of_records_are_neither_listed_nor_shown_and_are_not_sent_twice(
    serve: Serve, tmp_path: Path, passes: Passes
) -> None:
    server, secret = serve(), "hunter2-4711"
    lines = [{"name": f"token={secret}", "said": "Fix it"}, {"name": "a", "said": "Fix it", "at": f"token={secret}"}]
    (tmp_path / "errors.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run = passes(server, LINES + 'modified = "at"')
    passed = run()
    assert (counts(passed), [skipped.key for skipped in passed.skipped]) == ((1, 0, 0), ["token=***"])
    assert secret not in json.dumps(server.get("/v1/documents?origin=lines"))
    assert counts(run()) == (0, 1, 0)


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (ORIGIN.replace("fixes.db", "none.db"), "unable to open"),
        (ORIGIN.replace('table = "fixes"', 'table = "none"'), "no such table"),
        (ORIGIN.replace('["title", "body"]', '["none"]'), "no column 'none'"),
        (ORIGIN.replace("fixes.db", "origins.toml"), "not a database"),
        (LINES, "No such file"),
    ],
)
def test_a_source_that_cannot_be_read_is_named_and_drops_nothing(
    serve: Serve, sql: Sql, described: str, said: str, passes: Passes
) -> None:
    server = serve()
    assert counts(passes(server, ORIGIN)()) == (3, 0, 0)
    passed = passes(server, described)()
    assert said in str(passed.failed)
    assert passed.dropped == 0
    assert len(texts(server)) == 3


def test_a_source_that_another_program_locks_is_read_the_next_time(
    serve: Serve, tmp_path: Path, sql: Sql, passes: Passes
) -> None:
    run = passes(serve(), ORIGIN)
    with closing(sqlite3.connect(tmp_path / "fixes.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in str(run().failed)
        other.execute("ROLLBACK")
    assert counts(run()) == (3, 0, 0)


def test_json_lines_are_read_and_lines_that_are_none_are_named(serve: Serve, tmp_path: Path, passes: Passes) -> None:
    server = serve()
    lines = [
        json.dumps({"name": "a", "said": "Fix the quota"}).encode(),
        b'{"name": "b", "said": "abc\xe9"}', b"no json", b"[1]", b"",
        json.dumps({"said": "nameless"}).encode(),
        json.dumps({"name": "a", "said": "twice"}).encode(),
        json.dumps({"name": "c", "said": {"deep": 1}}).encode(),
    ]  # fmt: skip
    (tmp_path / "errors.jsonl").write_bytes(b"\n".join(lines))
    passed = passes(server, LINES)()
    assert counts(passed) == (2, 0, 0)
    whys = [(skipped.key, skipped.why.partition(":")[0]) for skipped in passed.skipped]
    assert whys == [
        ("record 2", "its line is no JSON"), ("record 3", "its line is no JSON"), ("record 4", "its line is no object"),
        ("record 5", "it has no key"), ("a", "another record has its key"),
    ]  # fmt: skip
    assert texts(server) == {"a": "Fix the quota", "c": '{"deep":1}'}
    assert [o["license"] for o in server.get("/v1/origins")] == ["MIT"]


def test_a_server_that_loads_its_memory_is_waited_for(upstream: Callable[..., Upstream]) -> None:
    """Longer than for one that is busy; but not for ever."""
    loads, waited = 3 * TRIES, list[float]()

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        body = b"[]" if number > loads else b'{"code": "embedder_loading", "detail": "it loads", "retryable": true}'
        request.send_response(200 if number > loads else 503)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Retry-After", "2")
        request.end_headers()
        request.wfile.write(body)

    server = Server(upstream(answer).url, "", lambda wait_s: waited.append(wait_s) is None)
    with closing(server):
        assert server.ask("GET", "/v1/origins") == []
        assert waited == [2.0] * loads
        loads = 10_000
        with pytest.raises(ServerRefused, match="it loads"):
            server.ask("GET", "/v1/origins")
    assert sum(waited) < 2 * LOADED_WITHIN_S


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ("", "origin"),
        ("[[origin]", "origins.toml does not describe origins"),
        (ORIGIN.replace("key =", "kee ="), "kee"),
        (ORIGIN + 'query = "SELECT 1"', "not both"),
        (ORIGIN + ORIGIN, "two origins of one name"),
        (ORIGIN.replace('"fixes"', '"token=abcdef"', 1), "looks like a secret"),
    ],
)
def test_a_description_that_does_not_fit_says_what_is_wrong(tmp_path: Path, described: str, said: str) -> None:
    (tmp_path / "origins.toml").write_text(described, "utf-8")
    with pytest.raises(BadSetting, match=said):
        read_described(tmp_path / "origins.toml")
