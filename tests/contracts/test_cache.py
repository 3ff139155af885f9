"""Both caches, and what is kept in them: vectors by text, and bytes under seals where others could write."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack

import numpy as np
import pytest
from redis import Redis as Client

from benchmarks.services import Redis
from controlplane.cache import Cache, MemoryCache
from controlplane.clock import FixedClock
from controlplane.embedding import AskedEmbedder, BatchingEmbedder, HashingEmbedder, VectorCache
from controlplane.embedding.port import Vectors
from controlplane.llm.cache import Completions, key_of
from controlplane.llm.provider import Reply
from controlplane.redis import Link, RedisCache
from controlplane.redis.cache import LARGEST
from controlplane.telemetry import Metrics

from ..simulation.redis_server import SimulatedLink, SimulatedRedis

PATIENT_S = 1.0  # of a round: this machine may be busy
SECRET, TTL_S = bytes(range(32)), 60.0
TEXT = "deploy the canary 7f3a"


@pytest.fixture
async def link(redis: Redis) -> AsyncIterator[Link]:
    """A connection to a Redis of this test's own."""
    made = Link(redis.url, "cache", PATIENT_S)
    await made.beat()
    assert made.trouble is None
    yield made
    await made.close()


@pytest.fixture
def client(redis: Redis) -> Iterator[Client]:
    """Somebody else who may write to that Redis."""
    with Client.from_url(redis.url) as somebody:
        yield somebody


