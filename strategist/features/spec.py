"""A feature spec is data: how facts become buckets, and which buckets make the levels of which tiling.

It is read from TOML and hashed; learnt values carry the hash and refuse any other spec.
"""

from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from ..errors import BadSpec

TEXT = "text"  # the tiling of a request's text
ADDED = {"codebook", "words", "sketch_bits"}  # fields that the first specs did not have
Kind = Literal["category", "edges", "rounded", "hashed"]


class Feature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bucketed fact. `edges` takes bounds, `rounded` takes digits; what is `hashed` was made of a text."""

    fact: str
    kind: Kind = "category"
    bounds: tuple[float, ...] = ()
    digits: Annotated[int, Meta(ge=0, le=15)] = 1

    def __post_init__(self) -> None:
        if not all(one < other for one, other in pairwise(self.bounds)):
            raise BadSpec(f"the bounds of fact {self.fact!r} do not rise; give each once, the smallest first")


class Tiling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chain of levels; each names the features it *adds* to the level before it."""

    name: str
    levels: tuple[tuple[str, ...], ...]


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features and tilings of one decision point.

    text_bits: bits of the text codes, coarse to fine; empty where no text is read.
    text_root: features every key of the text tiling starts with.
    own_tilings: how many scalars of the caller's own get a tiling each, and one together.
    codebook: name of the learnt centroids that code texts of the embedder they were learnt with.
    words: how many different words of the text linear values read.
    sketch_bits: length of the sketch by which similar cases are found, a multiple of 64; 0 where none is made.
    """

    point: str
    version: int
    features: dict[str, Feature]
    tilings: tuple[Tiling, ...]
    text_bits: tuple[Annotated[int, Meta(ge=1, le=64)], ...] = ()
    text_root: tuple[str, ...] = ()
    own_tilings: Annotated[int, Meta(ge=0, le=64)] = 0
    codebook: str = ""
    words: Annotated[int, Meta(ge=0, le=8192)] = 0
    sketch_bits: Annotated[int, Meta(ge=0, le=4096)] = 0

    def __post_init__(self) -> None:
        if not self.tilings:
            raise BadSpec("the feature spec has no tilings; give it at least one")
        if len({tiling.name for tiling in self.tilings}) < len(self.tilings):
            raise BadSpec("two tilings share a name; their keys would be the same")
        if self.sketch_bits % 64:
            raise BadSpec(f"sketch_bits is {self.sketch_bits}; give a multiple of 64")
        for name in sorted(set(self.text_root) - self.features.keys()):
            raise BadSpec(f"text_root uses feature {name!r}, which [features] does not define")
        for tiling in self.tilings:
            if not tiling.levels:
                raise BadSpec(f"tiling {tiling.name!r} has no levels; give it at least one")
            for name in {name for level in tiling.levels for name in level} - self.features.keys():
                raise BadSpec(f"tiling {tiling.name!r} uses feature {name!r}, which [features] does not define")

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read a spec.

        Raises:
          BadSpec: the text is not TOML or not a spec.
        """
        try:
            return msgspec.toml.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise BadSpec(f"the feature spec cannot be read: {error}") from error

    def leaves(self, key: str) -> bool:
        """Whether a key is made of the spec's own features alone: of no text, and of no scalar of a caller's own.

        Of the text tiling that is its root; of another one the levels before the first hashed feature.
        """
        tiling, _, _ = key.partition("/")
        if tiling == TEXT:
            return key.count("/") == len(self.text_root)
        return not key or any(tiling == of.name and key.count("/") <= self._plain(of) for of in self.tilings)

    def _plain(self, tiling: Tiling) -> int:
        """How many parts of a key go before the first hashed one; a level without features is one part."""
        parts = [self.features.get(name) for level in tiling.levels for name in level or ("",)]
        hashed = [place for place, part in enumerate(parts) if part is not None and part.kind == "hashed"]
        return min(hashed, default=len(parts))

    @property
    def hash(self) -> str:
        """Of everything that makes keys; what was added later counts only where it is used."""
        fields = msgspec.to_builtins(self)
        said = {name: value for name, value in fields.items() if value or name not in ADDED}
        return blake2b(msgspec.json.encode(said, order="sorted"), digest_size=8).hexdigest()
