"""Indexes on real servers, for the suites that every vector index passes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from controlplane.memory.hosted import HostedIndex, HostedVectors, VectorServer

Vectors = NDArray[np.float32]


class Following:
    """A fold in which every change is an event of its own."""

    complete, tenants = True, frozenset({"acme"})

    def __init__(self, *, live: bool = True) -> None:
        self.next, self.live = 1, live

    @property
    def position(self) -> int:
        self.next += 1
        return self.next - 1


@asynccontextmanager
async def hosted_by(
    server: VectorServer, embedder: str = "given", fold: Following | None = None
) -> AsyncIterator[HostedVectors]:
    """Begun, over a fold."""
    hosted = HostedVectors(server)
    hosted.follow(fold or Following())
    await hosted.begin(embedder)
    yield hosted
    await hosted.close()


def filled_by(hosted: HostedVectors) -> Callable[[Vectors], Awaitable[HostedIndex]]:
    """Makes an index whose vectors are on the server, under the ids 0, 1, 2..., with a graph if they are many."""

    async def build(vectors: Vectors) -> HostedIndex:
        index = hosted.index("acme", "", "given", vectors.shape[1])
        for key, vector in enumerate(vectors):
            index.add(key, vector)
        await hosted.flush()
        await hosted.build()
        return index

    return build
