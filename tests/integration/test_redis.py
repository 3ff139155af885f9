"""The one connection to Redis, and the limits that rest on it, while Redis goes away in every way and comes back."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis import Redis as Client
from structlog.testing import capture_logs

from benchmarks.services import Redis
from controlplane.clock import SystemClock
from controlplane.errors import RateLimited
from controlplane.redis import Link, RedisAway, link, look
from controlplane.redis.link import BEAT_S, DEADLINE_S
from controlplane.telemetry import Metrics
from controlplane.tenants import Call, RedisLimiter
from controlplane.tenants.limits import WINDOW_S, quota
from controlplane.tenants.redis_limits import GCRA

pytestmark = pytest.mark.services
ROOT = Path(__file__).resolve().parents[2]
BACK_S = 5.0
PATIENT_S = 0.25  # of a round: a machine that runs other tests, too, is no Redis that is away


@pytest.fixture
async def links(redis: Redis) -> AsyncIterator[list[Link]]:
    """Two replicas' connections, which know of each other and send heartbeats."""
    async with AsyncExitStack() as ending:
        made = [Link(redis.url, "r", PATIENT_S) for _ in range(2)]
        for each in made:
            ending.push_async_callback(each.close)
            each.script(GCRA)
            await each.beat()
        await made[0].beat()
        watching = [asyncio.create_task(each.watch()) for each in made]
        yield made
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def until_back(links: list[Link]) -> float:
    """How long it takes until all can ask again [s]."""
    begun = time.monotonic()
    while any(each.trouble is not None for each in links):
        assert time.monotonic() - begun < BACK_S
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def test_a_storm_of_cancelled_callers_leaves_everybody_with_their_own_reply(links: list[Link], seed: int) -> None:
    rng, one, wrong = random.Random(seed), links[0], 0

    async def echoed(word: str) -> bool:
        return bool(await one.ask("ECHO", word) == word.encode())

    for storm in range(100):
        asking = [asyncio.create_task(echoed(f"{storm}.{at}")) for at in range(60)]
        for _ in range(rng.randint(0, 8)):
            await asyncio.sleep(0)
        for task in rng.sample(asking, 40):
            task.cancel()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        wrong += sum(answer is False for answer in answers)
        assert not [answer for answer in answers if isinstance(answer, RedisAway)]
    assert wrong == 0
    assert await echoed("afterwards")


async def test_a_reply_that_comes_too_late_is_nobodys(links: list[Link], redis: Redis) -> None:
    one = links[0]
    redis.pause()
    late = await asyncio.gather(*(one.ask("ECHO", f"late {at}") for at in range(50)), return_exceptions=True)
    assert {type(answer) for answer in late} == {RedisAway}
    redis.go_on()
    await until_back(links)
    assert [await one.ask("ECHO", f"{at}") for at in range(50)] == [f"{at}".encode() for at in range(50)]


@pytest.mark.parametrize("how", ["paused", "killed"])
async def test_nobody_waits_for_a_redis_that_is_known_to_be_away(links: list[Link], redis: Redis, how: str) -> None:
    """The first wait for two rounds at most; all after them for none, while probes fail."""
    one = links[0]
    with capture_logs() as logs:
        redis.pause() if how == "paused" else redis.kill()
        with pytest.raises(RedisAway):
            await one.ask("ECHO", "x")
        rounds, begun = 0, asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begun < 2.5 * BEAT_S:
            with pytest.raises(RedisAway):
                await one.ask("ECHO", "x")
            rounds += 1
            await asyncio.sleep(0.001)
        redis.go_on() if how == "paused" else redis.start()
        await until_back(links)
    assert rounds > 2.5 * BEAT_S / PATIENT_S * 5, "each of them would have waited for a round"
    assert [line["event"] for line in logs] == ["redis_away"] * 2 + ["redis_back"] * 2, "once, by each replica"


@pytest.mark.parametrize(
    ("command", "why"), [(("SET", "r:x", "y"), "OutOfMemoryError"), (("NONSENSE", "s3cret"), "ResponseError")]
)
async def test_a_redis_that_refuses_is_away_and_what_it_says_is_not_repeated(
    redis: Redis, command: tuple[str, ...], why: str
) -> None:
    one = Link(redis.url, "r", PATIENT_S)
    await one.beat()
    with Client.from_url(redis.url) as client:
        client.config_set("maxmemory", 1)
        with capture_logs() as logs, pytest.raises(RedisAway, match=f"^{why}$"):
            await one.ask(*command)
        client.config_set("maxmemory", 0)
    assert logs == [{"event": "redis_away", "why": why, "log_level": "warning"}]
    await one.beat()
    assert one.trouble is None
    await one.close()


async def test_replicas_count_each_other(links: list[Link], redis: Redis) -> None:
    assert [each.replicas for each in links] == [2, 2]
    third = Link(redis.url, "r", PATIENT_S)
    await third.beat()
    assert third.replicas == 3
    await third.close()
    fourth = Link(redis.url, "r", PATIENT_S)
    await fourth.beat()
    assert fourth.replicas == 3, "who stops says so"
    await fourth.close()
    stranger = Link(redis.url, "another installation")
    await stranger.beat()
    assert stranger.replicas == 1
    await stranger.close()


