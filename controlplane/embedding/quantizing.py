"""A sentence model as an ONNX graph of 8-bit integers, with what it is compared with. Needs the extra `onnx`.

The whole of it (layers, pooling, unit length) is one graph from the tokens of one text to its vector. A batch would
share one scale of its activations, so that a text's vector would depend on its company: there is none.
"""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from .sentence import SentenceEmbedder

OPSET = 17
RECIPE = 1  # of how an export is made: another one makes it again
PROBES = (
    "git push origin main",
    "deploy the service to staging\nkubectl apply -f deployment.yaml --namespace staging",
    "psycopg2.OperationalError: could not connect to server: Connection refused",
    "ModuleNotFoundError: No module named 'yaml'",
    "group by name having count(*) > 100 order by 2 desc limit 10",
    "remove the old release and start the new one",
    "def parse(line):\n    key, _, value = line.partition('=')\n    return key.strip(), value",
    "What is the derivative of x squared?",
    "make: *** [all] Error 2",
    "Das Verzeichnis ist nicht leer",
    "chmod -R 777 /var/www",
    "npm ERR! code ERESOLVE unable to resolve dependency tree",
    "Summarise the meeting in three sentences.",
    "docker run --rm -p 8080:80 nginx",
    "permission denied while trying to connect to the Docker daemon socket",
    "a",
)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A quantised model at rest: `weights` is the digest of what it was made from."""

    weights: str
    recipe: int
    tokenizer: str
    model: bytes
    probes: tuple[str, ...]
    reference: bytes  # the original's vectors of the probes: float32 [P, D]


def quantized(original: SentenceEmbedder, weights: str) -> Export:
    """Export and quantise a model; takes seconds.

    Raises:
      ImportError: the extra is not installed.
      RuntimeError, OSError: the model cannot be exported, or there is no room for it.
    """
    from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape it takes for fixed; the probes judge the result
        plain, prepared, small = (Path(scratch) / f"{name}.onnx" for name in ("plain", "prepared", "small"))
        _export(original, PROBES[0], plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, small, weight_type=QuantType.QInt8, per_channel=True)
        model = small.read_bytes()
    tokenizer = original.model.tokenizer.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.enable_truncation(original.model.max_seq_length)
    return Export(
        weights=weights,
        recipe=RECIPE,
        tokenizer=tokenizer.to_str(),
        model=model,
        probes=PROBES,
        reference=original.embed(PROBES).tobytes(),
    )


def _export(original: SentenceEmbedder, text: str, file: Path) -> None:
    """Trace the model over one text, of any length."""
    import torch

    class FromTokens(torch.nn.Module):
        """The model as a function of tokens alone: one text has nothing to mask."""

        def __init__(self) -> None:
            super().__init__()
            self.model = original.model

        def forward(self, tokens: Any) -> Any:
            features = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
            return self.model({**features, "token_type_ids": torch.zeros_like(tokens)})["sentence_embedding"]

    tokens: Sequence[int] = original.model.tokenizer(text)["input_ids"]
    with torch.no_grad():
        torch.onnx.export(
            FromTokens(),
            (torch.tensor([tokens]),),
            file,
            input_names=["tokens"],
            output_names=["vector"],
            dynamic_axes={"tokens": {1: "length"}},
            opset_version=OPSET,
            dynamo=False,  # the other exporter needs one more library
        )
