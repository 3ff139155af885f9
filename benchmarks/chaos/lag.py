"""Snapshot lag as replicas tell it: from an event's making anywhere to its fold there."""

import asyncio
import contextlib
import time
from collections import Counter

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from .replicas import Replica

NAME = "pointsman_snapshot_lag_seconds"
SETTLED_S = 3.0  # after a pause or a start a replica has something to catch up with
EVERY_S = 1.0
Buckets = dict[float, float]


class Lag:
    """What is folded between two looks, by how late it was: at all replicas, and at those that nothing befell."""

    def __init__(self, replicas: list[Replica]) -> None:
        self.steady, self.all = Counter[float](), Counter[float]()
        self._replicas = replicas
        self._last: dict[int, tuple[Buckets, bool]] = {}

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=EVERY_S)) as session:
            while True:
                await asyncio.gather(*(self._look(session, replica) for replica in self._replicas))
                await asyncio.sleep(EVERY_S)

    async def _look(self, session: aiohttp.ClientSession, replica: Replica) -> None:
        """A replica that does not answer has nothing to tell."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(replica.url + "/metrics") as response:
                now = _buckets(await response.text())
            steady = time.monotonic() - replica.steady_since > SETTLED_S
            before, was_steady = self._last.get(replica.number, (dict.fromkeys(now, 0.0), False))
            self._last[replica.number] = now, steady
            if any(now[bound] < before.get(bound, 0.0) for bound in now):
                return  # it was started again
            new = {bound: now[bound] - before.get(bound, 0.0) for bound in now}
            self.all.update(new)
            if steady and was_steady:
                self.steady.update(new)


def quantile(buckets: Counter[float], share: float) -> float:
    """The bound below which so large a share lies [s]; infinite where it lies beyond the last.

    >>> quantile(Counter({0.1: 90, 0.2: 99, float("inf"): 100}), 0.99)
    0.2
    """
    total = max(buckets.values(), default=0.0)
    return min((bound for bound, count in buckets.items() if count >= share * total), default=float("inf"))


def _buckets(text: str) -> Buckets:
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{NAME}_bucket"
    }