@pytest.fixture(params=["memory", "simulated", pytest.param("redis", marks=pytest.mark.services)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    """An empty cache of each kind."""
    if request.param == "memory":
        yield MemoryCache(FixedClock(), 1 << 20, TTL_S)
        return
    async with AsyncExitStack() as ending:
        if request.param == "simulated":
            made: Link = SimulatedLink(SimulatedRedis(time.monotonic, random.Random(1)), "cache", PATIENT_S)
        else:
            made = Link(request.getfixturevalue("redis").url, "cache", PATIENT_S)
        ending.push_async_callback(made.close)
        await made.beat()
        yield RedisCache(made, SECRET, "thing", TTL_S)


async def test_what_is_put_is_found_under_its_key_alone(cache: Cache) -> None:
    values = {bytes([at]): bytes([at]) * at for at in range(256)}
    for key, value in values.items():
        await cache.put(key, value)
    assert {key: await cache.get(key) for key in values} == values
    assert await cache.get(b"another") is None


async def test_what_is_put_last_is_found(cache: Cache) -> None:
    for value in (b"first", b"second"):
        await cache.put(b"k", value)
    assert await cache.get(b"k") == b"second"


async def test_a_value_larger_than_there_is_room_for_is_not_kept_and_breaks_nothing(cache: Cache) -> None:
    await cache.put(b"large", bytes(2 << 20))
    await cache.put(b"small", b"s")
    assert [await cache.get(key) for key in (b"large", b"small")] == [None, b"s"]


async def test_a_vector_comes_back_bit_for_bit_for_its_text_and_embedder(cache: Cache) -> None:
    vectors, embedder = VectorCache(cache), HashingEmbedder()
    texts = [TEXT, "", "déployer — 部署 🚂"]
    await vectors.put(embedder, dict(zip(texts, embedder.embed(texts), strict=True)))
    found = await vectors.get(embedder, [*texts, "another"])
    assert [vector is None for vector in found] == [False] * 3 + [True]
    assert all(np.array_equal(one, other) for one, other in zip(found, embedder.embed(texts), strict=False))
    assert await vectors.get(HashingEmbedder(64), texts) == [None] * 3


async def test_a_vector_of_another_length_counts_as_none(cache: Cache) -> None:
    vectors, embedder, short = VectorCache(cache), HashingEmbedder(), HashingEmbedder(383)
    short.name = embedder.name
    await vectors.put(short, {TEXT: short.embed([TEXT])[0]})
    assert await vectors.get(embedder, [TEXT]) == [None]


class Counting(HashingEmbedder):
    """Notes what it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return super().embed(texts)


async def test_a_text_that_one_replica_embedded_is_not_embedded_by_another(cache: Cache) -> None:
    models, found = [Counting(), Counting()], []
    for model in models:
        replica = BatchingEmbedder(VectorCache(cache))
        await replica.load(lambda model=model: model)
        found.append(await asyncio.gather(*(replica.embed(f"{TEXT} {at}") for at in range(100))))
        replica.close()
    assert [len(model.embedded) for model in models] == [100, 0]
    assert np.array_equal(found[0], found[1])


async def test_an_embedder_of_unknown_dimension_is_asked_itself(cache: Cache) -> None:
    """Until it has answered once, nothing says which vectors are whole."""

    async def ask(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    vectors = VectorCache(cache)
    model = AskedEmbedder("asked", ask, asyncio.get_running_loop(), 5.0)
    await vectors.put(model, {TEXT: np.array([1.0, 0.0], np.float32)})
    assert await vectors.get(model, [TEXT]) == [None]


async def test_an_answer_that_one_replica_had_costs_another_nothing_and_is_of_one_tenant(cache: Cache) -> None:
    asked: list[str] = []

    def answering(tenant: str) -> Callable[[], Awaitable[Reply]]:
        async def call() -> Reply:
            asked.append(tenant)
            return Reply(body={"of": tenant}, usage=None, finish_reason="stop", provider="p", model="m")

        return call

    replicas, chat = [Completions(cache, Metrics()) for _ in range(2)], {"messages": [], "temperature": 0}
    told = [
        (await replica.once(key_of(tenant, "m", chat), answering(tenant))).reply.body["of"]
        for tenant in ("acme", "other")
        for replica in replicas
    ]
    assert told == ["acme", "acme", "other", "other"]
    assert asked == ["acme", "other"]


@pytest.mark.services
async def test_redis_holds_no_text_and_no_key_and_lets_go_of_it_in_time(link: Link, client: Client) -> None:
    await RedisCache(link, SECRET, "thing", TTL_S).put(TEXT.encode(), b"value")
    embedder = HashingEmbedder()
    await VectorCache(RedisCache(link, SECRET, "vector", TTL_S)).put(embedder, {TEXT: embedder.embed([TEXT])[0]})
    names = client.keys("cache:*")
    kept = [name for name in names if b":thing:" in name or b":vector:" in name]
    assert len(kept) == 2
    assert not any(TEXT.encode() in name + client.dump(name) for name in names)
    assert all(0 < client.pttl(name) <= TTL_S * 1000 for name in kept)


@pytest.mark.services
async def test_what_is_not_ours_whole_and_in_its_place_counts_as_none(link: Link, client: Client) -> None:
    """Damaged, cut, written by somebody else, or another key's: as where a reply comes to the wrong caller."""
    cache = RedisCache(link, SECRET, "thing", TTL_S)
    await cache.put(b"a", b"of a")
    await cache.put(b"b", b"of b")
    names = sorted(client.keys("cache:thing:*"))
    sealed = [client.get(name) for name in names]
    for name, other in zip(names, reversed(sealed), strict=True):
        client.set(name, other)
    assert [await cache.get(key) for key in (b"a", b"b")] == [None, None]
    for name, own in zip(names, sealed, strict=True):
        for wrong in (b"", own[:-1], own[:15], bytes([own[0] ^ 1]) + own[1:], own + b"x"):
            client.set(name, wrong)
            assert [await cache.get(key) for key in (b"a", b"b")] == [None, None]
    await cache.put(b"a", b"of a")
    assert await RedisCache(link, bytes(32), "thing", TTL_S).get(b"a") is None
    assert await RedisCache(link, SECRET, "other", TTL_S).get(b"a") is None
    assert await cache.get(b"a") == b"of a"


@pytest.mark.services
async def test_while_redis_is_away_nothing_is_found_and_nothing_fails(link: Link, redis: Redis) -> None:
    cache = RedisCache(link, SECRET, "thing", TTL_S)
    await cache.put(b"k", bytes(LARGEST))
    assert await cache.get(b"k") == bytes(LARGEST)
    redis.kill()
    assert await cache.get(b"k") is None
    await cache.put(b"k", b"v")
    assert link.trouble is not None
