"""Vectors in PostgreSQL: tenants are kept apart, replicas agree, a generation is filled while another serves."""

import asyncio

import asyncpg
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.services import OWNER, Postgres
from controlplane.errors import BadSetting
from controlplane.memory.hosted import Change, HostedIndex, HostedVectors, Place
from controlplane.memory.index import VectorsUnavailable
from controlplane.memory.pgvector import PgVectors
from controlplane.settings import load
from tests.contracts.vector_servers import Following, hosted_by

Vectors = NDArray[np.float32]
D, K, SMALL, LARGE, QUERIES = 32, 10, 50, 2_000, 40
MANY = "INSERT INTO vectors SELECT space, n, tenant, 1, vector FROM vectors, generate_series(1, 20000) AS n"
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
CUT = f"SELECT pg_terminate_backend(pid) {OTHERS}"
PLACE = Place("acme", "", "given")


def drawn(count: int, seed: int, centres: int = 200) -> Vectors:
    """Unit vectors around centres, as those of texts are."""
    rng = np.random.default_rng(seed)
    around = np.random.default_rng(0).standard_normal((centres, D))
    found = around[rng.integers(0, centres, count)] + 0.6 * rng.standard_normal((count, D))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def nearest(vectors: Vectors, query: Vectors, k: int = K) -> list[int]:
    return np.argsort(-(vectors @ query), kind="stable")[:k].tolist()


def added(hosted: HostedVectors, vectors: Vectors, tenant: str = "acme") -> HostedIndex:
    index = hosted.index(tenant, "", "given", D)
    for key, vector in enumerate(vectors):
        index.add(key, vector)
    return index


async def found(index: HostedIndex, query: Vectors, k: int = K) -> list[int]:
    return [key for key, _ in await index.search(query, k)]


