"""Who calls: tenants, their API keys, and what each key may do."""

from .keys import Key, KeyKind, digest, new_key, parse
from .limits import Call, Left, Limiter, MemoryLimiter
from .pepper import derived, load_pepper, read_pepper, settled_pepper
from .redis_limits import RedisLimiter
from .registry import DEFAULT, EVERY_SCOPE, LOCAL, OPERATOR, Caller, KeyRecord, Registry, TenantRecord

__all__ = [
    "DEFAULT",
    "EVERY_SCOPE",
    "LOCAL",
    "OPERATOR",
    "Call",
    "Caller",
    "Key",
    "KeyKind",
    "KeyRecord",
    "Left",
    "Limiter",
    "MemoryLimiter",
    "RedisLimiter",
    "Registry",
    "TenantRecord",
    "derived",
    "digest",
    "load_pepper",
    "new_key",
    "parse",
    "read_pepper",
    "settled_pepper",
]
