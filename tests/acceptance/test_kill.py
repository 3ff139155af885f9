"""Kills under load over one data folder (at night two hundred): what was acknowledged is there once, and learnt."""

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

WORKERS, OVERLOADED = 32, 503
FAST = {"POINTSMAN_RECOVERY_INTERVAL_S": "0.1", "POINTSMAN_EPSILON": "0.3"}


class Ledger:
    """What the client was told, and what it never heard of again."""

    def __init__(self) -> None:
        self.decided: list[str] = []
        self.acknowledged: dict[str, dict[str, Any]] = {}  # trace -> the outcome that was reported
        self.unheard: dict[str, dict[str, Any]] = {}  # reported, and the server died before it answered


def headers_of(trace_id: str) -> dict[str, str]:
    """Every other report, by a random digit of its decision, comes under an idempotency key."""
    return {"Idempotency-Key": trace_id} if int(trace_id[-1], 16) % 2 else {}


def requests(rng: random.Random, worker: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A worker's decisions, each with the outcome it will report: routes, gates alone, and gates of tasks."""
    for n in range(10_000):
        match rng.randrange(3):
            case 0:
                asked: dict[str, Any] = {"planned_action": f"make target{rng.randrange(20)}"}
            case 1:
                asked = {"planned_action": "make test", "task_id": f"task {worker}.{n // 5}"}
            case _:
                places = [{"provider": p, "sku": "s"} for p in ("a", "b", "c")]
                asked = {"candidates": places, "context": {"region": f"r{rng.randrange(5)}"}}
        yield asked, {"success": rng.random() < 0.6, "latency_ms": float(rng.randrange(400)), "cost": 0.1}


async def insist(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    """Ask again for as long as the server has too much to do."""
    while True:
        answer = await client.post(path, json=body, headers=headers)
        if answer.status_code != OVERLOADED or answer.json()["code"] != "overloaded":
            return answer
        await asyncio.sleep(0.05)


async def load(url: str, ledger: Ledger, rng: random.Random, within_s: float, kill: Callable[[], None]) -> None:
    """Thirty-two clients at once, until the server is killed some moment after some acknowledgements."""
    reached = asyncio.Event()
    goal = len(ledger.acknowledged) + rng.randrange(40, 120)

    async def work(client: httpx.AsyncClient, worker: int) -> None:
        for asked, outcome in requests(random.Random(rng.random()), worker):
            try:
                trace_id = (await insist(client, "/v1/decisions", asked)).json()["trace_id"]
                ledger.decided.append(trace_id)
                ledger.unheard[trace_id] = outcome
                body = {"trace_id": trace_id, "outcome": outcome}
                answer = await insist(client, "/v1/feedback", body, headers_of(trace_id))
            except httpx.TransportError:
                return  # the server is dead
            assert answer.status_code == 200, answer.text
            ledger.acknowledged[trace_id] = ledger.unheard.pop(trace_id)
            if len(ledger.acknowledged) >= goal:
                reached.set()

    async def killer() -> None:
        await reached.wait()
        await asyncio.sleep(rng.random() * within_s)
        kill()

    limits = httpx.Limits(max_connections=WORKERS)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        await asyncio.gather(killer(), *(work(client, worker) for worker in range(WORKERS)))


async def check(url: str, ledger: Ledger, since: int) -> None:
    """After a restart: what was acknowledged in the last round is there once, and learnt or about to be."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for trace_id in ledger.decided[since:]:
            response = await client.get(f"/v1/decisions/{trace_id}")
            assert response.status_code == 200, "an answered decision is on disk"
            if trace_id in ledger.acknowledged:
                whole = response.json()
                [reported] = whole["feedback"]
                outcome = ledger.acknowledged[trace_id]
                assert {name: reported["outcome"][name] for name in outcome} == outcome
                assert (whole["update"] is None) == (whole["pending"] is not None)
                assert whole["pending"] in (None, "next_decision", "window")
        assert (await client.get("/status")).json()["recovery"]["damaged"] == []


async def report_again(url: str, ledger: Ledger) -> None:
    """A client that never heard an answer asks again, as it should; it may have been heard before."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for trace_id, outcome in list(ledger.unheard.items()):
            body, headers = {"trace_id": trace_id, "outcome": outcome}, headers_of(trace_id)
            answer = (await client.post("/v1/feedback", json=body, headers=headers)).json()
            assert answer["updated"] or answer["duplicate"] or answer["pending"], answer
            assert not (headers and answer["duplicate"]), "what came of the first try is told, not of a second"
            del ledger.unheard[trace_id]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.mark.parametrize(("kills", "within_s"), [(8, 0.05), pytest.param(200, 0.5, marks=pytest.mark.nightly)])
def test_nothing_acknowledged_is_lost_when_the_server_is_killed_again_and_again_under_load(
    start: Any, cli: Any, ledger: Ledger, tmp_path: Path, seed: int, kills: int, within_s: float
) -> None:
    rng = random.Random(seed)
    server = start(**FAST)
    for _ in range(kills):
        since = len(ledger.decided)
        asyncio.run(load(server.url, ledger, rng, within_s, server.process.kill))
        assert server.wait() == -signal.SIGKILL
        server = start(**FAST)
        asyncio.run(check(server.url, ledger, since))
        asyncio.run(report_again(server.url, ledger))
    updates = server.get("/status")["model"]["updates"]
    opened = server.get("/status")["open_decisions"]
    assert server.end() == 0

    with sqlite3.connect(tmp_path / "data" / "journal.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        seqs = [seq for (seq,) in database.execute("SELECT seq FROM events ORDER BY seq")]
        decided = Counter(ref for (ref,) in database.execute("SELECT ref FROM events WHERE kind = 'decision'"))
        reports = Counter(ref for (ref,) in database.execute("SELECT ref FROM events WHERE kind = 'feedback'"))
        records = {t: msgspec.json.decode(r) for t, r in database.execute("SELECT trace_id, record FROM learned")}
    database.close()
    assert seqs == list(range(1, len(seqs) + 1)), "no gap and no repeat"
    assert len(ledger.acknowledged) > kills * 40
    assert all(decided[trace_id] == 1 for trace_id in ledger.decided)
    lost = [trace_id for trace_id in ledger.acknowledged if not reports[trace_id]]
    doubled = [trace_id for trace_id in ledger.acknowledged if reports[trace_id] > 1]
    told = f"{len(ledger.decided)} decisions and {len(ledger.acknowledged)} reports acknowledged"
    print(f"{kills} kills, {told}, {len(lost)} reports lost, {len(doubled)} doubled")
    assert (lost, doubled) == ([], []), "each acknowledged report exactly once"
    under_keys = [trace_id for trace_id in reports if headers_of(trace_id)]
    assert len(under_keys) > kills * 15
    assert all(reports[trace_id] == 1 for trace_id in under_keys), "also of those nobody heard an answer to"
    assert sum(record["update"] is not None for record in records.values()) == updates
    assert sum(decided.values()) == len(records) + opened, "every decision is learnt or waits"

    verified = cli("rebuild", "--verify", "--json")
    assert verified.returncode == 0, verified.stderr
    report = json.loads(verified.stdout)
    assert report["verdict"].startswith("bit-identical to recovery-")
    assert (report["seq"], report["differences"]) == (len(seqs), [])
