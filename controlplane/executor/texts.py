"""What a point reads of a text: its codes and its sketch, by an embedder, and its words."""

from typing import NamedTuple

from ..embedding import BatchingEmbedder, EmbeddingUnavailable
from .point import Features


class Text(NamedTuple):
    """A text as the featurizer takes it; `degraded` says what could not be had of it."""

    codes: tuple[str, ...]
    sketch: bytes
    words: tuple[int, ...]
    degraded: tuple[str, ...]


async def read(features: Features, embedder: BatchingEmbedder, text: str) -> Text:
    """Read a text; nothing is read of none."""
    words = features.words(text)
    if not text:
        return Text((), b"", words, ())
    try:
        vector, name = await embedder.embed(text), embedder.name
    except EmbeddingUnavailable:
        return Text((), b"", words, ("embedding",))
    return Text(features.codes(vector, name), features.sketch(vector, name), words, ())
