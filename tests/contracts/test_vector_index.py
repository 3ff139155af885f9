"""Every vector index: in the process exact and with a graph, on servers, and on the one of the simulation."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.services import Postgres
from controlplane.memory.index import Index
from controlplane.memory.pgvector import PgVectors
from controlplane.memory.pinecone import PineconeVectors
from controlplane.memory.vectors import VectorIndex

from ..simulation.store import Faults
from ..simulation.vector_server import Generations, SimulatedVectors
from .pinecone_server import KEY, pinecone
from .vector_servers import filled_by, hosted_by

DIMENSION, SEED = 48, 11
Vectors = NDArray[np.float32]
Build = Callable[[Vectors], Awaitable[Index]]


def unit(count: int, seed: int = SEED) -> Vectors:
    """Seeded unit vectors in clusters, as sentence vectors are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, DIMENSION))
    vectors = centres[rng.integers(0, 20, count)] + 0.7 * rng.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


async def _exact(vectors: Vectors) -> VectorIndex:
    index = VectorIndex(DIMENSION)
    for key, vector in enumerate(vectors):
        index.add(key, vector)
    return index


async def _graph(vectors: Vectors) -> VectorIndex:
    """With a graph from the third vector on."""
    index = VectorIndex(DIMENSION, switch_point=2)
    for key, vector in enumerate(vectors):
        index.add(key, vector)
    await index.maintain()
    return index


@pytest.fixture(scope="module")
def shared_url(postgres: Postgres) -> str:
    """A database for the whole file."""
    return postgres.database()


@pytest.fixture(params=["exact", "hnsw", "simulated", "pgvector", "pgvector with graphs", "pinecone"])
async def build(request: pytest.FixtureRequest) -> AsyncIterator[Build]:
    """Makes an index that holds the vectors under the ids 0, 1, 2..."""
    match request.param:
        case "exact":
            yield _exact
        case "hnsw":
            yield _graph
        case "simulated":
            faults = Faults(random.Random(SEED), share=0.0, slowest_s=0.0)
            async with hosted_by(SimulatedVectors(Generations(), faults)) as hosted:
                yield filled_by(hosted)
        case "pinecone":
            with pinecone(DIMENSION) as (url, _):
                async with hosted_by(PineconeVectors(url, KEY)) as hosted:
                    yield filled_by(hosted)
        case kind:
            url = request.getfixturevalue("shared_url")
            server = PgVectors(url, switch_point=2) if kind == "pgvector with graphs" else PgVectors(url)
            async with hosted_by(server, request.node.name) as hosted:  # in a generation of its own
                yield filled_by(hosted)


async def test_an_empty_index_finds_nothing(build: Build) -> None:
    index = await build(unit(0))
    assert await index.search(unit(1)[0], 5) == []
    assert len(index) == 0


async def test_a_vector_is_its_own_nearest_neighbour(build: Build) -> None:
    vectors = unit(300)
    index = await build(vectors)
    for key in range(0, 300, 7):
        [(found, similarity)] = await index.search(vectors[key], 1)
        assert found == key
        assert similarity == pytest.approx(1.0, abs=1e-5)


async def test_results_come_most_similar_first_with_their_cosine(build: Build) -> None:
    vectors = unit(300)
    index = await build(vectors)
    query = unit(1, seed=99)[0]
    found = await index.search(query, 10)
    assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)
    assert len({key for key, _ in found}) == 10
    for key, similarity in found:
        assert similarity == pytest.approx(float(vectors[key] @ query), abs=1e-5)


@pytest.mark.parametrize("k", [3, 4, 100])
async def test_asking_for_more_than_there_is_gives_all_there_is(build: Build, k: int) -> None:
    vectors = unit(3)
    index = await build(vectors)
    assert sorted(key for key, _ in await index.search(vectors[0], k)) == [0, 1, 2]


async def test_what_was_removed_is_not_found(build: Build) -> None:
    vectors = unit(200)
    index = await build(vectors)
    for key in range(0, 200, 2):
        index.remove(key)
    assert len(index) == 100
    for key in range(0, 200, 10):
        assert all(found % 2 for found, _ in await index.search(vectors[key], 20))
    assert sorted(key for key, _ in await index.search(vectors[0], 500)) == list(range(1, 200, 2))


async def test_removing_what_is_not_there_changes_nothing(build: Build) -> None:
    vectors = unit(10)
    index = await build(vectors)
    index.remove(77)
    index.remove(3)
    index.remove(3)
    assert sorted(key for key, _ in await index.search(vectors[0], 50)) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


async def test_removing_everything_leaves_an_index_that_can_be_filled_again(build: Build) -> None:
    vectors = unit(40)
    index = await build(vectors[:20])
    for key in range(20):
        index.remove(key)
    assert await index.search(vectors[0], 5) == []
    for key in range(20, 40):
        index.add(key, vectors[key])
    assert (await index.search(vectors[30], 1))[0][0] == 30


