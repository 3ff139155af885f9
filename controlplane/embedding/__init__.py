"""Text to vectors: a sentence model, whole or in 8 bits, a hashing one, one that is asked, and the batching worker."""

from .asked import AskedEmbedder
from .batching import BatchingEmbedder, EmbedderState
from .hashing import HashingEmbedder
from .images import ImageEmbedder, ImageUnreadable
from .port import Embedder, EmbedderUnreachable, EmbeddingUnavailable, Vector
from .quantized import QuantizedEmbedder
from .sentence import SentenceEmbedder
from .vector_cache import VectorCache

__all__ = [
    "AskedEmbedder",
    "BatchingEmbedder",
    "Embedder",
    "EmbedderState",
    "EmbedderUnreachable",
    "EmbeddingUnavailable",
    "HashingEmbedder",
    "ImageEmbedder",
    "ImageUnreadable",
    "QuantizedEmbedder",
    "SentenceEmbedder",
    "Vector",
    "VectorCache",
]
