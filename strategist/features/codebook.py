"""Text codes without labels: the sign bits of seeded random projections (SimHash; Charikar 2002).

Vectors at a small angle share most bits, and a longer code refines a shorter one, so the codes form
a coarse-to-fine chain by themselves. Nothing is trained, so the book is frozen by its seed.
"""

import numpy as np
from numpy.typing import NDArray

SEED = 2002


class Codebook:
    """Codes of `bits` lengths, coarse to fine, for vectors of one dimension."""

    def __init__(self, bits: tuple[int, ...], dimension: int, seed: int = SEED) -> None:
        self.bits = bits
        self.dimension = dimension
        rng = np.random.default_rng(seed)
        self._planes = rng.standard_normal((max(bits, default=0), dimension)).astype(np.float32)  # [B, D]

    def codes(self, vector: NDArray[np.float32]) -> tuple[str, ...]:
        """One code per length for a vector [D]; deterministic (no BLAS: sums in a fixed order)."""
        signs = np.einsum("bd,d->b", self._planes, vector, optimize=False) > 0
        word = "".join("1" if sign else "0" for sign in signs)
        return tuple(word[:length] for length in self.bits)
