"""What replicas share through Redis, or through what speaks as it does: the one connection, and a cache over it."""

from .cache import RedisCache
from .link import Link, RedisAway, look

__all__ = ["Link", "RedisAway", "RedisCache", "look"]
