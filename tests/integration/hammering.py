"""A replica in a process of its own that counts calls on a shared Redis as fast as it can: `python -m` it with a URL.

Prints, for each tier and kind of call: how many it tried, how many were let through, and from when to when [s].
"""

import asyncio
import itertools
import json
import sys
import time

from controlplane.clock import SystemClock
from controlplane.errors import RateLimited
from controlplane.redis import Link
from controlplane.telemetry import Metrics
from controlplane.tenants import Call, RedisLimiter
from controlplane.tenants.limits import PER_MINUTE, quota

CALLS: tuple[Call, ...] = ("decide", "capture", "search")  # the others have the figure of one of these
TOGETHER = 1000
LARGEST = 10_000  # a larger figure takes a minute to try on a busy machine
PATIENT_S = 1.0  # a machine that runs other tests, too, is no Redis that is away


async def hammer(url: str) -> list[tuple[str, str, int, int, float, float]]:
    link, told = Link(url, "hammered", PATIENT_S), []
    limiter = RedisLimiter(link, SystemClock(), Metrics())
    await link.beat()
    await link.ask("SET", link.born, 0)

    async def passes(tier: str, call: Call) -> bool:
        try:
            await limiter.take(f"acme {tier}", tier, call)
        except RateLimited:
            return False
        return True

    for tier, call in itertools.product(PER_MINUTE, CALLS):
        if (quota(tier, call) or 0) > LARGEST:
            continue
        tried = passed = 0
        begun = time.time()
        while tried < 0.6 * (quota(tier, call) or 0):
            passed += sum(await asyncio.gather(*(passes(tier, call) for _ in range(TOGETHER))))
            tried += TOGETHER
        told.append((tier, call, tried, passed, begun, time.time()))
    assert link.trouble is None, link.trouble
    await link.close()
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(hammer(sys.argv[1]))))
