"""Text codes without labels, coarse to fine: which of the learnt centroids is nearest, or sign bits of projections.

Centroids are k-means of many texts' embeddings, learnt once and frozen under a name that the feature spec carries.
They fit one embedder. For any other one there are the sign bits of seeded random projections (SimHash; Charikar 2002):
vectors at a small angle share most bits, and a longer code refines a shorter one.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SEED = 2002
Floats = NDArray[np.float32]


class Codebook(Protocol):
    """Codes for vectors of one dimension."""

    def codes(self, vector: Floats) -> tuple[str, ...]:
        """One code per level for a vector [D]; deterministic (no BLAS: sums in a fixed order)."""
        ...


class Centroids:
    """The nearest of each level's centroids [K, D], all of unit length."""

    def __init__(self, levels: Sequence[Floats]) -> None:
        self._levels = levels

    def codes(self, vector: Floats) -> tuple[str, ...]:
        return tuple([f"{len(level)}.{_nearest(level, vector)}" for level in self._levels])


def _nearest(level: Floats, vector: Floats) -> int:
    return int(np.einsum("kd,d->k", level, vector, optimize=False).argmax())


class SignBits:
    """Codes of `bits` lengths, coarse to fine."""

    def __init__(self, bits: tuple[int, ...], dimension: int, seed: int = SEED) -> None:
        self.bits = bits
        rng = np.random.default_rng(seed)
        self._planes = rng.standard_normal((max(bits, default=0), dimension)).astype(np.float32)  # [B, D]

    def codes(self, vector: Floats) -> tuple[str, ...]:
        word = "".join("1" if sign else "0" for sign in self._signs(vector))
        return tuple(word[:length] for length in self.bits)

    def sketch(self, vector: Floats) -> bytes:
        """All bits, eight in a byte."""
        return np.packbits(self._signs(vector)).tobytes()

    def _signs(self, vector: Floats) -> NDArray[np.bool_]:
        signs: NDArray[np.bool_] = np.einsum("bd,d->b", self._planes, vector, optimize=False) > 0
        return signs
