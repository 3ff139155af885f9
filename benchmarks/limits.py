"""`make bench-redis`: what counting a call costs a request, in memory and with Redis, alone and among others at once.

Times are of the wall: nothing else may run beside. Redis is a process on this machine; a network adds its round trip.
"""

import argparse
import asyncio
import json
import time

from rich.console import Console
from rich.table import Table

from controlplane.clock import SystemClock
from controlplane.redis import Link
from controlplane.telemetry import Metrics
from controlplane.tenants import Limiter, MemoryLimiter, RedisLimiter

from .services import Redis, running

CALLS, CONCURRENT = 5_000, (1, 10, 100)


async def cost_us(limiter: Limiter, at_once: int) -> float:
    """Time per call of `at_once` callers who each wait for their answer [us]."""

    async def caller(name: str) -> None:
        for _ in range(CALLS // at_once):
            await limiter.take(name, "enterprise", "decide")

    begun = time.perf_counter()
    await asyncio.gather(*(caller(f"{at_once} {at}") for at in range(at_once)))
    return (time.perf_counter() - begun) / CALLS * 1e6


async def measure(url: str) -> dict[str, dict[str, float]]:
    link, clock = Link(url, "bench"), SystemClock()
    limiters: dict[str, Limiter] = {"memory": MemoryLimiter(clock), "redis": RedisLimiter(link, clock, Metrics())}
    await link.beat()
    await link.ask("SET", link.born, 0)
    told = {
        name: {str(at_once): round(await cost_us(limiter, at_once), 1) for at_once in CONCURRENT}
        for name, limiter in limiters.items()
    }
    if link.trouble is not None:
        raise SystemExit(f"Redis went away ({link.trouble}): this machine is too busy to measure on")
    await link.close()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with running(Redis) as server:
        told = asyncio.run(measure(server.url))
    if arguments.json:
        print(json.dumps(told))
        return
    table = Table("limiter", *(f"{at_once} at once" for at_once in CONCURRENT), title="time per call [us]")
    for name, costs in told.items():
        table.add_row(name, *(f"{cost:.1f}" for cost in costs.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
