"""The chat endpoint beside LiteLLM's proxy and beside the fake provider that answers both, called directly.

A server at a time on the first core, the provider on the second, the load on the last one; with two cores it shares
that of the provider. Every chat is another one, so that none is kept. Where LiteLLM is not installed (`make bench-chat`
does it, in an environment of its own), it is left out. Both ways to a provider are measured: over aiohttp and httpx.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from controlplane.clock import SystemClock
from controlplane.llm.addresses import Origin
from controlplane.llm.aiohttp_transport import AiohttpTransport
from controlplane.llm.httpx_transport import HttpxTransport
from controlplane.llm.openai import OpenAI
from controlplane.llm.provider import Call
from controlplane.llm.transport import Exchanges, Transport

from . import servers
from .load import Result, closed_loop, open_loop, request_bytes
from .models import Priced, catalogue_of

ROUNDS, REQUESTS, WARM_UP, CONNECTIONS = 5, 2_000, 500, 16
SLOW_REQUESTS = 300  # of what answers a hundred a second
RATE, SECONDS = 200.0, 15.0
SLOW_RATE = 20.0
IN_FLIGHT, CALLS = (1, 4, 16), 2_000
MODELS = [Priced("small", "openai", "cheap", 400), Priced("large", "openai", "premium", 1600)]
LITELLM = Path(".litellm")
PROXY = """
model_list:
  - model_name: small
    litellm_params: {{model: openai/small-1, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
"""
Make = Callable[[int], bytes]


def chat(model: str) -> Make:
    """Makes chats of a message that no other has."""

    def made(number: int) -> bytes:
        said = [{"role": "user", "content": f"What is to be done about number {number}?"}]
        body = {"model": model, "messages": said, "max_tokens": 100}
        return request_bytes("/v1/chat/completions", msgspec.json.encode(body))

    return made


def measure() -> dict[str, Any]:
    """Every figure of the chat endpoint."""
    servers.pin_load()
    with servers.fake_provider() as upstream:
        direct = _load(upstream, chat("small-1"), REQUESTS, RATE)
        with _pointsman(upstream) as port:
            named = _load(port, chat("small"), REQUESTS, RATE)
            chosen = _load(port, chat("pointsman/auto"), REQUESTS, RATE)
        beside = {}
        if LITELLM.exists():
            with servers.litellm(LITELLM, PROXY.format(port=upstream)) as port:
                beside = _load(port, chat("small"), SLOW_REQUESTS, SLOW_RATE)
        ways = {
            name: asyncio.run(_calls(f"http://127.0.0.1:{upstream}/v1", transport))
            for name, transport in (("aiohttp", AiohttpTransport), ("httpx", HttpxTransport))
        }
    figures = {"upstream": direct, "chat_named": named, "chat_auto": chosen, "litellm": beside}
    return {
        "cores": os.cpu_count(),
        "connections": CONNECTIONS,
        **figures,
        "named_times_litellm": round(named["per_s"] / beside["per_s"], 1) if beside else None,
        "auto_times_litellm": round(chosen["per_s"] / beside["per_s"], 1) if beside else None,
        "added_p50_ms": round(chosen["open_p50_ms"] - direct["open_p50_ms"], 3),
        "added_p99_ms": round(chosen["open_p99_ms"] - direct["open_p99_ms"], 3),
        "provider_calls_per_s": ways,
        "failed": sum(one["failed"] for one in figures.values() if one),
    }


def _load(port: int, make: Make, requests: int, rate: float) -> dict[str, Any]:
    """Closed loop in rounds, and an open loop at a rate."""
    closed_loop(port, make, requests=min(WARM_UP, requests), connections=CONNECTIONS)
    rounds = [closed_loop(port, make, requests=requests, connections=CONNECTIONS) for _ in range(ROUNDS)]
    steady = open_loop(port, make, rate=rate, seconds=SECONDS)

    def median(of: Callable[[Result], float]) -> float:
        return statistics.median(of(each) for each in rounds)

    return {
        "per_s": round(median(lambda each: each.per_second)),
        "p50_ms": round(median(lambda each: each.quantile_ms(0.5)), 3),
        "p99_ms": round(median(lambda each: each.quantile_ms(0.99)), 3),
        "open_rate_per_s": rate,
        "open_p50_ms": round(steady.quantile_ms(0.5), 3),
        "open_p99_ms": round(steady.quantile_ms(0.99), 3),
        "failed": sum(each.failed for each in rounds) + steady.failed,
    }


@contextmanager
def _pointsman(upstream: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        settings = {
            "POINTSMAN_EMBEDDER": "hashing",
            "POINTSMAN_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
            "POINTSMAN_CATALOGUE": catalogue_of(Path(folder), MODELS),
        }
        with servers.pointsman(**settings) as (port, _):
            yield port


async def _calls(base_url: str, transport: Callable[[Origin], Transport]) -> dict[str, int]:
    """Calls a second through the adapter, by how many are in flight."""
    exchanges = Exchanges(transport(Origin(base_url, keyed=False)), SystemClock())
    provider = OpenAI("openai", exchanges, None)
    rates = {}
    for in_flight in IN_FLIGHT:
        begun, left = time.perf_counter(), iter(range(CALLS))

        async def some(left: Iterator[int]) -> None:
            for number in left:
                body = {"messages": [{"role": "user", "content": str(number)}]}
                await provider.complete(Call(body=body, model="small-1", deadline_s=60.0))

        await asyncio.gather(*(some(left) for _ in range(in_flight)))
        rates[str(in_flight)] = round(CALLS / (time.perf_counter() - begun))
    await exchanges.close()
    return rates