async def test_the_last_number_of_replicas_that_was_known_counts(links: list[Link], redis: Redis) -> None:
    """Also after Redis came back empty, where the others have not spoken yet."""
    redis.kill()
    await links[0].beat()
    assert links[0].trouble is not None
    redis.start()
    await links[0].beat()
    assert (links[0].trouble, links[0].replicas) == (None, 2)


async def test_a_replica_starts_without_redis_and_finds_it_when_it_comes(redis: Redis) -> None:
    redis.kill()
    one = Link(redis.url, "r", PATIENT_S)
    await one.beat()
    limiter = RedisLimiter(one, SystemClock(), Metrics())
    assert await limiter.take("acme", "free", "capture") is not None
    redis.start()
    await one.beat()
    assert one.trouble is None
    await one.close()


async def test_whether_a_redis_answers_can_be_asked_once(redis: Redis) -> None:
    assert await look(redis.url) is None
    redis.kill()
    assert await look(redis.url) == "ConnectionError"


class Hammer:
    """Callers who try all the time, spread over the replicas, and how many were let through."""

    def __init__(self, links: list[Link]) -> None:
        self.metrics = Metrics()
        self._limiters = [RedisLimiter(each, SystemClock(), self.metrics) for each in links]

    async def passed(self, tier: str, call: Call, calls: int) -> int:
        async def taken(at: int) -> bool:
            try:
                await self._limiters[at % len(self._limiters)].take("acme", tier, call)
            except RateLimited:
                return False
            return True

        return sum(await asyncio.gather(*(taken(at) for at in range(calls))))


async def aged(links: list[Link]) -> None:
    """Let this Redis have counted for long: everybody may make a minute's calls at once."""
    await links[0].ask("SET", links[0].born, 0)


async def test_a_redis_that_forgot_everything_lets_no_second_minutes_quota_through(
    links: list[Link], redis: Redis
) -> None:
    """Whether it was flushed or killed and started again: a new one knows that it may have forgotten."""
    hammer = Hammer(links)
    await aged(links)
    assert await hammer.passed("free", "capture", 100) == 10
    await links[0].ask("FLUSHALL")
    assert await hammer.passed("free", "capture", 100) == 0
    redis.kill()
    assert await hammer.passed("free", "capture", 100) == 0
    redis.start()
    await until_back(links)
    assert await hammer.passed("free", "capture", 100) == 0


async def test_scripts_that_somebody_flushed_are_loaded_again(links: list[Link]) -> None:
    hammer = Hammer(links)
    await aged(links)
    await links[0].ask("SCRIPT", "FLUSH")
    assert await hammer.passed("free", "capture", 100) == 10
    await until_back(links)
    assert await hammer.passed("free", "search", 100) == 20
    assert [each.trouble for each in links] == [None, None]


async def test_a_tenant_that_was_quiet_gets_even_calls_from_a_redis_that_is_new(links: list[Link]) -> None:
    hammer, begun = Hammer(links), time.monotonic()
    passed = 0
    while (elapsed := time.monotonic() - begun) < 1.0:
        passed += await hammer.passed("pro", "decide", 20)  # 10,000 a minute
    assert 0.9 * elapsed * 10_000 / 60 < passed <= (elapsed + 2.0) * 10_000 / 60


async def test_while_redis_is_away_each_replica_counts_its_share(links: list[Link], redis: Redis) -> None:
    hammer = Hammer(links)
    redis.kill()
    assert await hammer.passed("free", "capture", 100) == 10, "five by each of two"
    assert hammer.metrics.registry.get_sample_value("pointsman_degraded_total", {"part": "limits"}) == 100


async def test_what_was_let_through_while_redis_was_away_counts_when_it_is_back(
    links: list[Link], redis: Redis
) -> None:
    hammer = Hammer(links)
    await aged(links)
    redis.pause()
    assert await hammer.passed("free", "capture", 100) == 10
    redis.go_on()
    await until_back(links)
    assert await hammer.passed("free", "capture", 100) == 0


def test_a_round_is_over_well_before_a_probe() -> None:
    """A request waits for two rounds at most, and a Redis that is back is found within five seconds."""
    assert 2 * DEADLINE_S <= 0.1
    assert BEAT_S + link.CONNECT_S < BACK_S


def test_two_processes_on_one_redis_let_through_what_one_would(redis: Redis) -> None:
    """C5: together they try more than the quota of every figure, in thousands at once: none over, at most 1 % under."""
    command = [sys.executable, "-m", "tests.integration.hammering", redis.url]
    replicas = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) for _ in range(2)]
    told = [json.loads(replica.communicate(timeout=60)[0]) for replica in replicas]
    assert len(told[0]) == 11
    for (tier, call, tried, *one), (_, _, _, *other) in zip(*told, strict=True):
        figure, (passed, begun, ended) = quota(tier, call), one
        elapsed = max(ended, other[2]) - min(begun, other[1])
        assert 2 * tried > figure
        assert 0.99 * figure <= passed + other[0] <= figure * (1 + elapsed / WINDOW_S), (tier, call)
        assert passed * other[0] > 0 or figure < 1000, "both were let in"
