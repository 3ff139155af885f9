"""Whether what came is a chat completion, or a chunk of one, of the model that was asked for."""

import re
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .failures import error_inside
from .provider import Json, ProviderFailed

Index = Annotated[int, Meta(ge=0, le=127)]
_SNAPSHOT = re.compile(r"(?:-latest|-\d{3,4}(?:-\d\d-\d\d)?|-\d{8}|@[\w-]+|:[\w.-]+)$")
ANY = ("auto",)  # what a provider's own router is called


class _Message(msgspec.Struct):
    role: str | None = None
    content: str | list[Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str
    index: Index = 0


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], Meta(min_length=1)]
    model: str | None = None


class _Delta(msgspec.Struct):
    index: Index = 0
    delta: _Message | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Delta] = []
    model: str | None = None


def decoded(content: bytes) -> Json:
    """A body that is an object and tells of no error.

    Raises:
      ProviderFailed: it is none, or it does.
    """
    try:
        body = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise garbled() from error
    if not isinstance(body, dict):
        raise garbled()
    if body.get("error"):
        raise error_inside(body["error"])
    return body


def check_completion(body: Json, asked: Json, model: str) -> str:
    """The finish reason of a whole answer to what was asked of a model.

    Raises:
      ProviderFailed: it is no answer to that.
    """
    try:
        answer = msgspec.convert(body, _Completion)
    except msgspec.ValidationError as error:
        raise _broken_off(body) or garbled() from error
    places = [choice.index for choice in answer.choices]
    if len(set(places)) < len(places) or len(places) > _wanted(asked) or not serves(model, answer.model):
        raise garbled()
    if any(choice.finish_reason == "error" for choice in answer.choices):
        raise error_inside(None)
    return answer.choices[0].finish_reason


def check_chunk(body: Json, asked: Json, model: str) -> str | None:
    """The finish reason in a chunk, where it has one.

    Raises:
      ProviderFailed: it is no chunk of an answer.
    """
    try:
        chunk = msgspec.convert(body, _Chunk)
    except msgspec.ValidationError as error:
        raise garbled() from error
    if any(choice.index >= _wanted(asked) for choice in chunk.choices) or not serves(model, chunk.model):
        raise garbled()
    reasons = [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    if "error" in reasons:
        raise error_inside(None)
    return reasons[0] if reasons else None


def serves(asked: str, served: str | None) -> bool:
    """Whether an answer is the asked model's: providers add or drop a vendor, a snapshot, a tag.

    >>> serves("gpt-4o-mini", "gpt-4o-mini-2024-07-18"), serves("openai/gpt-4o", "gpt-4o"), serves("phi4", "phi4:14b")
    (True, True, True)
    >>> serves("gpt-4o-mini", "gpt-4o"), serves("cheap", "premium"), serves("openrouter/auto", "x-ai/grok-4")
    (False, False, True)
    """
    return not served or _family(asked) in ANY or _family(asked) == _family(served)


def garbled() -> ProviderFailed:
    """What came is no answer; it may have been billed all the same."""
    return ProviderFailed("garbled", retryable=True, billed=True)


def cut() -> ProviderFailed:
    """A stream ended before the answer did."""
    return ProviderFailed("cut_stream", retryable=True, billed=True)


@lru_cache(maxsize=1000)
def _family(model: str) -> str:
    name = model.lower().rpartition("/")[2]
    while (shorter := _SNAPSHOT.sub("", name)) != name:
        name = shorter
    return name


def _wanted(asked: Json) -> int:
    """How many choices, by any spelling of a number that a chat may have.

    >>> _wanted({"n": "2"}), _wanted({"n": 2.0}), _wanted({"n": None}), _wanted({})
    (2, 2, 1, 1)
    """
    return msgspec.convert(asked.get("n") or 1, int, strict=False)


def _broken_off(body: Json) -> ProviderFailed | None:
    """An error that stands in a choice, as OpenRouter tells of those after the start."""
    choices = body.get("choices")
    inside = (
        [choice.get("error") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    )
    return next((error_inside(error) for error in inside if error), None)