async def rows(url: str, sql: str, tenant: str | None = "acme") -> list[asyncpg.Record]:
    """What the owner of the tables sees as a tenant."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if tenant is not None:
                await connection.execute("SELECT set_config('pointsman.tenant', $1, true)", tenant)
            return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def test_a_small_tenant_among_many_vectors_of_others_gets_exactly_its_nearest(database_url: str) -> None:
    """And a large one nearly all of them, by a graph that holds no vector of another."""
    async with hosted_by(PgVectors(database_url, switch_point=1_000)) as hosted:
        large, small = drawn(LARGE, 1), drawn(SMALL, 2)
        among, few = added(hosted, large, "large"), added(hosted, small, "small")
        added(hosted, small[:1], "others")
        await hosted.flush()
        await hosted.build()
        await rows(database_url, MANY, "others")
        hits = 0
        for query in drawn(QUERIES, 3):
            assert await found(few, query) == nearest(small, query)
            hits += len({*await found(among, query)} & {*nearest(large, query)})
    assert hits / (QUERIES * K) >= 0.97
    [graph] = await rows(database_url, "SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'vectors_graph_%'")
    [space] = await rows(database_url, "SELECT number FROM vector_spaces", "large")
    assert f"(space = {space['number']})" in graph["indexdef"]
    [used] = await rows(database_url, "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE '%graph%'")
    assert used["idx_scan"] == QUERIES


async def test_a_search_of_a_graph_goes_on_until_it_has_enough_of_what_is_left(database_url: str) -> None:
    async with hosted_by(PgVectors(database_url, switch_point=100)) as hosted:
        vectors = drawn(2_000, 1, centres=1)
        index = added(hosted, vectors)
        await hosted.flush()
        await hosted.build()
        query = drawn(1, 2, centres=1)[0]
        for key in nearest(vectors, query, 500):
            index.remove(key)
        await hosted.flush()
        assert await found(index, query) == nearest(vectors, query, 510)[500:]
        odd = await index.search_among(query, K, lambda key: key % 2 == 1)
        left = [key for key in nearest(vectors, query, 2_000)[500:] if key % 2]
        assert [key for key, _ in odd] == left[:K]


async def test_rows_of_a_tenant_are_seen_only_where_it_is_named_by_the_owner_of_the_tables_too(
    database_url: str,
) -> None:
    async with hosted_by(PgVectors(database_url)) as hosted:
        added(hosted, drawn(5, 1), "one")
        added(hosted, drawn(7, 2), "two")
        await hosted.flush()
    for table in ("vectors", "vector_spaces"):
        for tenant, sees in (("one", {"one"}), ("two", {"two"}), (None, set())):
            seen = await rows(database_url, f"SELECT tenant FROM {table}", tenant)
            assert {row["tenant"] for row in seen} == sees
    planted = "INSERT INTO vector_spaces (generation, tenant, namespace, kind) VALUES (1, 'two', '', 'x')"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await rows(database_url, planted, "one")


async def test_what_is_removed_is_deleted_on_the_server(database_url: str) -> None:
    async with hosted_by(PgVectors(database_url)) as hosted:
        index = added(hosted, drawn(20, 1))
        await hosted.flush()
        for key in range(15):
            index.remove(key)
        await hosted.flush()
    left = await rows(database_url, "SELECT key FROM vectors WHERE vector IS NOT NULL ORDER BY key")
    assert [row["key"] for row in left] == [15, 16, 17, 18, 19]


async def test_what_a_process_that_died_left_there_is_deleted_after_the_next_start(database_url: str) -> None:
    """A purge erases its events, so that no fold of them knows what was there; what is newer than the fold stays."""
    async with hosted_by(PgVectors(database_url)) as hosted:
        added(hosted, drawn(6, 1))
        await hosted.flush()
    fold = Following(live=False)
    fold.next = 5
    async with hosted_by(PgVectors(database_url), fold=fold) as hosted:
        index = hosted.index("acme", "", "given", D)
        index.add(0, drawn(1, 1)[0])
        fold.live, fold.next = True, 6
        await hosted.compare()
        await hosted.flush()
    left = await rows(database_url, "SELECT key FROM vectors WHERE vector IS NOT NULL ORDER BY key")
    assert [row["key"] for row in left] == [0, 5]


async def test_a_replica_that_lags_takes_nothing_back(database_url: str) -> None:
    """Two follow the same events; the slower one writes last what the faster one has long passed."""
    vectors = drawn(4, 1)
    one, two = PgVectors(database_url), PgVectors(database_url)
    await asyncio.gather(one.begin("given"), two.begin("given"))  # at once, over an empty database
    in_use, gone = ((0, 1), (1, 2), (2, 4), (1, 6)), ((0, 3), (1, 5))
    events = [(key, seq, vectors[key]) for key, seq in in_use] + [(key, seq, None) for key, seq in gone]
    changes = [Change(PLACE, *event) for event in sorted(events, key=lambda event: event[1])]
    last = {change.key: change for change in changes}
    await one.write(list(last.values()), 6)
    for change in changes:
        await two.write([change], change.seq)
    for server in (one, two):
        assert (await server.vectors(PLACE, [0, 1, 2, 3])).keys() == {1, 2}
        await server.close()


async def test_a_start_writes_only_what_came_since(database_url: str) -> None:
    vectors = drawn(30, 1)
    async with hosted_by(PgVectors(database_url)) as hosted:
        added(hosted, vectors[:20])
        await hosted.flush()
    before = await rows(database_url, "SELECT key, xmin::text FROM vectors ORDER BY key")
    fold = Following(live=False)
    async with hosted_by(PgVectors(database_url), fold=fold) as hosted:
        index = added(hosted, vectors)
        fold.live = True
        assert hosted.waiting == 10
        assert await found(index, vectors[3], 1) == [3]
        assert await found(index, vectors[25], 1) == [25], "what waits is found"
        await hosted.flush()
        assert await found(index, vectors[25], 1) == [25]
    after = await rows(database_url, "SELECT key, xmin::text FROM vectors ORDER BY key")
    assert after[:20] == before
    assert len(after) == 30


async def test_a_new_generation_is_filled_while_the_old_one_serves(database_url: str) -> None:
    """By a start after `rebuild`; a replica that runs meanwhile writes to both, and goes over when it is told to."""
    vectors, kept = (
        drawn(40, 1),
        "SELECT number, serving_since IS NULL, retired_at IS NULL FROM vector_generations ORDER BY 1",
    )
    async with hosted_by(running := PgVectors(database_url)) as old:
        index = added(old, vectors[:20])
        await old.flush()
        await old.build()
        assert await PgVectors(database_url).renew() == 1
        assert [tuple(row) for row in await rows(database_url, kept)] == [(1, False, True), (2, True, True)]
        index.add(20, vectors[20])
        await old.flush()
        fold = Following(live=False)
        async with hosted_by(starting := PgVectors(database_url), fold=fold) as new:
            again = added(new, vectors[:20])
            assert await starting.nearest(again.place, vectors[0], 1), (
                "the old one is searched while the new one is filled"
            )
            assert new.waiting == 20, "all of it is written again"
            fold.live = True
            fold.next = 100
            await new.flush()
            await new.build()
            assert [tuple(row) for row in await rows(database_url, kept)] == [(1, False, False), (2, False, True)]
            assert await found(again, vectors[7], 3) == nearest(vectors[:20], vectors[7], 3)
        await old.build()
        assert await found(index, vectors[20], 1) == [20], "what came while it was filled is in it"
        assert running.reading == 2


async def test_the_extension_may_be_in_a_schema_of_its_own(postgres: Postgres, database_url: str) -> None:
    """As where a provider keeps extensions apart."""
    name = database_url.rpartition("/")[2]
    apart = f"CREATE SCHEMA apart AUTHORIZATION {OWNER}; CREATE EXTENSION vector SCHEMA apart"
    postgres.ask(f"DROP EXTENSION vector; {apart}; ALTER DATABASE {name} SET search_path = public, apart", name)
    async with asyncio.timeout(30), hosted_by(PgVectors(database_url), "one") as hosted:
        given = added(hosted, drawn(SMALL, 1))
        await hosted.flush()
        assert len(await given.search(drawn(1, 2)[0], K)) == K


async def test_a_connection_that_is_cut_is_an_absence_and_swallows_no_cancellation(
    postgres: Postgres, database_url: str
) -> None:
    """Or the loop that writes would die of it, and whoever stops meanwhile would wait for ever."""
    server, name = PgVectors(database_url), database_url.rpartition("/")[2]
    await server.begin("one")

    async def cut(*, cancelled: bool) -> None:
        async with server._connected(30) as connection:
            await asyncio.to_thread(postgres.ask, CUT, name)
            try:
                while True:
                    await connection.fetchval("SELECT 1")
            except Exception:
                if cancelled:
                    raise asyncio.CancelledError from None
                raise

    for _ in range(5):
        with pytest.raises(VectorsUnavailable):
            await cut(cancelled=False)
        with pytest.raises(asyncio.CancelledError):
            await cut(cancelled=True)
    await server.close()


async def test_a_graph_is_built_whatever_timeouts_the_role_has(database_url: str, postgres: Postgres) -> None:
    postgres.ask(f"ALTER DATABASE {database_url.rpartition('/')[2]} SET statement_timeout = '1ms'")
    async with PgVectors(database_url)._alone() as connection:
        await connection.execute("SELECT pg_sleep(0.05)")


async def test_a_generation_that_retired_a_day_ago_is_deleted_with_its_graphs(
    postgres: Postgres, database_url: str
) -> None:
    for embedder in ("one", "two"):
        async with hosted_by(PgVectors(database_url, switch_point=10), embedder) as hosted:
            added(hosted, drawn(20, 1))
            await hosted.flush()
            await hosted.build()
    name = database_url.rpartition("/")[2]
    graphs = "SELECT string_agg(indexname, ' ') FROM pg_indexes WHERE indexname LIKE 'vectors_graph_%'"
    assert postgres.ask("SELECT count(*) FROM vectors", name) == "40"
    postgres.ask("UPDATE vector_generations SET retired_at = retired_at - interval '25 hours'", name)
    async with hosted_by(PgVectors(database_url), "two"):
        assert postgres.ask("SELECT count(*) FROM vectors", name) == "20"
        assert postgres.ask(graphs, name) == "vectors_graph_2_2"


async def test_another_embedders_vectors_are_kept_apart(database_url: str) -> None:
    async with hosted_by(PgVectors(database_url), "one") as first, hosted_by(PgVectors(database_url), "two") as second:
        one, two = added(first, drawn(20, 1)), added(second, drawn(20, 2))
        await first.flush()
        await second.flush()
        query = drawn(1, 3)[0]
        assert await found(one, query, 3) == nearest(drawn(20, 1), query, 3)
        assert await found(two, query, 3) == nearest(drawn(20, 2), query, 3)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"vectors": "pgvector"}, "POINTSMAN_VECTORS_URL"),
        ({"vectors": "pinecone", "pinecone_host": "https://x"}, "POINTSMAN_PINECONE_API_KEY"),
        ({"vectors": "qdrant"}, "pgvector, pinecone"),
    ],
)
def test_a_server_that_is_not_named_is_refused_at_the_start(given: dict[str, str], says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        load({}, overrides=given)


def test_the_address_is_kept_like_a_key() -> None:
    chosen = load({"POINTSMAN_DATABASE_URL": "postgresql://me:hunter2@db/pm"})
    assert "hunter2" not in repr(chosen)
    assert chosen.hash == load({}).hash
