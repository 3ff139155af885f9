"""Serving: routing decisions per second beside a bare echo of the same payloads, and latency at a fixed rate.

Journal and fsync on, server on one core, load on the other, the two servers measured in turn in one run. The echo's
latency is taken at the rate at which it is as busy: what both wait for is the machine's.
"""

import argparse
import json
import random
import statistics
from collections.abc import Callable
from typing import Any

import msgspec

from . import servers
from .load import closed_loop, open_loop, request_bytes

REGIONS = ("us-west", "us-east", "eu-west", "eu-north", "ap-south")
ROUNDS, REQUESTS, WARM_UP, CONNECTIONS = 9, 8_000, 2_000, 32
RATE, SECONDS = 1000.0, 15.0


def payloads(count: int, seed: int = 1) -> Callable[[int], bytes]:
    """Seeded routing requests, repeating after `count`."""
    rng = random.Random(seed)
    made = [
        request_bytes(
            "/v1/decisions",
            msgspec.json.encode(
                {
                    "task_id": f"task-{i}",
                    "context": {
                        "cpu": rng.choice((2, 4, 8, 16)),
                        "memory_gb": rng.choice((8, 16, 32)),
                        "latency_ms": rng.randrange(10, 400),
                        "region": rng.choice(REGIONS),
                    },
                    "candidates": [{"provider": "akash", "sku": "A8"}, {"provider": "vast", "sku": "V4"}],
                }
            ),
        )
        for i in range(count)
    ]
    return lambda number: made[number % count]


def measure() -> dict[str, Any]:
    """Every serving figure with its ratio."""
    servers.pin_load()
    make = payloads(2000)
    with servers.echo() as echo_port, servers.pointsman(POINTSMAN_EMBEDDER="hashing") as (port, _):
        for warm in (echo_port, port):
            closed_loop(warm, make, requests=WARM_UP, connections=CONNECTIONS)
        pairs = []
        for _ in range(ROUNDS):
            echo = closed_loop(echo_port, make, requests=REQUESTS, connections=CONNECTIONS)
            route = closed_loop(port, make, requests=REQUESTS, connections=CONNECTIONS)
            pairs.append((echo, route))
        steady = open_loop(port, make, rate=RATE, seconds=SECONDS)
        ratios = [route.per_second / echo.per_second for echo, route in pairs]
        as_busy = open_loop(echo_port, make, rate=RATE / statistics.median(ratios), seconds=SECONDS)
    return {
        "route_per_s": round(statistics.median(route.per_second for _, route in pairs)),
        "echo_per_s": round(statistics.median(echo.per_second for echo, _ in pairs)),
        "route_to_echo": round(statistics.median(ratios), 3),
        "route_to_echo_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "closed_loop_connections": CONNECTIONS,
        "open_loop_rate_per_s": RATE,
        "open_loop_p50_ms": round(steady.quantile_ms(0.5), 3),
        "open_loop_p99_ms": round(steady.quantile_ms(0.99), 3),
        "echo_as_busy_p50_ms": round(as_busy.quantile_ms(0.5), 3),
        "echo_as_busy_p99_ms": round(as_busy.quantile_ms(0.99), 3),
        "failed": sum(echo.failed + route.failed for echo, route in pairs) + steady.failed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure()
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
