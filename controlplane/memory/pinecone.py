"""Vectors in a hosted Pinecone index, through its own client. The one file that imports it.

Each place is a namespace of the index, by a digest: no name of a tenant leaves the process. Which generation of an
embedder's vectors serves stands in the metadata of one record, so that it changes at once or not at all.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import structlog

from ..embedding import Vector
from ..errors import BadSetting
from .hosted import Change, Place
from .index import VectorsUnavailable

log = structlog.get_logger()
SEARCH_S, WRITE_S = 1.0, 30.0
TOGETHER = 100  # vectors of one call
MOST = 1_000  # that one search gives with their values
MARKERS = "pointsman-generations"  # the namespace of those records


class Generations(msgspec.Struct, frozen=True):
    """What an embedder's vectors are in; 0 for none. Of each, the event up to which it has all."""

    serving: int = 0
    filling: int = 1
    positions: dict[int, int] = {}

    @property
    def live(self) -> list[int]:
        return [number for number in (self.serving, self.filling) if number]

    @property
    def reading(self) -> int:
        return self.serving or self.filling


class PineconeVectors:
    """See the module."""

    def __init__(self, host: str, api_key: str) -> None:
        """Raises BadSetting: the extra is not installed."""
        try:
            from pinecone import NotFoundError, PineconeAsyncio, PineconeError, RetryConfig
        except ImportError as error:
            raise BadSetting("POINTSMAN_VECTORS=pinecone needs an extra: pip install 'pointsman[pinecone]'") from error
        self._error, self._not_found, self._host = PineconeError, NotFoundError, host
        self._client = PineconeAsyncio(api_key=api_key, retry_config=RetryConfig(max_retries=0))  # a tick tries again
        self._opened: Any = None
        self._embedder, self.generations = "", Generations()
        self._covered: list[int] = []  # those that have every event once what is written has

    async def begin(self, embedder: str) -> int:
        self._embedder = _digest(embedder)
        async with self._asked(WRITE_S) as index:
            if not await self._follow(index):
                dimension = (await index.describe_index_stats()).dimension
                record = {"id": self._embedder, "values": [1.0] * dimension, "metadata": _marked(self.generations)}
                await index.upsert(vectors=[record], namespace=MARKERS)
            await self._forget_others(index)
            self._covered = self.generations.live
            return min(self.generations.positions.get(number, 0) for number in self._covered)

    async def _follow(self, index: Any) -> bool:
        """Whether there is a record yet; what it says."""
        found = (await index.fetch(ids=[self._embedder], namespace=MARKERS)).vectors.get(self._embedder)
        if found is not None:
            self.generations = _read(found.metadata)
        return found is not None

    async def _forget_others(self, index: Any) -> None:
        """Generations that neither serve nor are filled."""
        live = tuple(self._prefix(number) for number in self.generations.live)
        names = [of.name async for page in index.list_namespaces(prefix=f"{self._embedder}-") for of in page.namespaces]
        for name in names:
            if not name.startswith(live):
                await index.delete(delete_all=True, namespace=name)

    def _prefix(self, generation: int) -> str:
        return f"{self._embedder}-{generation}-"

    def _namespace(self, generation: int, place: Place) -> str:
        return self._prefix(generation) + _digest(*place)

    async def write(self, changes: Sequence[Change], position: int) -> int:
        async with self._asked(WRITE_S) as index:
            await self._follow(index)
            for generation in self.generations.live:
                for place in dict.fromkeys(change.place for change in changes):
                    await self._write(
                        index, self._namespace(generation, place), [c for c in changes if c.place == place]
                    )
            if changes:
                noted = {f"position_{number}": position for number in self._covered}
                await index.update(id=self._embedder, set_metadata=noted, namespace=MARKERS)
        return len(changes)

    async def _write(self, index: Any, namespace: str, changes: Sequence[Change]) -> None:
        there = [{"id": str(c.key), "values": c.vector.tolist()} for c in changes if c.vector is not None]
        gone = [str(change.key) for change in changes if change.vector is None]
        for some in _parts(there):
            await index.upsert(vectors=some, namespace=namespace)
        for some in _parts(gone):
            with contextlib.suppress(self._not_found):  # nothing was ever written there
                await index.delete(ids=some, namespace=namespace)

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[tuple[int, Vector]]:
        async with self._asked(SEARCH_S) as index:
            found = await index.query(
                vector=vector.tolist(),
                top_k=min(k, MOST),
                namespace=self._namespace(self.generations.reading, place),
                include_values=True,
            )
        return [(int(match.id), np.array(match.values, np.float32)) for match in found.matches]

    async def vectors(self, place: Place, keys: Sequence[int]) -> dict[int, Vector]:
        namespace, held = self._namespace(self.generations.reading, place), dict[int, Vector]()
        async with self._asked(SEARCH_S) as index:
            for some in _parts([str(key) for key in keys]):
                found = (await index.fetch(ids=some, namespace=namespace)).vectors
                held |= {int(key): np.array(of.values, np.float32) for key, of in found.items()}
        return held

    async def held(self, tenant: str, position: int) -> dict[Place, list[int]]:
        """It keeps no events with its vectors, so that nobody can tell what of it is not in use."""
        return {}

    async def build(self, sizes: Mapping[Place, int], *, filled: bool) -> None:
        """It builds by itself."""
        async with self._asked(WRITE_S) as index:
            await self._follow(index)
            if filled and (generation := self.generations.filling) in self._covered:
                serving = {"serving": generation, "filling": 0}
                await index.update(id=self._embedder, set_metadata=serving, namespace=MARKERS)
                self.generations = msgspec.structs.replace(self.generations, **serving)
                log.info("vectors_switched", generation=generation)

    async def renew(self) -> int:
        renewed = 0
        async with self._asked(WRITE_S) as index:
            ids = [of.id async for page in index.list(namespace=MARKERS) for of in page.vectors]
            for some in _parts(ids):
                for marker, of in (await index.fetch(ids=some, namespace=MARKERS)).vectors.items():
                    filling = {"filling": max(_read(of.metadata).live) + 1}
                    await index.update(id=marker, set_metadata=filling, namespace=MARKERS)
                    renewed += 1
        return renewed

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _asked(self, deadline_s: float) -> AsyncIterator[Any]:
        if self._opened is None:
            self._opened = self._client.IndexAsyncio(host=self._host)
        try:
            async with asyncio.timeout(deadline_s):
                yield self._opened
        except (self._error, OSError, TimeoutError) as error:
            raise VectorsUnavailable(f"{type(error).__name__}: {error}") from error


def _digest(*names: str) -> str:
    return blake2b(msgspec.json.encode(names), digest_size=16).hexdigest()


def _parts(whole: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (whole[start : start + TOGETHER] for start in range(0, len(whole), TOGETHER))


def _marked(generations: Generations) -> dict[str, int]:
    return {"serving": generations.serving, "filling": generations.filling}


def _read(metadata: Mapping[str, float]) -> Generations:
    positions = {int(name.removeprefix("position_")): int(at) for name, at in metadata.items() if "position" in name}
    return Generations(int(metadata["serving"]), int(metadata["filling"]), positions)
