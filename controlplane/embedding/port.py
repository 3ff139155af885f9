"""What is asked of an embedder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]  # [D], unit length
Vectors = NDArray[np.float32]  # [N, D]


class EmbeddingUnavailable(Exception):
    """The text cannot be embedded now; the caller goes on without a vector and says so."""


class EmbedderUnreachable(EmbeddingUnavailable):
    """No text can be embedded for now; it is worth another try later."""


class Embedder(Protocol):
    """Blocking; called from one worker thread only."""

    name: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [N, D]; the same text gives the same vector.

        Raises:
          EmbedderUnreachable: none for now; whatever else is raised belongs to one of the texts.
        """
        ...
