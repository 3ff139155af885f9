"""An embedder without a model: hashed words and character trigrams (Weinberger et al. 2009).

For tests, for `POINTSMAN_EMBEDDER=hashing`, and as the loud fallback when the model cannot be loaded.
It sees shared words and word parts, not meaning.
"""

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from .port import Vectors

_WORD = re.compile(r"[A-Za-z0-9_]+|[^\sA-Za-z0-9_]")


class HashingEmbedder:
    """Signed feature hashing into `dimension` buckets, scaled to unit length."""

    def __init__(self, dimension: int = 384) -> None:
        self.name = f"hashing-{dimension}"
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for feature, weight in _features(text.lower()):
                digest = crc32(feature.encode())
                row[digest % self.dimension] += weight if digest & 0x8000_0000 else -weight
            row /= np.linalg.norm(row) or 1.0
        return vectors


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text) or [""]:
        yield f"w:{word}", 1.0
        padded = f" {word} "
        for at in range(len(padded) - 2):
            yield f"t:{padded[at : at + 3]}", 0.4
