"""One copy of what many memories have in common: a million of them are to have room."""

from functools import lru_cache
from sys import intern

import msgspec

from auditor.events import Episode

_EMPTY: dict[str, object] = {}  # nothing is ever put into it


def held(episode: Episode) -> Episode:
    """An episode as it is kept: without its vector."""
    return msgspec.structs.replace(
        episode,
        vector=b"",
        embedder=intern(episode.embedder),
        error_class=intern(episode.error_class),
        origin=intern(episode.origin),
        environment=_sharing(episode.environment),
        preconditions=_sharing(episode.preconditions),
        custom=_sharing(episode.custom),
    )


def _sharing(values: dict[str, object]) -> dict[str, object]:
    """Equal maps are one; none is ever changed."""
    return _of(msgspec.json.encode(values, order="deterministic")) if values else _EMPTY


@lru_cache(10_000)
def _of(encoded: bytes) -> dict[str, object]:
    values: dict[str, object] = msgspec.json.decode(encoded)
    return {name: intern(value) if isinstance(value, str) else value for name, value in values.items()}


@lru_cache(1_000)
def only(key: str) -> frozenset[str]:
    """The set of one key."""
    return frozenset((key,))
