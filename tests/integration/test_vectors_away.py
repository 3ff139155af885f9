"""A server of vectors that is away: decisions go on without it, captures are kept, and it is found again by itself."""

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks.services import Postgres, running
from controlplane.memory.hosted import HostedVectors
from controlplane.memory.index import VectorsUnavailable
from controlplane.memory.pgvector import PgVectors
from controlplane.rebuilding import rebuild
from controlplane.service import _death

from .conftest import Serve


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A server that nobody else asks: it is paused and killed."""
    with running(Postgres) as server:
        yield server


AGAINST = {"goal": "ship it", "planned_action": "make deploy"}


def test_the_gate_goes_on_without_the_vectors_and_comes_back_to_them(own: Postgres, serve: Serve) -> None:
    server = serve(vectors="pgvector", vectors_url=own.database())
    first = server.capture(error_trace="Error: no space left")["episode_id"]
    assert server.gate(**AGAINST)["supporting_episodes"][0]["episode_id"] == first, "found before it is written"
    hosted = server.service.memory.vectors
    server.until(lambda: hosted.waiting == 0)
    assert server.gate(**AGAINST)["supporting_episodes"][0]["episode_id"] == first, "and after"

    for away, back in ((own.pause, own.go_on), (own.kill, own.start)):
        away()
        without = server.gate(**AGAINST)
        assert (without["degraded"], without["abstained"], without["action"]) == (["vectors"], True, "PROCEED")
        refused = server.post("/v1/search", {"goal": "ship it"}, 503)
        assert (refused["code"], refused["retryable"]) == ("vectors_unavailable", True)
        server.capture(goal="another", planned_action=f"make {away.__name__}", error_trace="Error: disk on fire")
        assert server.get("/readyz")["status"] == "ready"
        told = server.get("/status")["vectors"]
        assert told["waiting"] > 0
        assert told["trouble"].endswith("Error"), "the kind, and no address"
        back()
        server.until(lambda: hosted.trouble is None)
        with_them = server.gate(**AGAINST)
        assert with_them["degraded"] == []
        assert with_them["supporting_episodes"][0]["episode_id"] == first
        server.until(lambda: hosted.waiting == 0)
        assert server.get("/status")["vectors"] == {"trouble": None, "waiting": 0}


async def test_a_start_without_the_extension_says_so_and_goes_on_once_it_is_there(
    postgres: Postgres, database_url: str
) -> None:
    """The role may not create it."""
    database = database_url.rpartition("/")[2]
    postgres.ask("DROP EXTENSION vector", database)
    hosted = HostedVectors(PgVectors(database_url))
    running = asyncio.create_task(hosted.run())
    beginning = asyncio.create_task(hosted.begin("given"))
    async with asyncio.timeout(30):
        while hosted.trouble is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert hosted.trouble == "the database has no extension vector: CREATE EXTENSION vector"
        with pytest.raises(VectorsUnavailable, match="no extension vector"):
            await hosted._server.write((), 0)
        postgres.ask("CREATE EXTENSION vector", database)
        await beginning
    assert hosted.trouble is None
    assert not running.done()
    running.cancel()
    await hosted.close()


async def test_a_part_that_died_in_a_group_is_told_by_what_it_died_of() -> None:
    async def die() -> None:
        raise LookupError("the reason")

    async def part() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(die())

    task = asyncio.create_task(part())
    await asyncio.wait([task])
    assert _death(task) == "LookupError: the reason"


def test_a_start_finds_what_an_earlier_one_wrote_and_a_purge_deletes_it(database_url: str, serve: Serve) -> None:
    kept = {"vectors": "pgvector", "vectors_url": database_url}
    server = serve(**kept)
    first = server.capture(error_trace="Error: no space left")["episode_id"]
    server.post("/v1/documents", {"documents": [{"key": "a.md", "text": "How to deploy."}]})
    server.until(lambda: server.service.memory.vectors.waiting == 0)
    server.stop()

    server = serve(**kept)
    assert server.service.memory.vectors.waiting == 0, "nothing is written twice"
    server.stop()

    report = asyncio.run(rebuild(server.settings, verify=False, progress=lambda n, of: None))
    assert report.verdict == "a fresh recovery file is written; the next start fills the vectors anew"
    server = serve(**kept)
    assert server.service.memory.vectors.waiting > 0
    assert server.gate(**AGAINST)["supporting_episodes"][0]["episode_id"] == first
    [passage] = server.post("/v1/documents/search", {"query": "How to deploy."})["results"]
    assert passage["key"] == "a.md"
    assert server.client.delete(f"/v1/episodes/{first}").status_code == 204
    assert server.gate(**AGAINST)["supporting_episodes"] == []
    server.until(lambda: server.service.memory.vectors.waiting == 0)
    assert server.gate(**AGAINST)["degraded"] == []
