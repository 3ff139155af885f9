"""The shipped codebook: frozen, of unit length, and texts about one thing share a code."""

from hashlib import sha256
from importlib import resources
from itertools import combinations

import numpy as np
import pytest

from controlplane.embedding import SentenceEmbedder
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


def test_texts_about_one_thing_share_a_coarse_code_more_often_than_others() -> None:
    features, model = Features("route.toml"), SentenceEmbedder()
    topics = [
        ["git push to the remote", "rebase my branch on main", "resolve the merge conflict", "amend the last commit"],
        ["the enzyme digests protein", "mitochondria of a cell", "the heart pumps blood", "a virus infects bacteria"],
        ["integrate the polynomial", "the derivative of sin x", "prove the theorem by induction", "solve for x and y"],
    ]
    coarse = [[features.codes(vector, MINILM)[0] for vector in model.embed(texts)] for texts in topics]
    within = [a == b for codes in coarse for a, b in combinations(codes, 2)]
    across = [a == b for one, other in combinations(coarse, 2) for a in one for b in other]
    assert np.mean(within) > 3.0 * np.mean(across)
