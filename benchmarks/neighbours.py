"""What nine tenants notice of a tenth that asks fifty times as much as each of them, and more than there is to give.

Each has a memory of its own, which is empty. Journal and fsync on, server on one core, load on the other, on a fixed
schedule (open loop) that does not wait for answers.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import httpx

from . import servers
from .access import HEADERS, NEIGHBOURS, TENANT
from .gate import WARM_UP, cycling, decisions
from .load import closed_loop
from .overload import Answer, Make, on_schedule, quantile_ms
from .workload import plans

KNOWN, PEAK_REQUESTS, CONNECTIONS = 600, 6_000, 32
SHARE, TIMES = 0.02, 50  # of peak, that each asks for; as much the tenth
CALM_S, NOISY_S = 30.0, 60.0


def taking_turns(each: Sequence[Make]) -> Make:
    """All alike, one after another."""
    return lambda number: each[number % len(each)](number)


def one_among(loud: Make, quiet: Sequence[Make]) -> Make:
    """One of each `quiet` to TIMES of `loud`, spread evenly."""
    among = spread(len(quiet))
    return lambda number: loud(number) if (who := among(number)) is None else quiet[who](number)


def spread(count: int) -> Any:
    """Of a request's number: which of so many it is of, None if it is the tenth's."""
    cycle = count + TIMES
    places = {who * cycle // count: who for who in range(count)}
    return lambda number: places.get(number % cycle)


def told(answers: list[Answer]) -> dict[str, Any]:
    accepted = [a.latency_s for a in answers if a.status == 200]
    return {
        "accepted": len(accepted),
        "refused": len(answers) - len(accepted),
        "p50_ms": quantile_ms(accepted, 0.5),
        "p99_ms": quantile_ms(accepted, 0.99),
    }


def measure() -> dict[str, Any]:
    """All ten alike, then one of them loud."""
    servers.pin_load()
    known = list(islice(plans(1), KNOWN))
    loud, *quiet = (cycling(decisions(known, 2, key)) for key in (TENANT, *NEIGHBOURS))
    among = spread(len(quiet))
    with (
        servers.pointsman() as (port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as client,
    ):
        servers.wait_for_ready(client)
        for make in (loud, *quiet):
            closed_loop(port, make, requests=WARM_UP, connections=CONNECTIONS)
        peak = closed_loop(port, loud, requests=PEAK_REQUESTS, connections=CONNECTIONS).per_second
        calm, _ = on_schedule(port, taking_turns([loud, *quiet]), rate=10 * SHARE * peak, seconds=CALM_S)
        rate = (len(quiet) + TIMES) * SHARE * peak
        noisy, _ = on_schedule(port, one_among(loud, quiet), rate=rate, seconds=NOISY_S)
    before, during = told(calm), told([a for a in noisy if among(a.number) is not None])
    return {
        "peak_per_s": round(peak),
        "offered_to_peak": round(rate / peak, 2),
        "calm": before,
        "the_nine": during,
        "the_tenth": told([a for a in noisy if among(a.number) is None]),
        "p99_to_calm": round(during["p99_ms"] / before["p99_ms"], 2),
    }
