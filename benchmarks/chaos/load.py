"""A client that offers a fixed rate to whichever replica is there, keys every report, and keeps a ledger of answers."""

import asyncio
import random
import time
import uuid
from collections import Counter

import aiohttp

from .replicas import Replica

WAITS_S = 2.0  # for one answer; a replica that is paused gives none
GIVES_UP_S = 60.0
AGAIN_S = 0.05
ACTIONS = [f"pytest tests/part_{n}" for n in range(40)]


class Load:
    """Half of what is offered are decisions, half are reports on earlier ones, each at a replica drawn anew."""

    def __init__(self, replicas: list[Replica], rng: random.Random) -> None:
        self.decided: set[str] = set()
        self.reported: set[str] = set()
        self.took_s: list[float] = []
        self.tries = Counter[str]()
        self.given_up = 0
        self._replicas, self._rng = replicas, rng
        self._unreported: list[str] = []

    async def run(self, rate: float, until: float) -> None:
        """Offer so much a second whatever the answers are (open loop), until that moment of the monotonic clock."""
        timeout = aiohttp.ClientTimeout(total=WAITS_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            begun, sent, calls = time.monotonic(), 0, set[asyncio.Task[None]]()
            while (now := time.monotonic()) < until:
                for _ in range(int((now - begun) * rate) - sent):
                    sent += 1
                    call = asyncio.create_task(self._call(session))
                    calls.add(call)
                    call.add_done_callback(calls.discard)
                await asyncio.sleep(0.005)
            await asyncio.gather(*calls)

    async def _call(self, session: aiohttp.ClientSession) -> None:
        if self._unreported and self._rng.random() < 0.5:
            trace_id = self._unreported.pop(self._rng.randrange(len(self._unreported)))
            outcome = {"success": self._rng.random() < 0.7, "terminal": True, "latency_ms": 5.0}
            if await self._sent(session, "/v1/feedback", {"trace_id": trace_id, "outcome": outcome}) is not None:
                self.reported.add(trace_id)
            return
        body = {"planned_action": self._rng.choice(ACTIONS), "task_id": uuid.uuid4().hex}
        if (answer := await self._sent(session, "/v1/decisions", body)) is not None:
            self.decided.add(answer["trace_id"])
            self._unreported.append(answer["trace_id"])

    async def _sent(self, session: aiohttp.ClientSession, path: str, body: dict[str, object]) -> dict[str, str] | None:
        """The answer; what is refused or lost is sent again, under its key, to another replica."""
        begun, key = time.monotonic(), uuid.uuid4().hex
        while time.monotonic() - begun < GIVES_UP_S:
            replica = self._rng.choice(self._replicas)
            try:
                headers = {"Idempotency-Key": key}
                async with session.post(replica.url + path, json=body, headers=headers) as response:
                    if response.status == 200:
                        self.took_s.append(time.monotonic() - begun)
                        self.tries["200"] += 1
                        answer: dict[str, str] = await response.json()
                        return answer
                    self.tries[str(response.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.tries[type(error).__name__] += 1
            await asyncio.sleep(AGAIN_S)
        self.given_up += 1
        return None
