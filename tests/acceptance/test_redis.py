"""Two servers of one installation on one Redis: what they let through together, while it is there, away and back."""

import asyncio
import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis as Client

from benchmarks.services import Redis

from .conftest import PATIENCE_S, environment
from .test_first_keys import Keyed
from .warm import Program

pytestmark = pytest.mark.services
QUOTA, WINDOW_S, BACK_S = 200, 60, 5.0  # reads a minute of the tier free
PATH, TOGETHER = "/v1/skills", 8  # calls that are under way at once
Until = Callable[[Callable[[], Any]], Any]


class Replica:
    """A server on a copy of the installation's folder."""

    def __init__(self, folder: Path, redis_url: str, loaded: socket.socket) -> None:
        self._said, self._log = folder.with_suffix(".out"), folder.with_suffix(".log")
        env = environment(folder, POINTSMAN_REDIS_URL=redis_url, POINTSMAN_LOG_LEVEL="info")
        with self._said.open("w") as out, self._log.open("w") as log:
            arguments = ("serve", "--port", "0")
            self._process = Program(loaded, arguments, stdout=out, stderr=log, cwd=folder.parent, env=env)

    def listening(self) -> bool:
        return "\n" in self._said.read_text()

    @property
    def url(self) -> str:
        return self._said.read_text().splitlines()[0].split()[-1]

    def events(self) -> list[str]:
        """Of its log."""
        return [json.loads(line)["event"] for line in self._log.read_text().splitlines()]

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_S)


class Pair:
    """Both of them, a key of one tenant with limits, and everything that was answered."""

    def __init__(self, replicas: list[Replica], key: str) -> None:
        self.replicas, self.key = replicas, {"X-API-Key": key}
        self.answers: list[int] = []

    async def hammer(self, calls: int) -> None:
        """So many calls, spread over both, some at once."""

        async def read(client: httpx.AsyncClient, share: range) -> None:
            for at in share:
                answer = await client.get(self.replicas[at % 2].url + PATH, headers=self.key)
                self.answers.append(answer.status_code)

        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            await asyncio.gather(*(read(client, range(at, calls, TOGETHER)) for at in range(TOGETHER)))

    def told(self) -> list[dict[str, Any]]:
        """What each says of Redis on /status, which is a call like any."""
        answers = [httpx.get(f"{replica.url}/status", headers=self.key) for replica in self.replicas]
        self.answers += [answer.status_code for answer in answers]
        return [answer.json()["redis"] for answer in answers]

    @property
    def passed(self) -> int:
        return self.answers.count(200)


@pytest.fixture
def pair(tmp_path: Path, redis: Redis, turns: Iterator[socket.socket], until: Until) -> Iterator[Pair]:
    """One installation with a tenant of the tier free, and two servers on copies of it; Redis has counted for long."""
    first = Keyed(tmp_path / "data")
    with closing(first), httpx.Client(base_url=first.url, headers={"X-Admin-API-Key": first.admin}) as operator:
        operator.post("/v1/admin/tenants", json={"tenant": "acme", "tier": "free"}).raise_for_status()
        issued = operator.post("/v1/admin/keys", json={"tenant": "acme", "name": "ci"}).raise_for_status()
    with ExitStack() as running:
        replicas = []
        for name in ("one", "other"):
            shutil.copytree(tmp_path / "data", tmp_path / name)
            replicas.append(Replica(tmp_path / name, redis.url, next(turns)))
            running.callback(replicas[-1].close)
        until(lambda: all(replica.listening() for replica in replicas))
        with Client.from_url(redis.url) as client:
            [born] = client.keys("pointsman:*:born")
            client.set(born, 0)
        yield Pair(replicas, issued.json()["key"])


async def test_two_servers_let_through_what_one_would(pair: Pair) -> None:
    """C5, through the whole server."""
    begun = time.monotonic()
    await pair.hammer(2 * QUOTA)
    elapsed = time.monotonic() - begun
    assert set(pair.answers) == {200, 429}
    assert 0.99 * QUOTA <= pair.passed <= QUOTA * (1 + elapsed / WINDOW_S)


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_a_redis_that_goes_away_and_comes_back_empty_or_not_costs_nobody_an_error(
    pair: Pair, redis: Redis, until: Until, how: str
) -> None:
    """C12: half a minute's quota is used, Redis goes, the rest is used, it comes back, and all the time calls come."""
    begun = time.monotonic()
    until(lambda: pair.told() == [{"trouble": None, "replicas": 2}] * 2)
    await pair.hammer(QUOTA // 2)
    redis.kill() if how == "killed" else redis.pause()
    await pair.hammer(TOGETHER)
    assert pair.told() == [{"trouble": "ConnectionError" if how == "killed" else "TimeoutError", "replicas": 2}] * 2
    await pair.hammer(QUOTA)
    redis.start() if how == "killed" else redis.go_on()
    returned = time.monotonic()
    while not all("redis_back" in replica.events() for replica in pair.replicas):
        await pair.hammer(2 * TOGETHER)
        assert time.monotonic() - returned < BACK_S
    await pair.hammer(QUOTA)
    elapsed = time.monotonic() - begun
    assert set(pair.answers) == {200, 429}
    assert QUOTA - TOGETHER <= pair.passed <= QUOTA * (1 + elapsed / WINDOW_S) + TOGETHER, "what was under way"
    for replica in pair.replicas:
        assert [name for name in replica.events() if name.startswith("redis_")] == ["redis_away", "redis_back"]
