"""msgpack in pieces of bounded work: who writes much down can let others in between, and gets the same bytes."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

ROWS = 256  # of a list, that one piece holds
MAP, ARRAY = (0x80, 0xDE, 0xDF), (0x90, 0xDC, 0xDD)  # msgpack's marks: up to 15 items, 65,535, more
encode = msgspec.msgpack.Encoder(order="deterministic").encode


def packed(value: Any) -> Iterator[bytes]:
    """The value's encoding: a struct comes field by field, a long list some rows at a time.

    >>> b"".join(packed([1.5] * 1000)) == encode([1.5] * 1000)
    True
    """
    if isinstance(value, msgspec.Struct):
        fields = [(name, getattr(value, name)) for name in value.__struct_fields__]
        if value.__struct_config__.array_like:
            yield head(ARRAY, len(fields))
            for _, item in fields:
                yield from packed(item)
        else:
            yield from mapping(len(fields), fields)
    elif isinstance(value, list):
        yield head(ARRAY, len(value))
        for start in range(0, len(value), ROWS):
            yield b"".join(map(encode, value[start : start + ROWS]))
    else:
        yield encode(value)


def mapping(size: int, items: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """The head of so many items, and those that are given here; they may be made while they are taken."""
    yield head(MAP, size)
    for name, item in items:
        yield encode(name)
        yield from packed(item)


def head(marks: tuple[int, int, int], size: int) -> bytes:
    """What a map or an array of so many items begins with."""
    few, many, more = marks
    if size < 16:
        return bytes((few | size,))
    return bytes((many,)) + size.to_bytes(2) if size < 1 << 16 else bytes((more,)) + size.to_bytes(4)
