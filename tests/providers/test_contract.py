"""Both adapters over both transports keep one contract: what a call asks and what comes back, whole and streamed."""

import asyncio
from typing import Any

import pytest

from controlplane.llm.provider import ProviderFailed, Usage

from .conftest import Upstream, call, text_of, until

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CALLED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "the moon"}'}}


async def test_an_answer_comes_whole_with_what_it_used(upstream: Upstream) -> None:
    upstream.always(text="Quite well.", prompt_tokens=7, completion_tokens=2)
    reply = await upstream.complete()
    [choice] = reply.body["choices"]
    assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", "Quite well.")
    assert (reply.finish_reason, reply.provider, reply.model) == ("stop", "acme", "m-1")
    assert reply.usage == Usage(prompt=7, completion=2)
    told = reply.body["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (7, 2, 9)


async def test_a_streamed_answer_is_the_whole_one_in_pieces(upstream: Upstream) -> None:
    upstream.always(text="It could be worse, but not by much.")
    whole = await upstream.complete()
    chunks, reply = await upstream.stream()
    assert text_of(chunks) == whole.body["choices"][0]["message"]["content"]
    assert len(chunks) > 5, "it came in pieces"
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (reply.usage, reply.finish_reason, reply.model) == (whole.usage, "stop", "m-1")
    assert reply.body["usage"]["total_tokens"] == whole.body["usage"]["total_tokens"]


async def test_a_chunk_is_handed_on_before_the_answer_ends(upstream: Upstream) -> None:
    """The provider stops for ever after the first chunks; those are there all the same."""
    upstream.always(text="one two three", fault="stall")
    stream = upstream.provider.stream(call())
    async with asyncio.timeout(5):
        assert (await anext(stream))["choices"][0]["delta"]["role"] == "assistant"  # type: ignore[index]
    await stream.aclose()


@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_tool_calls_come_through_as_openai_writes_them(upstream: Upstream, way: str) -> None:
    upstream.always(text="", tool_calls=[CALLED])
    if way == "whole":
        reply = await upstream.complete(tools=[TOOL])
        [called] = reply.body["choices"][0]["message"]["tool_calls"]
    else:
        chunks, reply = await upstream.stream(tools=[TOOL])
        parts = [part for c in chunks for choice in c["choices"] for part in choice["delta"].get("tool_calls") or []]
        called = {**parts[0], "function": dict(parts[0]["function"])}
        assert {part["index"] for part in parts} == {0}
        called["function"]["arguments"] = "".join(part["function"]["arguments"] for part in parts)
    assert reply.finish_reason == "tool_calls"
    assert (called["id"], called["function"]["name"]) == ("c1", "look")
    assert called["function"]["arguments"].replace(" ", "") == '{"at":"themoon"}'


async def test_fields_that_nobody_here_knows_pass_through_untouched(upstream: Upstream) -> None:
    unknown: dict[str, Any] = {"top_k": 7, "vendor": {"deep": [1, {"er": None}]}}
    await upstream.complete(**unknown)
    await upstream.stream(**unknown)
    for asked in upstream.fake.calls:
        assert {name: asked.body[name] for name in unknown} == unknown
        assert asked.body["model"] == "m-1"
        assert asked.keyed


IMPOSSIBLE: list[Any] = [
    None,
    {},
    [],
    {"prompt_tokens": -1, "completion_tokens": 1, "input_tokens": -1, "output_tokens": 1},
    {"prompt_tokens": 1, "completion_tokens": "NaN", "input_tokens": 1, "output_tokens": "NaN"},
    {"prompt_tokens": 1, "completion_tokens": 1e300, "input_tokens": 1, "output_tokens": 1e300},
    {"prompt_tokens": 1, "completion_tokens": 10**9, "input_tokens": 1, "output_tokens": 10**9},
    {"prompt_tokens": 0, "completion_tokens": 1, "input_tokens": 0, "output_tokens": 1},
    {"prompt_tokens": True, "completion_tokens": 1, "input_tokens": True, "output_tokens": 1},
]


async def test_usage_that_cannot_be_true_is_taken_for_not_told(upstream: Upstream) -> None:
    for told in IMPOSSIBLE:
        upstream.always(usage=told)
        assert (told, (await upstream.complete()).usage) == (told, None)
        assert (told, (await upstream.stream())[1].usage) == (told, None)


@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_a_late_answer_ends_by_the_deadline_and_is_another_callers_loss(upstream: Upstream, way: str) -> None:
    upstream.script(rules=[{"times": 1, "then": {"fault": "hang"}}])
    with pytest.raises(ProviderFailed) as late:
        await upstream.ask(way, 0.1)
    assert (late.value.kind, late.value.retryable, late.value.billed) == ("timeout", True, True)
    assert (await upstream.ask(way)).finish_reason == "stop"


@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_a_call_whose_caller_leaves_is_finished_and_harms_no_other(upstream: Upstream, way: str) -> None:
    """Each of twenty callers leaves some turns of the loop later than the one before; the connections serve on."""
    upstream.always(fault="hang")
    for turns in range(20):
        caller = asyncio.create_task(upstream.ask(way, 60.0))
        for _ in range(2 * turns):
            await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert upstream.exchanges.under_way > 10, "what had begun was not cancelled with its caller"
    upstream.always()
    async with asyncio.timeout(30):
        replies = await asyncio.gather(*(upstream.ask(way, 30.0) for _ in range(20)))
    assert {reply.finish_reason for reply in replies} == {"stop"}
    await upstream.fake.close()  # hangs up on those nobody waits for
    await until(lambda: upstream.exchanges.under_way == 0)


async def test_a_stream_that_is_left_early_is_read_to_its_end_by_nobody(upstream: Upstream) -> None:
    upstream.always(text="a b c d e f", between_s=0.01)
    stream = upstream.provider.stream(call())
    assert isinstance(await anext(stream), dict)
    await stream.aclose()
    assert upstream.exchanges.under_way == 1
    async with asyncio.timeout(5):
        await upstream.exchanges.close()
