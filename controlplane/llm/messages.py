"""OpenAI's chat completions into Anthropic's Messages, and a message back into a completion."""

from typing import Any

import msgspec

from .completions import garbled
from .provider import Json, ProviderFailed, Usage
from .usage import as_openai

MAX_TOKENS = 4096  # Anthropic wants a bound; OpenAI's clients need not set one
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_HINTS = {  # to which Anthropic has no counterpart, and without which an answer is still an answer to the call
    "frequency_penalty", "presence_penalty", "logit_bias", "seed", "store", "stream_options", "prompt_cache_key",
}  # fmt: skip
_TURNED = {  # what is translated below, so nothing of it passes through
    "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens", "stop", "user",
    "n", "response_format", "logprobs", "temperature",
}  # fmt: skip


def as_messages(body: Json) -> Json:
    """The body of a Messages call; fields that are nobody's pass through.

    Raises:
      ProviderFailed: the call asks for what Anthropic does not do, or its messages are none.
    """
    if body.get("n", 1) != 1 or body.get("logprobs") or _format(body) != "text":
        raise ProviderFailed("bad_request")
    try:
        return {
            **{name: value for name, value in body.items() if name not in _TURNED | _HINTS},
            **_bounds(body),
            **_tools(body),
            **_turns(body["messages"]),
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProviderFailed("bad_request") from error


def as_completion(told: Json, usage: Usage | None, created: int) -> tuple[Json, str]:
    """A message as a completion, and its finish reason.

    Raises:
      ProviderFailed: it is no message.
    """
    try:
        message = msgspec.convert(told, _Message)
    except msgspec.ValidationError as error:
        raise garbled() from error
    text = "".join(block.text or "" for block in message.content if block.type == "text")
    calls = [_call_of(block) for block in message.content if block.type == "tool_use"]
    reason = REASONS.get(message.stop_reason, "stop")
    said = {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}
    completion = {
        "id": message.id,
        "object": "chat.completion",
        "created": created,
        "model": message.model,
        "choices": [{"index": 0, "message": said, "finish_reason": reason, "logprobs": None}],
        **({"usage": as_openai(usage)} if usage else {}),
    }
    return completion, reason


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class _Message(msgspec.Struct):
    id: str
    model: str
    content: list[_Block]
    stop_reason: str


def _call_of(block: _Block) -> Json:
    arguments = msgspec.json.encode(block.input or {}).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _format(body: Json) -> str:
    wanted = body.get("response_format") or {"type": "text"}
    return str(wanted.get("type")) if isinstance(wanted, dict) else ""


def _bounds(body: Json) -> Json:
    bounds: Json = {"max_tokens": body.get("max_completion_tokens") or body.get("max_tokens") or MAX_TOKENS}
    if body.get("stop"):
        bounds["stop_sequences"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    if body.get("temperature") is not None:
        bounds["temperature"] = min(body["temperature"], 1.0)  # Anthropic's scale ends where OpenAI's has its middle
    if body.get("user"):
        bounds["metadata"] = {"user_id": body["user"]}
    return bounds


def _tools(body: Json) -> Json:
    if not body.get("tools"):
        return {}
    tools = [_tool(tool) for tool in body["tools"]]
    choice = _choice(body.get("tool_choice") or "auto")
    if body.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        return tool  # Anthropic's own kind
    function = tool["function"]
    told = {"description": function["description"]} if function.get("description") else {}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function["name"], **told, "input_schema": schema}


def _choice(choice: Any) -> Json:
    if isinstance(choice, str):
        return {"type": {"auto": "auto", "none": "none", "required": "any"}[choice]}
    return {"type": "tool", "name": choice["function"]["name"]}


def _turns(messages: list[Json]) -> Json:
    """The messages with roles in turn, as Anthropic wants them, and what the system says beside them."""
    system, turns = list[Json](), list[Json]()
    for message in messages:
        role, blocks = _turn(message)
        if role == "system":
            system += blocks
        elif turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return {"messages": turns, **({"system": system} if system else {})}


def _turn(message: Json) -> tuple[str, list[Json]]:
    match message["role"]:
        case "system" | "developer":
            return "system", _blocks(message["content"])
        case "tool":
            result = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
            return "user", [{**result, "content": _blocks(message["content"])}]
        case "assistant":
            return "assistant", [*_blocks(message.get("content")), *map(_use, message.get("tool_calls") or [])]
        case "user":
            return "user", _blocks(message["content"])
    raise ValueError("a role nobody has")


def _use(call: Json) -> Json:
    function = call["function"]
    arguments = msgspec.json.decode(function["arguments"] or "{}", type=dict[str, Any])
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments}


def _blocks(content: Any) -> list[Json]:
    if isinstance(content, str) or content is None:
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content]


def _block(part: Json) -> Json:
    if part["type"] != "image_url":
        return part  # text, and what Anthropic alone knows
    url = part["image_url"]["url"]
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}
