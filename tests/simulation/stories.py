"""What calls in any order hardly ever come to: longer stories, which some of the seeds have beside them."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from auditor import Outcome

from .ledger import outcome_of
from .operations import Call, Draw, canary

TENANT = "default"  # whose calls are not counted
GOOD_MS, BAD_MS = (20.0, 110), (600.0, 20)  # latencies, and how often they are reported


async def drift(draw: Callable[[], Draw], told: Callable[[Call], Awaitable[Any]]) -> None:
    """A client's one choice earns well for long, and then no more: that is an alarm."""
    for latency_ms, times in (GOOD_MS, BAD_MS):
        for _ in range(times):
            decided = await told(_decision(draw()))
            if decided is not None and decided["trace_id"] is not None:
                await told(_report(draw(), decided["trace_id"], {"latency_ms": latency_ms}))


def _decision(draw: Draw) -> Call:
    place = {"provider": f"{canary(TENANT)} one and only", "sku": "s"}
    effects = (("decision", TENANT, draw.name),)
    body = {"candidates": [place], "metadata": {"call": draw.name}}
    return draw.call("POST /v1/decisions", tenant=TENANT, body=body, effects=effects)


def _report(draw: Draw, trace_id: str, outcome: dict[str, Any]) -> Call:
    effects = (("feedback", TENANT, trace_id, outcome_of(msgspec.convert(outcome, Outcome))),)
    return draw.call(
        "POST /v1/feedback", tenant=TENANT, body={"trace_id": trace_id, "outcome": outcome}, effects=effects
    )
