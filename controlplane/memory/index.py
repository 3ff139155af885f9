"""What memory asks of a vector index, and of whoever makes one for each of its spaces."""

from collections.abc import Callable, Iterable, Set
from typing import Protocol

from ..embedding import Vector
from ..errors import Unavailable

Keep = Callable[[int], bool]


class VectorsUnavailable(Unavailable):
    """The vectors' server does not answer, so memory cannot be searched; try again in a moment."""

    code = "vectors_unavailable"


class Index(Protocol):
    """Unit vectors of one kind in one space, by id; cosine similarity is their inner product.

    What was added is found by the next search, and what was removed is not. A hosted index raises VectorsUnavailable
    from what is awaited while its server does not answer.
    """

    def add(self, key: int, vector: Vector) -> None:
        """Add a vector under an id that is not there; one that was there before has the same vector again."""
        ...

    def remove(self, key: int) -> Vector | None:
        """Take an id out; the vector it had, where it is at hand."""
        ...

    async def search(self, vector: Vector, k: int) -> list[tuple[int, float]]:
        """Up to k (id, cosine similarity), the most similar first; not the caller's to change."""
        ...

    async def search_among(self, vector: Vector, k: int, keep: Keep) -> list[tuple[int, float]]:
        """The same of those that are kept, however many nearer ones are not."""
        ...

    async def vectors(self, keys: Iterable[int]) -> dict[int, Vector]:
        """Of those that are there, by their ids."""
        ...

    async def maintain(self) -> None:
        """Build what a large index needs."""
        ...

    def build_anew(self) -> None:
        """Let go of what was removed, where the index keeps it."""
        ...

    def __len__(self) -> int: ...

    def __contains__(self, key: int) -> bool: ...


class Fold(Protocol):
    """What the indexes are a part of."""

    @property
    def position(self) -> int:
        """The last event that was taken in."""
        ...

    @property
    def live(self) -> bool:
        """The past is."""
        ...

    @property
    def tenants(self) -> Set[str]:
        """Those that it ever heard of."""
        ...

    @property
    def complete(self) -> bool:
        """It is, and everything has its vector."""
        ...


class Spaces(Protocol):
    """Makes the indexes of memory's spaces."""

    def index(self, tenant: str, namespace: str, kind: str, dimension: int) -> Index:
        """An empty one."""
        ...

    def follow(self, fold: Fold) -> None:
        """They are a part of it."""
        ...

    async def begin(self, embedder: str) -> None:
        """Everything is about to be added that was embedded by this one; returns once there is where to."""
        ...

    async def page_added(self) -> None:
        """A page of the past was added; returns once there is room for the next."""
        ...

    async def run(self) -> None:
        """What happens beside requests, for ever."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
