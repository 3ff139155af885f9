"""`make bench-chaos`: replicas on one PostgreSQL are killed and paused at random under a steady load.

Afterwards every answer the client was given is looked up in the journal, and the state that the replicas published is
compared with a fold of it.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from controlplane.journal.postgres import LEASE_S

from ..services import Postgres, running
from .lag import Lag, quantile
from .load import Load
from .replicas import Faults, Replica

WARM_S = 5.0


async def play(count: int, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """One run; its figures."""
    with running(Postgres) as server, tempfile.TemporaryDirectory(prefix="pm-") as folder:
        url = server.database()
        replicas = [Replica(Path(folder), number, url) for number in range(count)]
        try:
            for replica in replicas:
                replica.start()
                await replica.up()
                replica.steady_since = time.monotonic()
            load, faults, lag = await _under_fire(replicas, server, url, rate, seconds, seed)
        finally:
            for replica in replicas:
                replica.stop()
        return {
            "replicas": count,
            "offered_per_s": rate,
            "seconds": seconds,
            "seed": seed,
            "killed": faults.killed,
            "paused": faults.paused,
            "tries": dict(load.tries),
            "given_up": load.given_up,
            **await _compared(url, load),
            "published_state": replicas[0].verify(),
            "lag_p50_s": quantile(lag.steady, 0.5),
            "lag_p99_s": quantile(lag.steady, 0.99),
            "lag_p99_with_paused_and_started_s": quantile(lag.all, 0.99),
            "answer_p50_ms": statistics.median(load.took_s) * 1000,
            "answer_p99_ms": statistics.quantiles(load.took_s, n=100)[98] * 1000,
            "takeovers": len(faults.takeovers_s),
            "takeover_longest_s": max(faults.takeovers_s, default=None),
            "takeover_aim_s": 2 * LEASE_S,
        }


async def _under_fire(
    replicas: list[Replica], server: Postgres, url: str, rate: float, seconds: float, seed: int
) -> tuple[Load, Faults, Lag]:
    load, lag = Load(replicas, random.Random(f"{seed} load")), Lag(replicas)
    faults = Faults(replicas, server, url.rpartition("/")[2], random.Random(f"{seed} faults"))
    looking = asyncio.create_task(lag.run())
    until = time.monotonic() + WARM_S + seconds
    await asyncio.gather(load.run(rate, until), faults.run(until))
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    return load, faults, lag


async def _compared(url: str, load: Load) -> dict[str, int]:
    """The client's ledger beside the journal."""
    connection = await asyncpg.connect(url, server_settings={"pointsman.tenant": "*"})
    counts = {kind: Counter[str]() for kind in ("decision", "feedback")}
    for kind, counted in counts.items():
        found = await connection.fetch("SELECT ref FROM events WHERE kind = $1", kind)
        counted.update(row["ref"].decode() for row in found)
    [(events, last)] = await connection.fetch("SELECT count(*), max(seq) FROM events")
    await connection.close()
    return {
        "events": events,
        "gaps": last - events,
        "decisions_acknowledged": len(load.decided),
        "decisions_lost": len(load.decided - counts["decision"].keys()),
        "feedback_acknowledged": len(load.reported),
        "feedback_lost": len(load.reported - counts["feedback"].keys()),
        "feedback_doubled": sum(times - 1 for times in counts["feedback"].values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="*", default=[2, 4], help="how many, a run each")
    parser.add_argument("--rate", type=float, default=200.0, help="calls offered a second")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long a run lasts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    runs = [asyncio.run(play(n, arguments.rate, arguments.seconds, arguments.seed)) for n in arguments.replicas]
    if arguments.json:
        print(json.dumps(runs))
        return
    table = Table("figure", *(f"{run['replicas']} replicas" for run in runs))
    for name in runs[0]:
        table.add_row(name, *(_told(run[name]) for run in runs))
    Console(width=120).print(table)


def _told(figure: Any) -> str:
    return f"{figure:.3g}" if isinstance(figure, float) else str(figure)


if __name__ == "__main__":
    main()
