"""The model beside the real thing: two replicas on one PostgreSQL at rates that this machine bears, in one run."""

import asyncio
import random
import statistics
import time
import uuid
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from ..chaos.load import ACTIONS
from ..chaos.replicas import Replica
from ..services import Postgres
from .costs import Costs
from .database import Backends
from .model import REPORTED_S, Journal
from .processors import Ran
from .serving import up

RATES, SECONDS, WARM_S = (25.0, 50.0, 100.0), 12.0, 4.0  # decisions a second, each reported
LAG, LATENCY = "pointsman_snapshot_lag_seconds", "pointsman_decision_latency_seconds"


async def measure(server: Postgres, costs: Costs, waited: float, seed: int) -> list[dict[str, Any]]:
    """What was measured and what the model says, a row for each rate.

    `waited` is the database's stretch when its costs were measured.
    """
    async with up(2, server.database()) as replicas:
        rngs = {rate: random.Random(f"{seed} {rate}") for rate in RATES}
        return [await _compared(server, replicas, costs, waited, rate, rng) for rate, rng in rngs.items()]


async def _compared(
    server: Postgres, replicas: list[Replica], costs: Costs, waited: float, rate: float, rng: random.Random
) -> dict[str, Any]:
    """The model is told how long this machine's other work kept replicas and database waiting for a processor."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await _offered(session, replicas, rate, WARM_S, rng)
        before, told = [Ran.of(replica.pid) for replica in replicas], await _told(session, replicas)
        database, begun = Backends(server), time.monotonic()
        await _offered(session, replicas, rate, SECONDS, rng)
        elapsed_s, of_database = time.monotonic() - begun, database.ran.stretch
        ran = [Ran.of(replica.pid).since(then) for replica, then in zip(replicas, before, strict=True)]
        new = {name: value - told[name] for name, value in (await _told(session, replicas)).items()}
    stretch = statistics.mean(one.stretch for one in ran)
    slower = costs.stretched(stretch, of_database / waited)
    predicted = Journal(slower, replicas=len(replicas), rate=rate, seed=rng.randrange(2**32)).play(2 * SECONDS)
    measured = {
        "decided_per_s": new["decisions"] / elapsed_s,
        "lag_mean_s": new["lag_s"] / new["folded"],
        "answer_mean_s": new["deciding_s"] / new["decisions"],
        "replica_busy": statistics.mean(one.ran_s + one.waited_s for one in ran) / elapsed_s,
    }
    rows = {name: {"measured": value, "predicted": getattr(predicted, name)} for name, value in measured.items()}
    return {"rate": rate, "stretch": stretch, "database's": of_database, **rows}


async def _offered(
    session: aiohttp.ClientSession, replicas: list[Replica], rate: float, seconds: float, rng: random.Random
) -> None:
    """Decisions at random moments whatever the answers are, and on each the report a little later, anywhere."""

    async def one(number: int) -> None:
        body = {"planned_action": ACTIONS[number % len(ACTIONS)], "task_id": uuid.uuid4().hex}
        made = await _sent(session, rng.choice(replicas), "/v1/decisions", body)
        await asyncio.sleep(rng.expovariate(1 / REPORTED_S))
        report = {"trace_id": made["trace_id"], "outcome": {"success": True, "terminal": True, "latency_ms": 5.0}}
        await _sent(session, rng.choice(replicas), "/v1/feedback", report)

    due, number, until, calls = time.monotonic(), 0, time.monotonic() + seconds, []
    while (due := due + rng.expovariate(rate)) < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        calls.append(asyncio.create_task(one(number)))
        number += 1
    await asyncio.gather(*calls)


async def _sent(session: aiohttp.ClientSession, replica: Replica, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(replica.url + path, json=body) as response:
        response.raise_for_status()
        answer: dict[str, Any] = await response.json()
        return answer


async def _told(session: aiohttp.ClientSession, replicas: list[Replica]) -> dict[str, float]:
    """What the replicas' metrics say in sum: decisions and their seconds, folded events and their lag."""
    found = dict.fromkeys(("lag_s", "folded", "deciding_s", "decisions"), 0.0)
    for replica in replicas:
        async with session.get(replica.url + "/metrics") as response:
            text = await response.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found["lag_s"] += sample.value * (sample.name == LAG + "_sum")
                found["folded"] += sample.value * (sample.name == LAG + "_count")
                found["deciding_s"] += sample.value * (sample.name == LATENCY + "_sum")
                last_phase = sample.name == LATENCY + "_count" and sample.labels["phase"] == "journal"
                found["decisions"] += sample.value * last_phase
    return found
