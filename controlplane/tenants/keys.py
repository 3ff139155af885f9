"""API keys as text: `pm_live_<id>_<secret><check>` for a tenant, `pm_admin_...` for an operator.

The prefix is found by secret scanners, the checksum tells a typing error from a wrong key without a look at any
record. The secret has 190 bits, so a fast keyed hash of it is enough at rest (docs/security.md).
"""

import hmac
import secrets
from typing import Literal, NamedTuple
from zlib import crc32

KeyKind = Literal["tenant", "admin"]
PREFIX: dict[KeyKind, str] = {"tenant": "pm_live_", "admin": "pm_admin_"}
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID, SECRET, CHECK = 12, 32, 6  # characters
PEPPER_BYTES = 32
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]


class Key(NamedTuple):
    """A key in the clear: it exists when it is made and while it is looked at, and is kept nowhere."""

    kind: KeyKind
    key_id: str
    secret: str

    @property
    def text(self) -> str:
        """What its holder sends."""
        head = f"{PREFIX[self.kind]}{self.key_id}_{self.secret}"
        return head + _check(head)

    def __repr__(self) -> str:
        return f"<Key {self.kind} {self.key_id}>"


def new_key(kind: KeyKind, shard: int | None = None) -> Key:
    """A key nobody can guess; of a shard, its id begins with the shard's character, by which a proxy can route.

    >>> [new_key("tenant", shard).key_id[0] for shard in (0, 10, 61)]
    ['0', 'A', 'z']
    """
    key_id = _random(ID)
    return Key(kind, key_id if shard is None else ALPHABET[shard] + key_id[1:], _random(SECRET))


def parse(text: str) -> Key | None:
    """The key a text is; None for anything that was never one of ours.

    >>> key = new_key("tenant")
    >>> parse(key.text) == key, parse(key.text[:-1] + "?"), parse("pm_live_x_y")
    (True, None, None)
    """
    for kind, prefix in PREFIX.items():
        if text.startswith(prefix) and len(text) == len(prefix) + ID + 1 + SECRET + CHECK:
            head, key_id, secret = text[:-CHECK], text[len(prefix) :][:ID], text[-CHECK - SECRET : -CHECK]
            known = text.isascii() and text[len(prefix) + ID] == "_" and text[-CHECK:] == _check(head)
            return Key(kind, key_id, secret) if known else None
    return None


def digest(pepper: bytes, secret: str) -> bytes:
    """HMAC-SHA256 of a secret: what is kept of it [32 bytes]."""
    return hmac.digest(pepper, secret.encode(), "sha256")


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _check(head: str) -> str:
    """CRC-32 of a key's head in six digits of base 62."""
    first, rest = divmod(crc32(head.encode()), len(_PAIRS) * len(_PAIRS))
    second, third = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[second] + _PAIRS[third]
