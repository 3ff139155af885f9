"""The chat endpoint beside the fake provider that answers it, called directly: requests/s, and what the way adds.

The server on the first core, the fake provider on the second, the load on the last one; with two cores it shares that
of the provider. Every chat is another one, so that none is kept. LiteLLM is not beside it: its install brings some
sixty packages (80 MB), among them other versions than those that are locked here.
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from . import servers
from .load import closed_loop, open_loop, request_bytes
from .models import Priced, catalogue_of

ROUNDS, REQUESTS, WARM_UP, CONNECTIONS = 9, 2_000, 500, 16
RATE, SECONDS = 200.0, 15.0
MODELS = [Priced("small", "openai", "cheap", 100), Priced("large", "openai", "premium", 1000)]


def chat(path: str, model: str, number: int) -> bytes:
    """One chat of a message that no other has."""
    said = [{"role": "user", "content": f"What is to be done about number {number}?"}]
    return request_bytes(path, msgspec.json.encode({"model": model, "messages": said}))


def direct(number: int) -> bytes:
    return chat("/v1/chat/completions", "small-1", number)


def through(number: int) -> bytes:
    return chat("/v1/chat/completions", "pointsman/auto", number)


def measure() -> dict[str, Any]:
    """Every figure of the chat endpoint."""
    servers.pin_load()
    with servers.fake_provider() as upstream, TemporaryDirectory(prefix="pointsman-bench-") as folder:
        settings = {
            "POINTSMAN_EMBEDDER": "hashing",
            "POINTSMAN_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
            "POINTSMAN_CATALOGUE": catalogue_of(Path(folder), MODELS),
        }
        with servers.pointsman(**settings) as (port, _):
            for warm, make in ((upstream, direct), (port, through)):
                closed_loop(warm, make, requests=WARM_UP, connections=CONNECTIONS)
            pairs = [
                (
                    closed_loop(upstream, direct, requests=REQUESTS, connections=CONNECTIONS),
                    closed_loop(port, through, requests=REQUESTS, connections=CONNECTIONS),
                )
                for _ in range(ROUNDS)
            ]
            alone = open_loop(upstream, direct, rate=RATE, seconds=SECONDS)
            steady = open_loop(port, through, rate=RATE, seconds=SECONDS)
    return {
        "cores": os.cpu_count(),
        "connections": CONNECTIONS,
        "chat_per_s": round(statistics.median(chat.per_second for _, chat in pairs)),
        "upstream_per_s": round(statistics.median(upstream.per_second for upstream, _ in pairs)),
        "chat_p50_ms": round(statistics.median(chat.quantile_ms(0.5) for _, chat in pairs), 3),
        "upstream_p50_ms": round(statistics.median(upstream.quantile_ms(0.5) for upstream, _ in pairs), 3),
        "open_loop_rate_per_s": RATE,
        "added_p50_ms": round(steady.quantile_ms(0.5) - alone.quantile_ms(0.5), 3),
        "added_p99_ms": round(steady.quantile_ms(0.99) - alone.quantile_ms(0.99), 3),
        "failed": sum(one.failed + other.failed for one, other in pairs) + alone.failed + steady.failed,
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
