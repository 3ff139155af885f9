"""Text to vectors: a sentence model, a hashing embedder, and the one worker that batches requests."""

from .batching import BatchingEmbedder, EmbedderState
from .hashing import HashingEmbedder
from .port import Embedder, EmbeddingUnavailable, Vector
from .sentence import SentenceEmbedder

__all__ = [
    "BatchingEmbedder",
    "Embedder",
    "EmbedderState",
    "EmbeddingUnavailable",
    "HashingEmbedder",
    "SentenceEmbedder",
    "Vector",
    "embedder_named",
]


def embedder_named(name: str) -> Embedder:
    """The embedder a setting names; blocking."""
    return HashingEmbedder() if name == "hashing" else SentenceEmbedder(name)
