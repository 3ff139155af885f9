"""The shipped sentence model in 8-bit integers: several times as fast, a few thousandths away from the original.

Made once and kept in the data folder under a checksum. At each start it is compared with what the original said of
the same sentences, for another processor may round otherwise. Neither torch nor the weights are loaded for that.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np

from .port import Vectors
from .quantizing import RECIPE, Export, quantized
from .sentence import SHIPPED_NAME, WEIGHTS_SHA256, SentenceEmbedder

SHIPPED_INT8 = "minilm-int8"
FOLDER, FILE = "embedder", "int8"
INT8 = "-int8"  # ends the name of an embedder whose vectors are nearly those of the one without it
FAITHFUL = 0.99  # least mean cosine to the original
DIGEST = 32  # bytes

Write = Callable[[Path, bytes], None]  # replaces a file atomically


class ModelUnfaithful(Exception):
    """On this machine the quantised model does not say what the original does."""


class QuantizedEmbedder:
    """See the module."""

    name = f"{SHIPPED_NAME}{INT8}"

    def __init__(
        self,
        folder: Path,
        write: Write,
        original: Callable[[], SentenceEmbedder] = SentenceEmbedder,
        weights: str = WEIGHTS_SHA256,
    ) -> None:
        """Load the export from the folder; make it where there is none that is whole and of these weights.

        Raises:
          ImportError: the extra `onnx` is not installed.
          ModelUntrusted: the original's weights are not the expected ones.
          ModelUnfaithful: on this machine its vectors are too far from the original's.
          OSError, RuntimeError: it cannot be made, kept or loaded.
        """
        import onnxruntime
        from tokenizers import Tokenizer

        file = folder / FILE
        export = _read(file)
        if export is None or (export.weights, export.recipe) != (weights, RECIPE):
            export = quantized(original(), weights)
            folder.mkdir(exist_ok=True)
            write(file, _sealed(export))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as torch is told: for one short text more of them only wait for each other
        self._session = onnxruntime.InferenceSession(export.model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_str(export.tokenizer)
        reference = np.frombuffer(export.reference, np.float32).reshape(len(export.probes), -1)
        self.dimension = reference.shape[1]
        self.cosine = float((self.embed(export.probes) * reference).sum(axis=1).mean())
        if self.cosine < FAITHFUL:
            raise ModelUnfaithful(f"its vectors have a mean cosine of {self.cosine:.4f} to the original's")

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            tokens = np.array([self._tokenizer.encode(text).ids], np.int64)
            row[:] = self._session.run(None, {"tokens": tokens})[0][0]
        return vectors


def _sealed(export: Export) -> bytes:
    payload = msgspec.msgpack.encode(export)
    return _digest(payload) + payload


def _read(file: Path) -> Export | None:
    """What was kept; None where nothing is, or it is damaged or of another form."""
    try:
        kept = file.read_bytes()
    except FileNotFoundError:
        return None
    digest, payload = kept[:DIGEST], kept[DIGEST:]
    if _digest(payload) != digest:
        return None
    try:
        return msgspec.msgpack.decode(payload, type=Export)
    except msgspec.MsgspecError:
        return None


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=DIGEST).digest()
