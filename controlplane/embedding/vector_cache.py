"""Vectors that are kept outside this process, so that a text is embedded once for all replicas."""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np

from ..cache import Cache
from .port import Embedder, Vector

TTL_S = 24 * 3600.0


class VectorCache:
    """By embedder and text, over a cache of bytes; a vector of another length than the embedder's counts as none."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def get(self, embedder: Embedder, texts: Sequence[str]) -> list[Vector | None]:
        """The vector [D] of each text, None where none is kept."""
        kept = await asyncio.gather(*(self._cache.get(_key(embedder, text)) for text in texts))
        return [_vector(value, embedder.dimension) for value in kept]

    async def put(self, embedder: Embedder, vectors: Mapping[str, Vector]) -> None:
        """Keep the vector of each text."""
        keeping = (self._cache.put(_key(embedder, text), vector.tobytes()) for text, vector in vectors.items())
        await asyncio.gather(*keeping)


def _key(embedder: Embedder, text: str) -> bytes:
    return blake2b(f"{embedder.name}\0{text}".encode(errors="surrogatepass"), digest_size=32).digest()


def _vector(value: bytes | None, dimension: int) -> Vector | None:
    """An embedder whose dimension is not known yet has none that could be told from damage."""
    if value is None or not dimension or len(value) != 4 * dimension:
        return None
    return np.frombuffer(value, np.float32)
