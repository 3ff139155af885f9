"""Texts that mean something to SQL, a shell, a path, a template, a terminal or a log: here they are texts.

SQLite's trace shows every statement with its bound values written in as literals. So each must be one of the project's
own statements with well-formed literals in the places of its question marks, and nothing else: a text that got into the
SQL itself would leave a statement that is none of them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from controlplane.contract import CaptureRequest, DecisionRequest
from controlplane.http.routes import ROUTES
from controlplane.journal.queries import QUERIES
from controlplane.journal.sqlite import REWRITE
from controlplane.llm.redaction import redacted
from controlplane.masking import without_secrets

from .canaries import filled
from .conftest import Running, chosen
from .test_canaries import IN_PATH, request_of

PAYLOADS = [
    *("'", "''", '"', "`", "\\", "\\'", "; --", "/*", "*/", "%", "_", "?", "?1", ":a", "@a", "$a"),
    "'; DROP TABLE events; --",
    "' OR '1'='1",
    "x') ; DELETE FROM events WHERE ('1'='1",
    "1 UNION SELECT payload, seq FROM events",
    "'||(SELECT payload FROM events LIMIT 1)||'",
    "x'; ATTACH DATABASE 'pwned.db' AS p; --",
    "'; PRAGMA journal_mode = DELETE; --",
    "load_extension('pwned')",
    *(
        "../pwned",
        "../../../../pwned",
        "/{folder}/pwned",
        "..\\pwned",
        "pwned\x7f",
        "file:///{folder}/pwned",
        "con",
        ".",
    ),
    "%2e%2e%2fpwned",
    "....//....//pwned",
    *("{{7*191919}}", "${{7*191919}}", "<%= 7*191919 %>", "#{7*191919}", "{7*191919}", "[[7*191919]]", "@(7*191919)"),
    *(
        "%s%n%x%d",
        "%(levelname)s",
        "{0.__class__.__mro__}",
        "{settings}",
        "${jndi:ldap://127.0.0.1/a}",
        "$(id)",
        "`id`",
    ),
    *("a\nb", "a\r\nSet-Cookie: pwned=1", "a\x1b[2J\x1b]0;pwned\x07", "a\u2028b", "a\u202eb", "\ufeff", "a\x85b"),
    "<script>alert(1)</script>",
    "]]>",
    "&xxe;",
    "__proto__",
    "null",
    "[red]pwned[/red]",
    "=cmd|' /C pwned'!A0",
    "a" * 256,
    "\U0001f4a5" * 64,
]
LITERAL = r"(?:NULL|-?[0-9][0-9.e+-]*|'(?:[^']|'')*'|x'[0-9a-f]*')"
# What the journal and sqlite3 say of themselves, without a value in it.
FIXED = {"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "PRAGMA wal_checkpoint(TRUNCATE)", REWRITE.rstrip(";")}
FILES = {"journal.db", "journal.db-wal", "journal.db-shm", "lock", "pepper"}


def template(sql: str) -> str:
    """A statement of ours as a pattern: literals for question marks, and a VALUES row as often as rows are written."""
    head, values, row = sql.strip().rstrip(";").partition("VALUES ")
    pattern = re.escape(head + values).replace(r"\?", LITERAL)
    one = re.escape(row.strip()).replace(r"\?", LITERAL)
    return f"{pattern}{one}(?:, {one})*" if values else pattern


OURS = re.compile("|".join(template(sql) for sql in QUERIES.values()), re.DOTALL)


def is_ours(statement: str) -> bool:
    said = statement.strip().rstrip(";").strip()
    return said in FIXED or OURS.fullmatch(said) is not None


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Running, list[str]]]:
    """A server whose real connections tell every statement they run."""
    statements: list[str] = []
    with Running(chosen(tmp_path / "data")) as running:
        journal: Any = running.service.journal
        for connection in (journal._writer, journal._reader):
            running.run(connection.set_trace_callback(statements.append))
        yield running, statements


def calls(payload: str, episode_id: int) -> Iterator[tuple[str, str, Any]]:
    """Every route that takes a text, with the payload as each text of its path and its body."""
    given = {"trace_id": payload, "previous_trace_id": payload, "episode_id": episode_id, "tenant": payload}
    for route in ROUTES:
        path, struct = route.path, request_of(route)
        if "{" not in path and struct is None:
            continue
        for name in IN_PATH:
            path = path.replace("{" + name + "}", quote(payload, safe=""))
        bodies = [None] if struct is None else [filled(struct, lambda _: payload, **given)]
        if struct is DecisionRequest:
            bodies = [{k: v for k, v in bodies[0].items() if k != left} for left in ("planned_action", "candidates")]
        if struct is CaptureRequest:
            bodies = [{k: v for k, v in bodies[0].items() if k != left} for left in ("trace_id", "")]
        for body in bodies:
            yield route.method.__name__.upper(), f"{path}?q={quote(payload)}", body


def test_no_text_is_taken_for_anything_but_a_text(traced: tuple[Running, list[str]], tmp_path: Path) -> None:
    server, statements = traced
    first = server.capture(goal="kept")["episode_id"]
    for number, pattern in enumerate(PAYLOADS):
        payload = pattern.replace("{folder}", str(tmp_path).lstrip("/"))
        for method, path, body in calls(payload, first):
            answer = server.client.request(method, path, json=body)
            assert answer.status_code < 500, (method, path, answer.text)
            assert "1343433" not in answer.text, "it was worked out"
            assert "set-cookie" not in answer.headers
        apart = {"namespace": "kept", "resolution": str(number)}  # marks that are not seen tell no two goals apart
        said = f"do {payload}"  # of nothing that is seen no goal is made
        kept = server.capture(goal=said, custom={payload: payload}, **apart)["episode_id"]
        told = server.get(f"/v1/episodes/{kept}")["episode"]
        text = "***" if "Cookie" in payload else payload  # what a name calls a cookie is masked
        assert (told["goal"], told["custom"]) == (redacted(said), {without_secrets(payload): text}), "it is text"
    assert len(statements) > 100
    assert [statement for statement in statements if not is_ours(statement)] == []
    assert server.get(f"/v1/episodes/{first}")["episode"]["goal"] == "kept"
    found = {str(file.relative_to(tmp_path / "data")) for file in (tmp_path / "data").rglob("*") if file.is_file()}
    assert {name for name in found if not name.startswith(("recovery/", "checkpoints/"))} <= FILES
    assert [str(file) for file in tmp_path.rglob("*") if "pwned" in file.name] == []
    assert [file.name for file in tmp_path.iterdir()] == ["data"]
    assert not Path("pwned").exists()
    assert not Path("pwned.db").exists()


def test_a_text_in_the_sql_itself_would_be_seen() -> None:
    bound = QUERIES["about"].rstrip(";")
    for value in ("'a'", "'it''s; DROP TABLE events'", "'a\nb'", "NULL", "-3", "1.5e+18", "x'00ff'"):
        assert is_ours(bound.replace("?", value)), value
    for value in ("a", "'a' OR 1=1", "'a'; DROP TABLE events", "'a", "x'zz'", json.dumps("a")):
        assert not is_ours(bound.replace("?", value)), value
    assert not is_ours("ATTACH DATABASE 'pwned.db' AS p")
