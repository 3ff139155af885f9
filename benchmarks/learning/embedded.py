"""Embeddings of a data set's texts by the shipped model, kept in a file, since every order asks for the same ones."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from rich.progress import track

from controlplane.embedding import BatchingEmbedder, SentenceEmbedder
from controlplane.embedding.port import Vectors

BATCH = 64
KEPT = Path(".embeddings")


class Known:
    """An embedder of texts that were embedded before; it carries the name of the model that did."""

    def __init__(self, texts: Sequence[str], vectors: Vectors, name: str) -> None:
        self.name, self.dimension = name, vectors.shape[1]
        self._rows = dict(zip(texts, vectors, strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._rows[text] for text in texts])


async def embedder_of(texts: Sequence[str]) -> BatchingEmbedder:
    """The batching embedder over the vectors of these texts."""
    known_texts, embedder = known(sorted(set(texts))), BatchingEmbedder()
    await embedder.load(lambda: known_texts)
    return embedder


def known(texts: list[str]) -> Known:
    """Vectors made now, or kept from an earlier run."""
    model = SentenceEmbedder()
    file = KEPT / f"{blake2b(repr((model.name, texts)).encode(), digest_size=12).hexdigest()}.npy"
    if not file.exists():
        KEPT.mkdir(exist_ok=True)
        parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        np.save(file, np.concatenate([model.embed(part) for part in track(parts, "embedding", transient=True)]))
    return Known(texts, np.load(file), model.name)
