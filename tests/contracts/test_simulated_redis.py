"""The Redis of the simulation replies as a real one does, to whatever replicas send."""

import random
import time
from hashlib import sha1
from typing import Any

import pytest
from redis.exceptions import RedisError

from benchmarks.services import Redis
from controlplane.redis import Link
from controlplane.redis.link import HEARTBEAT, Command
from controlplane.tenants.limits import WINDOW
from controlplane.tenants.redis_limits import GCRA

from ..simulation.redis_server import SimulatedLink, SimulatedRedis

pytestmark = pytest.mark.services
COMMANDS, PATIENT_S, LONG_S = 2_000, 5.0, 3600


def drawn(rng: random.Random, now: int) -> Command:
    """One of those that the product sends."""
    key, count, heartbeat = f"r:{rng.randrange(3)}", _name(GCRA), _name(HEARTBEAT)
    every = WINDOW // rng.choice((10, 33, 500))
    told, ahead = rng.choice((0, now, now + WINDOW // 2, now + 2 * WINDOW)), rng.choice((0, WINDOW // 3, WINDOW))
    return rng.choice(
        (
            ("GET", f"c:{key}"),
            ("SET", f"c:{key}", rng.randbytes(4), "PX", LONG_S * 1000),
            ("ZREM", "replicas", f"w{rng.randrange(3)}"),
            ("EVALSHA", heartbeat, 2, "replicas", "born", f"w{rng.randrange(3)}", LONG_S),
            ("EVALSHA", count, 2, key, "since", every, WINDOW, told, ahead, now),
            ("EVALSHA", "0" * 40, 0),
        )
    )


def _name(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


async def reply(link: Link, command: Command) -> Any:
    try:
        [told] = await link._exchange([command])
    except RedisError as error:
        return type(error)
    return told


async def test_it_replies_as_a_real_one(redis: Redis, seed: int) -> None:
    rng, now = random.Random(seed), 10**12
    links = [Link(redis.url, "r", PATIENT_S), SimulatedLink(SimulatedRedis(time.monotonic, rng), "r", PATIENT_S)]
    for link in links:
        assert [await reply(link, ("SCRIPT", "LOAD", text)) for text in (GCRA, HEARTBEAT)]
    for number in range(COMMANDS):
        now += rng.choice((0, 1, 10**5, 10**7))
        command = drawn(rng, now)
        real, simulated = [await reply(link, command) for link in links]
        assert simulated == real, (number, command)
    for link in links:
        await link.close()
