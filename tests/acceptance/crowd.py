"""Many clients at once, who write down what they send and what they are told; and what must hold afterwards.

A fact is (kind, what it is about), as the journal's events have it. A client notes a fact as sent before it asks and
as acknowledged once it is answered. Whatever happens to the server, the journal then holds each fact at least as
often as it was acknowledged and at most as often as it was sent: sent once and acknowledged is there exactly once.
"""

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from controlplane import settings
from controlplane.rebuilding import rebuild

Fact = tuple[str, str]
CLIENTS = 8
NEVER = 10**9
REFUSALS = (503, 507)
EVERYTHING = (50, 20, 12, 6, 2, 1)  # shares of decisions, captures, validations, purges, checkpoints, restores
REPORTS = (1, 0, 0, 0, 0, 0)  # decisions, each with its report


class Crowd:
    """The clients of one data folder over all its lives, and their ledger."""

    def __init__(self, seed: int) -> None:
        print(f"seed {seed}")
        self.rng = random.Random(seed)
        self.sent: Counter[Fact] = Counter()
        self.acknowledged: Counter[Fact] = Counter()
        self.refused = 0
        self.episodes: dict[int, str] = {}  # captured and not purged: id -> goal
        self.purged: dict[int, str] = {}  # a purge was sent
        self.checkpoints: list[str] = []
        self._names = count()

    def visit(self, url: str, enough: int = NEVER, refusals: int = NEVER, weights: Sequence[int] = EVERYTHING) -> None:
        """Send requests of these kinds until so many more are acknowledged or refused, or the server is gone."""
        goal, most = self.acknowledged.total() + enough, self.refused + refusals

        async def visitors() -> None:
            async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                await asyncio.gather(*(self._visitor(client, goal, most, weights) for _ in range(CLIENTS)))

        asyncio.run(visitors())

    async def _visitor(self, client: httpx.AsyncClient, goal: int, most: int, weights: Sequence[int]) -> None:
        acts = (self._decide, self._capture, self._validate, self._purge, self._checkpoint, self._restore)
        while self.acknowledged.total() < goal and self.refused < most:
            [act] = self.rng.choices(acts, weights)
            try:
                await act(client)
            except httpx.TransportError:
                return  # the server is gone

    async def _tell(self, fact: Fact, asking: Coroutine[Any, Any, httpx.Response]) -> Any:
        """One request that leaves a fact; its answer, or None when it was refused."""
        self.sent[fact] += 1
        answer = await asking
        if answer.status_code in REFUSALS:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["retryable"], answer.text
            self.sent[fact] -= 1  # nothing was changed, it says
            self.refused += 1
            return None
        assert answer.is_success, answer.text
        self.acknowledged[fact] += 1
        return answer.json() if answer.content else {}

    async def _decide(self, client: httpx.AsyncClient) -> None:
        goal = f"goal {next(self._names)}"
        task_id = self.rng.choice((None, f"task {self.rng.randrange(6)}"))
        asked: dict[str, Any] = {"goal": goal, "task_id": task_id}
        if self.rng.random() < 0.5:
            asked["planned_action"] = f"make target{self.rng.randrange(20)}"
        else:
            asked["candidates"] = [{"provider": p, "sku": "s"} for p in "abc"]
        decided = await self._tell(("decision", goal), client.post("/v1/decisions", json=asked))
        if decided is None:
            return
        outcome = {"success": self.rng.random() < 0.6, "latency_ms": float(self.rng.randrange(400))}
        body = {"trace_id": decided["trace_id"], "outcome": outcome}
        await self._tell(("feedback", decided["trace_id"]), client.post("/v1/feedback", json=body))

    async def _capture(self, client: httpx.AsyncClient) -> None:
        goal = f"goal {next(self._names)}"
        body = {
            "goal": goal,
            "planned_action": "make",
            "error_trace": f"Error: {goal}",
            "custom": {"note": canary(goal)},
        }
        captured = await self._tell(("capture", goal), client.post("/v1/capture", json=body))
        if captured is not None:
            self.episodes[captured["episode_id"]] = goal

    async def _validate(self, client: httpx.AsyncClient) -> None:
        if self.episodes:
            episode_id = self.rng.choice(list(self.episodes))
            body = {"episode_id": episode_id, "outcome": self.rng.choice(("success", "failure"))}
            fact = ("validation", str(episode_id))
            self.sent[fact] += 1
            answer = await client.post("/v1/validate_fix", json=body)
            if answer.is_success:
                self.acknowledged[fact] += 1
            else:  # refused, or purged by another client meanwhile
                assert answer.status_code in (404, *REFUSALS), answer.text
                self.refused += answer.status_code in REFUSALS
                self.sent[fact] -= 1

    async def _purge(self, client: httpx.AsyncClient) -> None:
        if len(self.episodes) > 4:
            episode_id, goal = self.episodes.popitem()
            self.purged[episode_id] = goal
            answer = await client.delete(f"/v1/episodes/{episode_id}")
            assert answer.status_code in (204, *REFUSALS), answer.text
            self.refused += answer.status_code in REFUSALS
            self.acknowledged["episode_deleted", str(episode_id)] += answer.status_code == 204

    async def _checkpoint(self, client: httpx.AsyncClient) -> None:
        name = f"checkpoint {next(self._names)}"
        created = await self._tell(("checkpoint", name), client.post("/v1/checkpoints", json={"name": name}))
        if created is not None:
            self.checkpoints.append(created["checkpoint_id"])

    async def _restore(self, client: httpx.AsyncClient) -> None:
        if self.checkpoints:
            checkpoint_id = self.rng.choice(self.checkpoints)
            await self._tell(("restored", checkpoint_id), client.post(f"/v1/checkpoints/{checkpoint_id}/restore"))

    def check(self, folder: Path) -> None:
        """What the journal of a stopped server holds against what was sent and acknowledged."""
        there = self.facts(folder)
        lost = {fact: n for fact, n in self.acknowledged.items() if there[fact] < n}
        assert lost == {}
        assert {f: n for f, n in there.items() if n > self.sent[f] and f[0] != "episode_deleted"} == {}, "doubled"
        self._check_purges(folder, there)

    def facts(self, folder: Path) -> "Counter[Fact]":
        """What a sound journal holds, and how often."""
        with sqlite3.connect(folder / "journal.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = database.execute("SELECT seq, kind, payload FROM events ORDER BY seq").fetchall()
        database.close()
        assert [seq for seq, *_ in rows] == list(range(1, len(rows) + 1)), "no gap and no repeat"
        return Counter(fact for seq, _, payload in rows if (fact := self._fact(seq, json.loads(payload))))

    def _fact(self, seq: int, event: dict[str, Any]) -> Fact | None:
        match event["kind"]:
            case "decision":
                return "decision", event["trace"]["request"]["goal"]
            case "feedback":
                return "feedback", event["trace_id"]
            case "capture":
                return "capture", event["episode"]["goal"]
            case "purged":
                return "capture", self.purged[seq]
            case "validation" | "episode_deleted":
                return event["kind"], str(event["episode_id"])
            case "checkpoint":
                return "checkpoint", event["name"]
            case "restored":
                return "restored", event["checkpoint_id"]
        return None

    def _check_purges(self, folder: Path, there: "Counter[Fact]") -> None:
        """A purge happened as a whole or not at all."""
        kept = b"".join(path.read_bytes() for path in folder.glob("journal.db*"))
        for episode_id, goal in self.purged.items():
            deleted = there["episode_deleted", str(episode_id)]
            assert deleted <= 1
            assert (canary(goal).encode() in kept) == (not deleted), f"episode {episode_id}"


def canary(goal: str) -> str:
    """A word that stands nowhere but in the episode that was captured for this goal."""
    return f"canary-{goal.replace(' ', '-')}."


def verified(folder: Path) -> None:
    """The whole journal, folded again, is what the server wrote down, bit for bit."""
    loaded = settings.load({}, overrides={"data_dir": str(folder)})
    report = asyncio.run(rebuild(loaded, verify=True, progress=lambda done, of: None))
    assert report.differences == []
    assert report.verdict.startswith("bit-identical")
