"""Identifiers: sortable by time, unguessable by anybody who was not told."""

import os
import time

_POOL_BYTES, _RANDOM_BYTES = 4096, 10


class _Randomness:
    """The operating system's randomness, fetched for some hundred identifiers at once."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def take(self) -> bytes:
        if self._at + _RANDOM_BYTES > len(self._pool):
            self._pool, self._at = os.urandom(_POOL_BYTES), 0
        taken = self._pool[self._at : self._at + _RANDOM_BYTES]
        self._at += _RANDOM_BYTES
        return taken


_randomness = _Randomness()


def new_id(prefix: str) -> str:
    """`prefix_` + 12 hex digits of milliseconds + 20 of randomness (80 bits)."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{_randomness.take().hex()}"
