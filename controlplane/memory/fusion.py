"""What is found by meaning and by words together."""

from typing import NamedTuple

from ..embedding import Vector
from .index import Index
from .lexical import Keep, LexicalIndex

WIDEST = 2_000  # of a kind that are looked at for one answer, while what is kept out or said twice leaves too few


class Hit(NamedTuple):
    """What an id has of a query."""

    key: int
    similarity: float  # cosine
    lexical: float  # share of the query's words, in [0, 1]
    vector: Vector  # that it is found by


async def fused(
    index: Index, words: LexicalIndex, vector: Vector, text: str, k: int, keep: Keep | None = None
) -> list[Hit]:
    """The k ids that are nearest in meaning and the k that share most words, in no order.

    Where `keep` is given, those are looked for among the ids that it keeps. What has no vector is not found.

    Raises:
      VectorsUnavailable: a hosted index does not answer.
    """
    near = dict(await (index.search(vector, k) if keep is None else index.search_among(vector, k, keep)))
    shares = words.search(text)
    held = await index.vectors({**near, **dict.fromkeys(shares.best(k, keep))})
    return [
        Hit(key, near[key] if key in near else float(of @ vector), share, of)
        for (key, of), share in zip(held.items(), shares.of(list(held)), strict=True)
    ]