@pytest.mark.parametrize("k", [1, 10, 200])
async def test_a_search_that_is_repeated_finds_what_was_added_and_not_what_was_removed(build: Build, k: int) -> None:
    """The same array again is the same text again: what it found before is not searched for anew."""
    vectors, rng = unit(900), np.random.default_rng(SEED)
    index, queries = await build(vectors[:100]), [vectors[i] for i in (3, 150, 500)]
    held, new = list(range(100)), iter(range(100, 900))
    turns = 120 if isinstance(index, VectorIndex) else 24
    for turn in range(turns):
        if turn % 4 == 3:
            index.remove(held.pop(int(rng.integers(len(held)))))
        else:
            for key in (next(new) for _ in range(300 if turn == turns // 2 else int(rng.integers(0, 9)))):
                index.add(key, vectors[key])
                held.append(key)
        for query in queries:
            again, afresh = await index.search(query, k), sorted(-(vectors[held] @ query))[:k]
            assert [similarity for _, similarity in again] == pytest.approx([-s for s in afresh], abs=1e-5), turn
            assert {key for key, _ in again} <= set(held)


async def test_what_is_added_later_is_found(build: Build) -> None:
    vectors = unit(400)
    index = await build(vectors[:100])
    for key in range(100, 400):  # past the room that a graph was built with
        index.add(key, vectors[key])
    for key in range(0, 400, 3):
        assert (await index.search(vectors[key], 1))[0][0] == key


async def test_the_graph_finds_what_the_matrix_finds() -> None:
    vectors, queries = unit(3000), unit(200, seed=5)
    exact, graph = await _exact(vectors), await _graph(vectors)
    assert graph.kind == "hnsw"
    hits = 0
    for query in queries:
        near, found = await exact.search(query, 10), await graph.search(query, 10)
        hits += len({key for key, _ in near} & {key for key, _ in found})
    assert hits / (200 * 10) >= 0.95


async def test_a_graph_is_built_above_the_switch_point_and_not_before() -> None:
    vectors = unit(60)
    index = VectorIndex(DIMENSION, switch_point=50)
    for key in range(50):
        index.add(key, vectors[key])
    await index.maintain()
    assert index.kind == "exact"
    index.add(50, vectors[50])
    await index.maintain()
    assert index.kind == "hnsw"


async def test_a_graph_that_is_full_or_mostly_deleted_is_built_anew() -> None:
    vectors = unit(500)
    index = await _graph(vectors[:100])
    for key in range(100, 201):
        index.add(key, vectors[key])
    assert index.kind == "exact", "full: the matrix answers until the next graph is there"
    await index.maintain()
    assert index.kind == "hnsw"
    for key in range(60):
        index.remove(key)
    assert index.wants_graph
    await index.maintain()
    assert not index.wants_graph
    assert (await index.search(vectors[0], 5))[0][0] >= 60


async def test_changes_during_a_build_are_in_the_new_graph() -> None:
    vectors = unit(1200)
    index = VectorIndex(DIMENSION, switch_point=10)
    for key in range(1000):
        index.add(key, vectors[key])
    building = asyncio.create_task(index.maintain())
    await asyncio.sleep(0)  # the build has taken its copy and runs in its thread
    assert index.kind == "exact"
    for key in range(1000, 1100):
        index.add(key, vectors[key])
    for key in [*range(50), *range(1000, 1020)]:
        index.remove(key)
    assert (await index.search(vectors[1050], 1))[0][0] == 1050, "searches go on while it is built"
    await building
    assert index.kind == "hnsw"
    assert len(index) == 1030
    for key in range(1020, 1100):
        assert (await index.search(vectors[key], 1))[0][0] == key
    gone = {*range(50), *range(1000, 1020)}
    for key in gone:
        assert not gone & {found for found, _ in await index.search(vectors[key], 10)}


async def test_a_build_runs_once_at_a_time() -> None:
    vectors = unit(300)
    index = VectorIndex(DIMENSION, switch_point=10)
    for key in range(300):
        index.add(key, vectors[key])
    await asyncio.gather(*(index.maintain() for _ in range(5)))
    assert index.kind == "hnsw"
    assert (await index.search(vectors[17], 1))[0][0] == 17


async def test_a_graph_with_few_left_alive_still_answers() -> None:
    vectors = unit(600)
    index = await _graph(vectors)
    for key in range(590):
        index.remove(key)
    for key in range(590):
        assert {found for found, _ in await index.search(vectors[key], 9)} <= set(range(590, 600))
        assert len(await index.search(vectors[key], 9)) == 9


async def test_what_was_taken_out_and_is_put_back_is_found_again_also_across_a_build() -> None:
    """As what is set aside is, and let back in."""
    vectors = unit(60)
    index = await _graph(vectors)
    taken = index.remove(7)
    assert taken is not None
    assert np.array_equal(taken, vectors[7])
    index.add(7, taken)
    assert index.kind == "exact", "a graph holds the id as deleted"
    assert (await index.search(vectors[7], 1))[0][0] == 7
    building = asyncio.create_task(index.maintain())
    await asyncio.sleep(0)
    index.add(7, index.remove(7))  # type: ignore[arg-type]  # it is there
    await building
    assert index.kind == "hnsw"
    assert (await index.search(vectors[7], 1))[0][0] == 7
    index.build_anew()
    await index.maintain()
    assert (await index.search(vectors[7], 1))[0][0] == 7
