"""A streamed message of Anthropic's, as chunks of a chat completion."""

from collections.abc import Iterator
from typing import Any

import msgspec

from .completions import garbled, serves
from .messages import REASONS
from .provider import Json, Usage
from .usage import as_openai


class _Event(msgspec.Struct):
    type: str
    message: dict[str, Any] = {}
    content_block: dict[str, Any] = {}
    delta: dict[str, Any] = {}
    usage: Any = None
    index: int = 0


class MessageStream:
    """What was told so far."""

    def __init__(self, model: str, created: int) -> None:
        self.model, self.ended = model, False
        self.reason: str | None = None
        self.used = Json()
        self._asked, self._created, self._id = model, created, ""
        self._calls = dict[int, int]()  # place among the tool calls, by place among the blocks

    def chunks(self, told: Json) -> Iterator[Json]:
        """What an event adds, in chunks.

        Raises:
          ProviderFailed: it is no event, or of another model.
        """
        try:
            event = msgspec.convert(told, _Event)
        except msgspec.ValidationError as error:
            raise garbled() from error
        match event.type:
            case "message_start":
                self._start(event.message)
                yield self._chunk({"role": "assistant", "content": ""})
            case "content_block_start" if event.content_block.get("type") == "tool_use":
                yield self._chunk({"tool_calls": [self._call(event)]})
            case "content_block_delta":
                yield from self._delta(event)
            case "message_delta":
                self.used |= _counts(event.usage)
                if event.delta.get("stop_reason"):
                    self.reason = REASONS.get(str(event.delta["stop_reason"]), "stop")
                    yield self._chunk({}, self.reason)
            case "message_stop":
                self.ended = True

    def last(self, usage: Usage | None) -> Json:
        """The chunk that holds the usage."""
        return {**self._chunk({}), "choices": [], **({"usage": as_openai(usage)} if usage else {})}

    def _start(self, message: Json) -> None:
        self.model, self._id = str(message.get("model") or self._asked), str(message.get("id") or "")
        if not serves(self._asked, self.model):
            raise garbled()
        self.used = _counts(message.get("usage"))
        self.used.pop("output_tokens", None)  # which only the end knows

    def _call(self, event: _Event) -> Json:
        place = self._calls[event.index] = len(self._calls)
        block = event.content_block
        function = {"name": block.get("name"), "arguments": ""}
        return {"index": place, "id": block.get("id"), "type": "function", "function": function}

    def _delta(self, event: _Event) -> Iterator[Json]:
        match event.delta:
            case {"type": "text_delta", "text": str(text)}:
                yield self._chunk({"content": text})
            case {"type": "input_json_delta", "partial_json": str(part)} if event.index in self._calls:
                call = {"index": self._calls[event.index], "function": {"arguments": part}}
                yield self._chunk({"tool_calls": [call]})

    def _chunk(self, delta: Json, reason: str | None = None) -> Json:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }


def _counts(usage: Any) -> Json:
    return {name: count for name, count in usage.items() if count is not None} if isinstance(usage, dict) else {}
