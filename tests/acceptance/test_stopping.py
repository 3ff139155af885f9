"""Told to stop, a server finishes what it was asked, writes down what it learnt, and ends with exit code 0."""

import asyncio
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..integration.asked_model import Provider, chosen_for, started

Start = Any
Cli = Any


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_leaves_a_recovery_file_at_the_last_event(
    start: Start, told: signal.Signals
) -> None:
    server = start()
    for i in range(5):
        decided = server.post("/v1/decisions", {"candidates": [{"provider": "a", "sku": str(i)}]})
        server.post("/v1/feedback", {"trace_id": decided["trace_id"], "outcome": {"latency_ms": 10}})
    last = server.get("/status")["journal"]["last_seq"]
    assert server.end(told) == 0
    assert "Traceback" not in server.errors
    assert [path.name for path in (server.folder / "recovery").iterdir()] == [f"recovery-{last:020d}.fold"]
    assert start().get("/status")["model"]["updates"] == 5


def test_a_server_that_is_told_to_stop_under_load_loses_nothing_it_acknowledged(start: Start, tmp_path: Path) -> None:
    server = start()
    acknowledged: list[str] = []

    async def work(client: httpx.AsyncClient) -> None:
        while True:
            try:
                decided = (await client.post("/v1/decisions", json={"planned_action": "make"})).json()
                body = {"trace_id": decided["trace_id"], "outcome": {"success": True}}
                answer = await client.post("/v1/feedback", json=body)
            except httpx.TransportError:
                return
            assert answer.status_code == 200
            acknowledged.append(decided["trace_id"])
            if len(acknowledged) == 150:
                server.process.send_signal(signal.SIGTERM)

    async def clients() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            await asyncio.gather(*(work(client) for _ in range(16)))

    asyncio.run(clients())
    assert server.wait() == 0
    assert len(acknowledged) >= 150
    with sqlite3.connect(tmp_path / "data" / "journal.db") as database:
        reported = [ref for (ref,) in database.execute("SELECT ref FROM events WHERE kind = 'feedback'")]
        records = {trace for (trace,) in database.execute("SELECT trace_id FROM learned")}
        [(last,)] = database.execute("SELECT max(seq) FROM events")
    database.close()
    assert all(reported.count(trace_id) == 1 for trace_id in acknowledged)
    assert set(acknowledged) <= records
    assert (tmp_path / "data" / "recovery" / f"recovery-{last:020d}.fold").exists()


def test_a_journal_of_a_newer_version_ends_the_start_at_once(start: Start, cli: Cli, tmp_path: Path) -> None:
    assert start().end() == 0
    _tamper(tmp_path, "PRAGMA user_version = 99")
    for command in (("serve", "--port", "0"), ("rebuild", "--verify")):
        refused = cli(*command)
        assert refused.returncode == 1
        assert "the journal has schema 99" in refused.stderr
        assert "install the newer Pointsman" in refused.stderr


@pytest.mark.parametrize("harm", ["payload = x'7b'", "at = at + 1", "kind = 'feedback'", "checksum = NULL"])
def test_a_damaged_event_ends_the_start_at_once_and_is_named(start: Start, cli: Cli, tmp_path: Path, harm: str) -> None:
    server = start()
    server.post("/v1/decisions", {"planned_action": "ls"})
    server.end(signal.SIGKILL)
    _tamper(tmp_path, f"UPDATE events SET {harm} WHERE seq = 2")
    refused = cli("serve", "--port", "0")
    assert refused.returncode == 1
    assert "the journal is damaged (event 2 is not what was written); restore a backup" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_damaged_journal_ends_the_start_with_one_sentence_that_says_what_to_do(
    start: Start, cli: Cli, tmp_path: Path
) -> None:
    assert start().end() == 0
    journal = tmp_path / "data" / "journal.db"
    journal.write_bytes(journal.read_bytes()[:40] + bytes(200) + journal.read_bytes()[240:])
    for command in (("serve", "--port", "0"), ("rebuild",)):
        refused = cli(*command, POINTSMAN_LOG_LEVEL="error")
        assert (refused.returncode, refused.stdout) == (1, "")
        [said] = refused.stderr.splitlines()
        assert "the journal is damaged" in said
        assert "pointsman restore BACKUP --data-dir FOLDER" in said


def _tamper(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "data" / "journal.db") as database:
        database.execute(statement)
    database.close()


def test_a_chat_whose_model_has_not_answered_when_the_server_stops_is_told_so(start: Start, tmp_path: Path) -> None:
    """As OpenAI's clients are told of anything; so is a stream that has begun."""
    with started() as url, httpx.Client(base_url=url) as client:
        provider, settings = Provider(client), chosen_for(url, tmp_path)
        provider.script(otherwise={"text": "one two three", "between_s": 30.0, "latency_s": 0.0})
        server = start(**{f"POINTSMAN_{name.upper()}": str(value) for name, value in settings.items()})
        said = {"model": "cheap", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
        with ThreadPoolExecutor(2) as waiting, httpx.Client(base_url=server.url, timeout=60) as asking:
            streamed = waiting.submit(asking.post, "/v1/chat/completions", json={**said, "stream": True})
            provider.until_asked(1)
            provider.script(otherwise={"text": "too late", "latency_s": 30.0})
            whole = waiting.submit(asking.post, "/v1/chat/completions", json=said)
            provider.until_asked(1)
            assert server.end(signal.SIGTERM) == 0
            told, pieces = whole.result(), streamed.result().text
    assert (told.status_code, told.json()["error"]["code"]) == (503, "unavailable")
    assert '"code":"unavailable"' in pieces
    assert "Traceback" not in server.errors
