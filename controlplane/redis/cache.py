"""Bytes that replicas share. Redis sees neither what they are kept under nor anything but sealed values of ours.

Names and seals are made with a key that Redis does not have: what somebody else wrote there, another value's reply or
damaged bytes count as nothing.
"""

import hmac
from hashlib import blake2b

from .link import Link, RedisAway

SEAL = 16  # bytes before each value
LARGEST = 256 * 1024  # bytes of a value: a larger one would hold up everybody's round


class RedisCache:
    """Of one kind of thing. While Redis is away nothing is found, and nothing is kept."""

    size = 0  # in this process

    def __init__(self, link: Link, secret: bytes, what: str, ttl_s: float) -> None:
        self._link, self._secret, self._what, self._ttl_ms = link, secret, what, int(ttl_s * 1000)

    async def get(self, key: bytes) -> bytes | None:
        name = self._name(key)
        try:
            sealed: bytes | None = await self._link.ask("GET", name)
        except RedisAway:
            return None
        if sealed is None or not hmac.compare_digest(sealed[:SEAL], self._seal(name, sealed[SEAL:])):
            return None
        return sealed[SEAL:]

    async def put(self, key: bytes, value: bytes) -> None:
        """Unless it is large."""
        if len(value) > LARGEST:
            return
        name = self._name(key)
        try:
            await self._link.ask("SET", name, self._seal(name, value) + value, "PX", self._ttl_ms)
        except RedisAway:
            return

    def _name(self, key: bytes) -> str:
        return self._link.key(self._what, self._digest(b"name", key).hex())

    def _seal(self, name: str, value: bytes) -> bytes:
        return self._digest(b"seal", name.encode() + value)

    def _digest(self, use: bytes, content: bytes) -> bytes:
        return blake2b(content, digest_size=SEAL, key=self._secret, person=use).digest()
