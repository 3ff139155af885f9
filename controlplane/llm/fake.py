"""A provider that answers by a script, over real sockets of this machine: for tests, benchmarks and first tries.

It speaks as OpenAI (embeddings too) and as Anthropic, errs in every way a provider does, bills exactly and tells what
it billed.
"""

import asyncio
import socket
import struct
from collections import deque
from typing import Any

import msgspec

from .fake_faults import broken_body, broken_head, in_time, whole_parts
from .fake_script import Behaviour, Playing, Script
from .fake_shapes import (
    Json,
    Said,
    anthropic_body,
    anthropic_events,
    embeddings_body,
    event,
    named,
    openai_body,
    openai_events,
)

HOST = "127.0.0.1"
MOST_BODY = 16 * 1024 * 1024
KEPT = 100  # calls that are told of


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A call as it came in."""

    path: str
    keyed: bool
    body: Json

    @property
    def anthropic(self) -> bool:
        return self.path.endswith("/messages")

    @property
    def embedded(self) -> list[str] | None:
        """The texts that vectors are asked of, where they are."""
        return list(self.body["input"]) if self.path.endswith("/embeddings") else None

    @property
    def message(self) -> str:
        """The text of the last message of the user's, or the last that is to be embedded."""
        if self.embedded is not None:
            return self.embedded[-1]
        return next((_text(said) for said in reversed(self.body["messages"]) if said["role"] == "user"), "")

    @property
    def words(self) -> int:
        """How many it holds: they pass for its tokens."""
        texts = map(_text, self.body["messages"]) if self.embedded is None else self.embedded
        return sum(len(text.split()) for text in texts)


class FakeProvider:
    """One server on the loopback address."""

    def __init__(self, script: Script) -> None:
        self.playing = Playing(script)
        self.calls = deque[Asked](maxlen=KEPT)
        self._connections = set[asyncio.Task[None]]()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> str:
        """Listen; the address it is found at, without a path."""
        self._server = await asyncio.start_server(self._connected, HOST, port, limit=1024 * 1024)
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop, and hang up on whoever is connected."""
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer), name="fake provider")
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # whoever asked has left, or speaks no HTTP
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, *_ = head.split(" ", 2)
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        length = int(headers.get("content-length", "0"))
        if length > MOST_BODY:
            return _answer(writer, 413, {"error": {"message": "too large"}})
        content = await reader.readexactly(length)
        if path.startswith("/fake/"):
            return self._controlled(writer, method, path, content)
        try:
            asked = Asked(path=path, keyed=_keyed(headers), body=msgspec.json.decode(content, type=Json))
            behaviour = self.playing.behaviour(asked.message, str(asked.body["model"]))
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
            return _answer(writer, 400, {"error": {"type": "invalid_request_error", "message": "no call"}})
        self.calls.append(asked)
        return await self._play(reader, writer, asked, behaviour)

    def _controlled(self, writer: asyncio.StreamWriter, method: str, path: str, content: bytes) -> bool:
        match method, path:
            case "GET", "/fake/bill":
                return _answer(writer, 200, self.playing.bill)
            case "GET", "/fake/calls":
                return _answer(writer, 200, list(self.calls))
            case "PUT", "/fake/script":
                try:
                    self.playing = Playing(msgspec.json.decode(content, type=Script))
                except msgspec.MsgspecError as error:
                    return _answer(writer, 400, {"error": {"message": str(error)}})
                self.calls.clear()
                return _answer(writer, 200, {})
        return _answer(writer, 404, {"error": {"message": "no such path"}})

    async def _play(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked, behaviour: Behaviour
    ) -> bool:
        said = self._said(asked, behaviour)
        await asyncio.sleep(behaviour.latency_s)
        match behaviour:
            case Behaviour(fault="hang"):
                await reader.read()  # until whoever asked has left
                return False
            case Behaviour(fault="reset"):
                _reset(writer)
                return False
            case Behaviour(status=status) if status != 200:
                error = behaviour.error or {"type": "api_error", "message": "scripted"}
                return _answer(writer, status, {"error": error}, behaviour.headers)
        if asked.body.get("stream") and broken_head(behaviour) is None:
            return await self._stream(reader, writer, asked, behaviour, said)
        body = broken_body(behaviour, _whole(asked, said))
        head = _head(200, {**behaviour.headers, **(broken_head(behaviour) or {})})
        async for part in in_time(behaviour, whole_parts(behaviour, head, body)):
            writer.write(part)
            await writer.drain()
        if behaviour.fault == "stall":
            await reader.read()
        return behaviour.fault not in ("cut", "stall", "endless", "huge_head")

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked, behaviour: Behaviour, said: Said
    ) -> bool:
        events = anthropic_events(said) if asked.anthropic else openai_events(said)
        done = named(type="message_stop") if asked.anthropic else b"data: [DONE]\n\n"
        match behaviour.fault:
            case "garbage":
                events[1:] = [b"data: {{{\n\n"]
            case "wrong_schema":
                events[1:] = [event({"type": 7, "choices": "none"})]
            case "error_inside":
                events[len(events) // 2 :] = [event({"type": "error", "error": behaviour.error or {"code": 502}})]
            case "cut" | "no_done" | "stall":
                done = b""
                events = events if behaviour.fault == "no_done" else events[: len(events) // 2]
        writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        async for part in in_time(behaviour, [*events, done]):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if part else b"")
            await writer.drain()
        if behaviour.fault == "stall":
            await reader.read()
        if behaviour.fault in ("cut", "stall"):
            return False
        writer.write(b"0\r\n\r\n")
        return True

    def _said(self, asked: Asked, behaviour: Behaviour) -> Said:
        text = asked.message if behaviour.echo else behaviour.text
        prompt, completion = behaviour.prompt_tokens, behaviour.completion_tokens
        prompt = asked.words if prompt is None else prompt
        if completion is None:
            completion = len(text.split()) if asked.embedded is None else 0
        cost = self.playing.charge(behaviour, prompt, completion)
        usage: Any = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        if self.playing.script.tell_cost:
            usage["cost"] = cost / 10**9
        if asked.anthropic:
            usage = {"input_tokens": prompt, "output_tokens": completion}
        return Said(
            model=behaviour.model or str(asked.body["model"]),
            text=text,
            tool_calls=behaviour.tool_calls,
            finish_reason=behaviour.finish_reason or ("tool_calls" if behaviour.tool_calls else "stop"),
            usage=usage if behaviour.usage is msgspec.UNSET else behaviour.usage,
        )


def _answer(writer: asyncio.StreamWriter, status: int, told: Any, headers: dict[str, str] | None = None) -> bool:
    body = msgspec.json.encode(told)
    writer.write(_head(status, {**(headers or {}), "content-length": str(len(body))}) + body)
    return True


def _head(status: int, headers: dict[str, str]) -> bytes:
    every = {"content-type": "application/json", **headers}
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in every.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hang up so that the other side hears of it as an error, not as an end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _keyed(headers: dict[str, str]) -> bool:
    return "authorization" in headers or "x-api-key" in headers


def _whole(asked: Asked, said: Said) -> Json:
    if asked.embedded is not None:
        return embeddings_body(said, asked.embedded)
    return anthropic_body(said) if asked.anthropic else openai_body(said)


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if "text" in part)
    return content or ""
