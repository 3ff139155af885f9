"""Server-sent events, read as they come."""

from collections.abc import AsyncGenerator, AsyncIterator


async def events(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event; an event that is cut off is none. Lines end as in LF or CRLF."""
    begun, data = list[bytes](), list[bytes]()  # of a line, and of an event
    async for part in parts:
        *lines, rest = part.split(b"\n")
        for end in lines:
            line = b"".join((*begun, end)).removesuffix(b"\r")
            begun.clear()
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data.clear()
        begun.append(rest)
