"""How OpenAI and Anthropic write an answer, whole and streamed, for the fake provider."""

from typing import Any
from zlib import crc32

import msgspec

Json = dict[str, Any]
DIMENSION = 256  # of its embeddings
STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written."""

    model: str
    text: str
    tool_calls: list[Json]
    finish_reason: str
    usage: Any  # as told; None leaves it out


def openai_body(said: Said) -> Json:
    """A chat completion."""
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.tool_calls:
        message["tool_calls"] = said.tool_calls
    choice = {"index": 0, "message": message, "finish_reason": said.finish_reason}
    body = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": said.model, "choices": [choice]}
    return body if said.usage is None else {**body, "usage": said.usage}


def openai_events(said: Said) -> list[bytes]:
    """The chunks of a chat completion, without the last `[DONE]`."""

    def chunk(**fields: Any) -> bytes:
        head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 0, "model": said.model}
        return event({**head, **fields})

    def delta(reason: str | None = None, **said: Any) -> bytes:
        return chunk(choices=[{"index": 0, "delta": said, "finish_reason": reason}])

    events = [delta(role="assistant", content="")]
    events += [delta(content=word) for word in words(said.text)]
    events += [delta(tool_calls=[{"index": place, **call}]) for place, call in enumerate(said.tool_calls)]
    events.append(delta(said.finish_reason))
    return events if said.usage is None else [*events, chunk(choices=[], usage=said.usage)]


def embeddings_body(said: Said, texts: list[str]) -> Json:
    """Embeddings of texts: their words, counted in buckets, so that texts which share words are near each other."""
    data: list[Json] = [
        {"object": "embedding", "index": i, "embedding": _buckets(text)} for i, text in enumerate(texts)
    ]
    body = {"object": "list", "model": said.model, "data": data}
    used = said.usage
    if isinstance(used, dict):
        used = {name: count for name, count in used.items() if name != "completion_tokens"}
    return body if used is None else {**body, "usage": used}


def _buckets(text: str) -> list[float]:
    counts = [0.01] * DIMENSION
    for word in text.lower().split():
        counts[crc32(word.encode()) % DIMENSION] += 1.0
    return counts


def anthropic_body(said: Said) -> Json:
    """A message."""
    content: list[Json] = [{"type": "text", "text": said.text}] if said.text else []
    content += [tool_use(call, msgspec.json.decode(call["function"]["arguments"])) for call in said.tool_calls]
    stop = STOPS.get(said.finish_reason, said.finish_reason)
    body = {"id": "msg_fake", "type": "message", "role": "assistant", "model": said.model, "content": content}
    return {**body, "stop_reason": stop, **({} if said.usage is None else {"usage": said.usage})}


def anthropic_events(said: Said) -> list[bytes]:
    """The events of a message, without the last `message_stop`."""
    usage = said.usage if isinstance(said.usage, dict) else {}
    message = {**anthropic_body(said), "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    if said.usage is None:
        del message["usage"]
    events = [named(type="message_start", message=message), named(type="ping")]
    deltas: list[Json] = [{"type": "text_delta", "text": word} for word in words(said.text)]
    events += block(0, {"type": "text", "text": ""}, deltas) if deltas else []
    for place, call in enumerate(said.tool_calls, start=1):
        parts = words(call["function"]["arguments"])
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        events += block(place, tool_use(call, {}), deltas)
    stop = STOPS.get(said.finish_reason, said.finish_reason)
    last: Json = {"type": "message_delta", "delta": {"stop_reason": stop}}
    return [*events, named(**last, **({} if said.usage is None else {"usage": said.usage}))]


def block(index: int, started: Json, deltas: list[Json]) -> list[bytes]:
    """One block of content."""
    inside = [named(type="content_block_delta", index=index, delta=delta) for delta in deltas]
    start = named(type="content_block_start", index=index, content_block=started)
    return [start, *inside, named(type="content_block_stop", index=index)]


def tool_use(call: Json, given: Any) -> Json:
    """A tool call of OpenAI's in Anthropic's form."""
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given}


def words(text: str) -> list[str]:
    """The text in pieces that make it up again."""
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]] if text else []


def event(data: Json) -> bytes:
    """A server-sent event."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def named(*, type: str, **data: Any) -> bytes:
    """One that says its kind beside its data, as Anthropic's do."""
    return b"event: " + type.encode() + b"\n" + event({"type": type, **data})
