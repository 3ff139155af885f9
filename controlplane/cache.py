"""Bytes that are kept for a while and may be gone at any moment: the port of what is cached, and its twin in memory."""

from typing import Protocol

from cachetools import TTLCache

from .clock import Clock


class Cache(Protocol):
    """Where bytes are kept under a key."""

    async def get(self, key: bytes) -> bytes | None:
        """What is kept under a key, and not for too long."""
        ...

    async def put(self, key: bytes, value: bytes) -> None:
        """Keep it, as long as there is room."""
        ...

    @property
    def size(self) -> int:
        """Bytes that are kept in this process."""
        ...


class MemoryCache:
    """In this process: what was not asked for the longest goes first, and everything after a time."""

    def __init__(self, clock: Clock, most_bytes: int, ttl_s: float) -> None:
        self._kept: TTLCache[bytes, bytes] = TTLCache(most_bytes, ttl_s, timer=clock.monotonic, getsizeof=len)

    async def get(self, key: bytes) -> bytes | None:
        return self._kept.get(key)

    async def put(self, key: bytes, value: bytes) -> None:
        if len(value) <= self._kept.maxsize:
            self._kept[key] = value

    @property
    def size(self) -> int:
        return int(self._kept.currsize)
