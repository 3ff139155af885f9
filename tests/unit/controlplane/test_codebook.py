"""The shipped codebook: frozen and of unit length; tests/contracts/test_embedder.py asks what shares a code."""

from hashlib import sha256
from importlib import resources

import numpy as np
import pytest

from controlplane.executor.point import Features

FILE = resources.files("controlplane.executor") / "codebook-1.npz"
MINILM = "all-MiniLM-L6-v2"


def test_shipped_codebook_is_the_one_that_learnt_keys_were_made_with() -> None:
    """Pinned: other centroids under the same name would lead to cells of other texts."""
    with np.load(FILE) as file:  # type: ignore[arg-type]
        assert str(file["embedder"]) == MINILM
        digest = sha256(b"".join(file[size].tobytes() for size in ("16", "64", "256"))).hexdigest()
        lengths = np.concatenate([np.linalg.norm(file[size].astype(float), axis=1) for size in ("16", "64", "256")])
    assert digest == "9120d55be21f1fafd4a2704edae8d735db9de91e38f8c1004e49bd937f48f37b"
    assert lengths == pytest.approx(np.ones(336), abs=1e-3)


def test_vectors_of_another_embedder_are_coded_without_it() -> None:
    features = Features("route.toml")
    vector = np.ones(384, np.float32) / np.sqrt(384, dtype=np.float32)
    assert [len(code.split(":")[1]) for code in features.codes(vector, "hashing-384")] == [4, 6, 8]
    assert [code.split(":")[1].split(".")[0] for code in features.codes(vector, MINILM)] == ["16", "64", "256"]
