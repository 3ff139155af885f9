"""An embedder that somebody else runs: asked over the network, from the embedder's thread, by the service's loop."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np

from .port import EmbedderUnreachable, Vectors

Ask = Callable[[Sequence[str]], Coroutine[Any, Any, Sequence[Sequence[float]]]]


class AskedEmbedder:
    """Its dimension is known from its first answer on: a start waits for nobody."""

    def __init__(self, name: str, ask: Ask, loop: asyncio.AbstractEventLoop, longest_s: float) -> None:
        """`ask` gives a vector for each text within `longest_s`, or raises EmbedderUnreachable."""
        self.name, self.dimension = name, 0
        self._ask, self._loop, self._longest_s = ask, loop, longest_s

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [N, D].

        Raises:
          EmbedderUnreachable: there was no answer, or one of vectors that cannot be compared.
        """
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        asked = asyncio.run_coroutine_threadsafe(self._ask(texts), self._loop)
        try:
            vectors = np.array(asked.result(self._longest_s), np.float32)  # [N, D]
        except TimeoutError as error:  # the loop is closing
            raise EmbedderUnreachable(f"{self.name} was not heard of in time") from error
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EmbedderUnreachable(f"{self.name} answered vectors without a direction")
        if self.dimension not in (0, vectors.shape[1]):
            raise EmbedderUnreachable(f"{self.name} answered vectors of another dimension than before")
        self.dimension = vectors.shape[1]
        return np.asarray(vectors / lengths, np.float32)
