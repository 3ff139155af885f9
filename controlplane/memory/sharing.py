"""One copy of what many memories have in common, and little room for the rest: a million of them are held."""

import zlib
from collections import deque
from collections.abc import Hashable
from functools import lru_cache
from sys import intern
from typing import Protocol

import msgspec

from auditor.events import Episode

from ..masking import MASK

Conditions = dict[str, object]  # by name

_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Episode)
_LIKE = _encoder.encode(Episode(goal="", error_class="", origin="", digest=""))  # what is said as here takes no room


def packed(episode: Episode) -> bytes:
    """All of an episode, deflated."""
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS, zdict=_LIKE)
    return deflating.compress(_encoder.encode(episode)) + deflating.flush()


def unpacked(of: bytes) -> Episode:
    """An episode that was packed."""
    return _decoder.decode(zlib.decompressobj(-zlib.MAX_WBITS, _LIKE).decompress(of))


class Packs(Protocol):
    """What holds an episode."""

    def pack(self) -> None:
        """Hold it in little room."""
        ...


class Recent:
    """Of what was read, the last is left whole."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._whole = deque[Packs]()

    def add(self, one: Packs) -> None:
        """It is whole now; whatever has been so for longest is packed."""
        self._whole.append(one)
        if len(self._whole) > self._most:
            self._whole.popleft().pack()


class Stated(msgspec.Struct, frozen=True, gc=False):
    """The conditions of a failure, as its capture stated them; no map is ever changed."""

    environment: Conditions
    preconditions: Conditions
    all: Conditions  # but for what is a secret


def stated(environment: Conditions, preconditions: Conditions) -> Stated:
    """Equal ones are one."""
    return _stated(msgspec.json.encode((environment, preconditions), order="deterministic"))


@lru_cache(10_000)
def _stated(encoded: bytes) -> Stated:
    environment, preconditions = map(_interned, msgspec.json.decode(encoded))
    known = {name: value for name, value in {**environment, **preconditions}.items() if value != MASK}
    return Stated(environment, preconditions, environment if known == environment else known)


def _interned(values: Conditions) -> Conditions:
    return {name: intern(value) if isinstance(value, str) else value for name, value in values.items()}


def short(value: Hashable) -> int:
    """60 bits of its hash, within this process: no two values share them, and Python holds them in the least room."""
    return hash(value) & (2**60 - 1)


@lru_cache(1_000)
def only(key: str) -> frozenset[str]:
    """The set of one key."""
    return frozenset((key,))
