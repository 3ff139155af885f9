"""Each embedder: unit vectors of a stated size, the same for the same text, alone or in company."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest

from controlplane.embedding import Embedder
from controlplane.embedding.sentence import WEIGHTS_SHA256, shipped_model, verify
from controlplane.errors import ModelUntrusted
from controlplane.executor.point import Features

TEXTS = (
    "Deploy with kubectl apply\nkubectl apply -f deployment.yaml",
    "git push origin main",
    "déployer — 部署 🚂",
    "",
    "   ",
    "!!!",
    "\u202egnirts\u200b",
    "word " * 40,
    "pip install pyyaml",
)


def test_vectors_are_of_unit_length_and_of_the_stated_dimension(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_the_default_dimension_is_384(embedder: Embedder) -> None:
    assert embedder.dimension == 384


def test_the_same_text_gives_the_same_vector(embedder: Embedder) -> None:
    assert np.array_equal(embedder.embed(TEXTS), embedder.embed(TEXTS))


def test_a_text_in_a_batch_is_embedded_as_if_alone(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert np.abs(together - alone).max() <= 1e-5


def test_the_order_of_a_batch_changes_nothing(embedder: Embedder) -> None:
    assert np.abs(embedder.embed(TEXTS[::-1])[::-1] - embedder.embed(TEXTS)).max() <= 1e-5


def test_no_text_is_no_vector(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_a_text_longer_than_a_model_reads_is_embedded_all_the_same(embedder: Embedder) -> None:
    assert np.linalg.norm(embedder.embed(["word " * 1500])[0]) == pytest.approx(1.0, abs=1e-5)


def test_similar_texts_are_nearer_than_different_ones(embedder: Embedder) -> None:
    base, near, far = embedder.embed(["git push origin main", "git push origin feature", "how to bake bread at home"])
    assert base @ near > base @ far


TOPICS = [
    ["git push to the remote", "rebase my branch on main", "resolve the merge conflict", "amend the last commit"],
    ["the enzyme digests protein", "mitochondria of a cell", "the heart pumps blood", "a virus infects bacteria"],
    ["integrate the polynomial", "the derivative of sin x", "prove the theorem by induction", "solve for x and y"],
]


@pytest.mark.parametrize("embedder", ["sentence"], indirect=True)
def test_texts_about_one_thing_share_a_coarse_code_more_often_than_others(embedder: Embedder) -> None:
    """By the shipped codebook, which was learnt from the sentence model's vectors."""
    coarse = [[codes[0] for codes in codes_of(embedder, texts)] for texts in TOPICS]
    within = [a == b for codes in coarse for a, b in combinations(codes, 2)]
    across = [a == b for one, other in combinations(coarse, 2) for a in one for b in other]
    assert np.mean(within) > 3.0 * np.mean(across)


def test_the_quantised_model_has_the_originals_codes_of_most_texts_under_its_own_name(
    sentence: Embedder, int8: Embedder
) -> None:
    texts = [text for topic in TOPICS for text in topic]
    plain, quantised = codes_of(sentence, texts), codes_of(int8, texts)
    renamed = [tuple(code.replace(sentence.name, int8.name) for code in codes) for codes in plain]
    assert (np.array(renamed) == np.array(quantised)).mean() > 0.75
    assert not set(chain(*plain)) & set(chain(*quantised))


def codes_of(embedder: Embedder, texts: Sequence[str]) -> list[tuple[str, ...]]:
    features = Features("route.toml")
    return [features.codes(vector, embedder.name) for vector in embedder.embed(texts)]


def test_the_name_tells_embedders_apart(embedder: Embedder) -> None:
    assert embedder.name in {"hashing-384", "all-MiniLM-L6-v2", "all-MiniLM-L6-v2-int8"}


def test_the_quantised_model_says_what_the_original_says(sentence: Embedder, int8: Embedder) -> None:
    """Also of texts that it was not compared with when it was made, however strange."""
    assert (sentence.embed(TEXTS) * int8.embed(TEXTS)).sum(axis=1).min() >= 0.97


def test_the_shipped_weights_are_the_expected_ones() -> None:
    verify(shipped_model() / "model.safetensors")


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_weights_with_one_flipped_bit_are_refused(tmp_path: Path, place: float) -> None:
    weights = bytearray((shipped_model() / "model.safetensors").read_bytes())
    weights[int(place * (len(weights) - 1))] ^= 1
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(weights)
    with pytest.raises(ModelUntrusted, match=f"{sha256(weights).hexdigest()}, expected {WEIGHTS_SHA256}"):
        verify(copy)
    copy.unlink()


def test_weights_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    copy = tmp_path / "model.safetensors"
    copy.write_bytes((shipped_model() / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(ModelUntrusted, match="reinstall the package"):
        verify(copy)
    copy.unlink()
