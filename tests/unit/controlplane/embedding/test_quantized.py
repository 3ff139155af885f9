"""The quantised model at rest: made once, made again where it is damaged or of other weights, refused where it errs."""

from pathlib import Path

import numpy as np
import pytest

from controlplane.checkpoints import write_atomically
from controlplane.embedding.quantized import DIGEST, FILE, ModelUnfaithful, QuantizedEmbedder, _read, _sealed
from controlplane.embedding.quantizing import PROBES
from controlplane.embedding.sentence import SentenceEmbedder

from .tiny import sentence_model

WEIGHTS = "w-1"


class Making:
    """A tiny model, and how often it was loaded to be exported."""

    def __init__(self, folder: Path) -> None:
        self.loaded, self._model = 0, SentenceEmbedder(str(sentence_model(folder / "tiny")))

    def __call__(self) -> SentenceEmbedder:
        self.loaded += 1
        return self._model


@pytest.fixture(scope="module")
def making(tmp_path_factory: pytest.TempPathFactory) -> Making:
    return Making(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "embedder"


def started(folder: Path, making: Making, weights: str = WEIGHTS) -> int:
    """Start with what is in the folder; how often the original had to be loaded for it."""
    before = making.loaded
    embedder = QuantizedEmbedder(folder, write_atomically, making, weights)
    assert embedder.cosine >= 0.99
    return making.loaded - before


def test_it_is_exported_once_and_loaded_from_then_on(folder: Path, making: Making) -> None:
    assert [started(folder, making) for _ in range(3)] == [1, 0, 0]


def test_it_is_made_again_where_a_bit_flipped_or_the_end_is_missing(folder: Path, making: Making) -> None:
    started(folder, making)
    whole = (folder / FILE).read_bytes()
    for place in (0, DIGEST, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (folder / FILE).write_bytes(damaged)
        assert _read(folder / FILE) is None
    (folder / FILE).write_bytes(whole[: len(whole) // 2])
    assert started(folder, making) == 1
    assert started(folder, making) == 0


def test_it_is_made_again_from_other_weights(folder: Path, making: Making) -> None:
    started(folder, making)
    assert started(folder, making, "w-2") == 1


def test_one_that_says_something_else_than_the_original_is_refused(folder: Path, making: Making) -> None:
    started(folder, making)
    export = _read(folder / FILE)
    assert export is not None
    said = np.frombuffer(export.reference, np.float32).reshape(len(PROBES), -1)
    other = type(export)(
        **{**{f: getattr(export, f) for f in export.__struct_fields__}, "reference": (-said).tobytes()}
    )
    write_atomically(folder / FILE, _sealed(other))
    with pytest.raises(ModelUnfaithful, match=r"mean cosine of -0\.99|mean cosine of -1"):
        QuantizedEmbedder(folder, write_atomically, making, WEIGHTS)
