"""Vectors in Pinecone, by its own client and a server that speaks its HTTP API: apart, anew, and away."""

from collections.abc import Iterator

import numpy as np
import pytest

from controlplane.memory.index import VectorsUnavailable
from controlplane.memory.pinecone import MARKERS, PineconeVectors
from tests.contracts.pinecone_server import KEY, Index, pinecone
from tests.contracts.vector_servers import Following, hosted_by

D = 8
VECTORS = np.eye(D, dtype=np.float32)
Hosted = tuple[str, Index]


@pytest.fixture
def hosted_index() -> Iterator[Hosted]:
    with pinecone(D) as found:
        yield found


def held(index: Index) -> dict[str, list[str]]:
    """The ids of vectors, by namespace."""
    return {name: sorted(records) for name, records in index.records.items() if name != MARKERS and records}


async def test_places_are_apart_and_no_name_of_a_tenant_leaves(hosted_index: Hosted) -> None:
    url, index = hosted_index
    async with hosted_by(PineconeVectors(url, KEY)) as hosted:
        one, two = (hosted.index(tenant, "prod", "given", D) for tenant in ("acme", "umbrella"))
        one.add(1, VECTORS[0])
        two.add(2, VECTORS[0])
        await hosted.flush()
        assert await one.search(VECTORS[0], 5) == [(1, 1.0)]
        assert await two.search(VECTORS[0], 5) == [(2, 1.0)]
        one.remove(1)
        await hosted.flush()
    assert list(held(index).values()) == [["2"]]
    assert not any(word in name for name in index.records for word in ("acme", "umbrella", "prod"))


async def test_a_new_generation_is_filled_while_the_old_one_serves_and_the_old_one_is_deleted(
    hosted_index: Hosted,
) -> None:
    url, index = hosted_index
    async with hosted_by(PineconeVectors(url, KEY)) as hosted:
        found = hosted.index("acme", "", "given", D)
        found.add(1, VECTORS[0])
        await hosted.flush()
        await hosted.build()
    renewing = PineconeVectors(url, KEY)
    assert await renewing.renew() == 1
    await renewing.close()
    fold = Following(live=False)
    async with hosted_by(server := PineconeVectors(url, KEY), fold=fold) as hosted:
        assert (server.generations.serving, server.generations.filling) == (1, 2)
        found = hosted.index("acme", "", "given", D)
        found.add(1, VECTORS[0])
        assert await server.nearest(found.place, VECTORS[0], 1), "by the old one"
        fold.live = True
        await hosted.flush()
        await hosted.build()
        assert (server.generations.serving, server.generations.filling) == (2, 0)
        assert await found.search(VECTORS[0], 1) == [(1, 1.0)]
    async with hosted_by(PineconeVectors(url, KEY), fold=Following(live=False)) as hosted:
        found = hosted.index("acme", "", "given", D)
        found.add(1, VECTORS[0])
        assert hosted.waiting == 0, "a start writes nothing that is there"
        assert await found.search(VECTORS[0], 1) == [(1, 1.0)]
    assert len(held(index)) == 1


async def test_a_server_that_is_away_or_knows_no_such_key_is_one_error_that_tells_no_key(hosted_index: Hosted) -> None:
    url, index = hosted_index
    async with hosted_by(server := PineconeVectors(url, KEY)) as hosted:
        found = hosted.index("acme", "", "given", D)
        found.add(1, VECTORS[0])
        await hosted.flush()
        index.away = True
        with pytest.raises(VectorsUnavailable):
            await found.search(VECTORS[0], 1)
        found.add(2, VECTORS[1])
        await hosted.flush()
        assert hosted.waiting == 1
        index.away = False
        await hosted.flush()
        assert await found.search(VECTORS[1], 1) == [(2, 1.0)]
        assert server.generations.serving == 0
    stranger = PineconeVectors(url, "pc-a-secret")
    with pytest.raises(VectorsUnavailable) as refused:
        await stranger.begin("given")
    assert "pc-a-secret" not in str(refused.value)
    await stranger.close()
