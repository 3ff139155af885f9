"""What is found by meaning and by words together."""

from typing import NamedTuple

from ..embedding import Vector
from .lexical import Keep, LexicalIndex, best
from .vectors import VectorIndex


class Hit(NamedTuple):
    """What an id has of a query."""

    key: int
    similarity: float  # cosine
    lexical: float  # share of the query's words, in [0, 1]


def fused(
    index: VectorIndex, words: LexicalIndex, vector: Vector, text: str, k: int, keep: Keep | None = None
) -> list[Hit]:
    """The k ids that are nearest in meaning and the k that share most words, in no order.

    Where `keep` is given, those are looked for among the ids that it keeps. What has no vector is not found.
    """
    near = index.search(vector, k) if keep is None else index.search_among(vector, k, keep)
    similar: dict[int, float | None] = dict(near)
    shares = words.search(text)
    for key in best(shares, k, keep):
        if key not in similar:
            similar[key] = index.similarity(key, vector)
    found = ((key, similarity) for key, similarity in similar.items() if similarity is not None)
    return [Hit(key, similarity, shares.get(key, 0.0)) for key, similarity in found]
