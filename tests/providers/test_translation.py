"""OpenAI's calls as Anthropic reads them, worked by hand; and what is read of streams, however they are cut."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.llm.completions import check_chunk, check_completion, decoded, serves
from controlplane.llm.failures import pause_s, refusal
from controlplane.llm.message_stream import MessageStream
from controlplane.llm.messages import as_completion, as_messages
from controlplane.llm.provider import ProviderFailed, Usage
from controlplane.llm.sse import events
from controlplane.llm.usage import anthropic_usage, openai_usage

from .conftest import DRAWN

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
LOOK = {"name": "look", "description": "looks", "parameters": {"type": "object"}}
UNHEARD: list[dict[str, Any]] = [
    {"n": 2},
    {"logprobs": True},
    {"response_format": {"type": "json_object"}},
    {"messages": 1},
    {"messages": [{}]},
    {"messages": [{"role": "narrator", "content": "x"}]},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def test_a_conversation_with_tools_is_told_in_anthropics_turns() -> None:
    told = as_messages(
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Look."}, PICTURE]},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "a moon"},
                {"role": "user", "content": "And?"},
            ],
            "tools": [{"type": "function", "function": LOOK}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "max_completion_tokens": 5,
            "stop": "END",
            "temperature": 1.7,
            "user": "u",
            "seed": 3,
            "thinking": {"type": "disabled"},
        }
    )
    assert told == {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look."},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a moon"}]},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "looks", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "max_tokens": 5,
        "stop_sequences": ["END"],
        "temperature": 1.0,
        "metadata": {"user_id": "u"},
        "thinking": {"type": "disabled"},
    }


@pytest.mark.parametrize("asked", UNHEARD, ids=str)
def test_what_anthropic_does_not_do_is_refused_before_anything_is_sent(asked: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed) as refused:
        as_messages({"messages": [], **asked})
    assert (refused.value.kind, refused.value.billed) == ("bad_request", False)


def failure_of(act: Callable[..., object], *given: object) -> str | None:
    """The kind of failure that an act ends in; any other error is a defect and goes on."""
    try:
        act(*given)
    except ProviderFailed as failed:
        return failed.kind
    return None


@DRAWN
@given(JSON, st.dictionaries(st.sampled_from(["messages", "tools", "tool_choice", "stop", "temperature"]), JSON))
def test_no_body_is_a_defect(messages: Any, body: dict[str, Any]) -> None:
    for asked in (body, {**body, "messages": [messages]}, {"messages": [{"role": "user", "content": messages}]}):
        assert failure_of(as_messages, asked) in (None, "bad_request")


@DRAWN
@given(JSON)
def test_whatever_a_provider_tells_is_an_answer_or_a_failure(told: Any) -> None:
    """Also inside the places where answers are."""
    for shape in (
        told,
        {"choices": told, "usage": told, "error": told},
        {"choices": [{"message": told, "delta": told, "finish_reason": told}]},
        {"type": "message_delta", "delta": told, "usage": told},
        {"type": "content_block_start", "content_block": {"type": "tool_use", "id": told}},
        {"type": "message_start", "message": {"model": told, "usage": told}},
        {"id": "m", "model": "m", "content": told, "stop_reason": "end_turn"},
    ):
        content = json.dumps(shape).encode()
        for read in (
            lambda body: check_completion(body, {}, "m"),
            lambda body: check_chunk(body, {}, "m"),
            lambda body: as_completion(body, None, 0),
            lambda body: list(MessageStream("m", 0).chunks(body)),
        ):
            failure_of(lambda content, read: read(decoded(content)), content, read)
        refusal(500, {"retry-after": str(told)}, content, 0.0)
        for usage in (openai_usage(told), anthropic_usage(told)):
            assert usage is None or min(usage.prompt, usage.completion, usage.cached, usage.cache_written) >= 0


@pytest.mark.parametrize("content", [b"", b"[]", b"NaN", b'{"a": NaN}', b'{"a": 1e999}', b"\xff", b"[" * 5000, b"{}{}"])
def test_what_is_no_object_of_json_is_garbled(content: bytes) -> None:
    with pytest.raises(ProviderFailed) as failed:
        decoded(content)
    assert failed.value.kind == "garbled"


@DRAWN
@given(st.binary(), st.floats(0, 2e9))
def test_a_retry_after_is_a_pause_within_a_day_or_none(said: bytes, now: float) -> None:
    pause = pause_s(said.decode("latin-1"), now)
    assert pause is None or 0 <= pause <= 86_400


def test_usage_is_counted_as_each_provider_means_it() -> None:
    told = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}, "cost": 1e-7}
    assert openai_usage(told) == Usage(prompt=9, completion=2, cached=4, cost_nano_usd=100)
    assert openai_usage({**told, "cost": 1.0000000001}).cost_nano_usd == 1_000_000_001, "rounded up"  # type: ignore[union-attr]
    assert [openai_usage({**told, "cost": cost}) for cost in (-1, 1e9, "1", [])] == [None] * 4
    assert openai_usage({**told, "prompt_tokens_details": {"cached_tokens": 10}}) is None
    told = {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7}
    assert anthropic_usage(told) == Usage(prompt=15, completion=2, cached=5, cache_written=7)


@pytest.mark.parametrize(
    ("asked", "served"),
    [("gpt-4o", "gpt-4o-mini"), ("gpt-4", "gpt-4o"), ("claude-3-5-haiku-latest", "claude-3-5-sonnet-20241022")],
)
def test_a_cheaper_or_dearer_model_is_another(asked: str, served: str) -> None:
    assert not serves(asked, served)
    assert not serves(served, asked)


@DRAWN
@given(st.lists(st.text(max_size=20)), st.data(), st.sampled_from([b"\n", b"\r\n"]))
async def test_events_are_the_same_however_the_stream_is_cut(said: list[str], data: st.DataObject, ends: bytes) -> None:
    payloads = [json.dumps(text).encode() for text in said]
    stream = b"".join(b": ping" + ends + b"event: x" + ends + b"data: " + one + ends + ends for one in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))

    async def parts() -> AsyncIterator[bytes]:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            yield stream[start:end]
        yield b"data: half of an eve"

    assert [event async for event in events(parts())] == payloads
