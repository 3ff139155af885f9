"""A provider inside a test, where no socket may be: it answers with the last message of the user's."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from auditor.reflection_events import Insight
from auditor.skill_events import SkillText
from controlplane.llm.fake_shapes import Said, openai_body
from controlplane.llm.provider import Call, Json, Reply, Usage


class Echo:
    """`before` each answer something may happen: a pause, a failure. Who asks for a reflection or skill is given it."""

    def __init__(self, before: Callable[[], Awaitable[None]]) -> None:
        self._before = before

    async def complete(self, call: Call) -> Reply:
        await self._before()
        messages = call.body["messages"]
        last = str([message["content"] for message in messages if message["role"] == "user"][-1:])
        text = ordered(messages[0]["content"], last) if messages[0]["role"] == "system" else last
        said = Said(model=call.model, text=text, tool_calls=[], finish_reason="stop", usage=None)
        used = Usage(prompt=10, completion=10)
        return Reply(body=openai_body(said), usage=used, finish_reason="stop", provider="openai", model=call.model)

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        reply = await self.complete(call)
        [choice] = reply.body["choices"]
        yield {**reply.body, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": "stop"}]}
        await self._before()
        yield reply


def ordered(order: str, text: str) -> str:
    """What an order asks for: a skill has steps."""
    return described(text) if '"steps"' in order else reflected(text)


def described(text: str) -> str:
    """A skill that says what it was given."""
    told = text[:200]
    made = SkillText(name="do_as_told", docstring=told, preconditions=(), steps=(told,))
    return msgspec.json.encode(made).decode()


def reflected(text: str) -> str:
    """A reflection that obeys: it says what it was given."""
    told = text[:600]
    made = Insight(root_cause=told, preconditions=(), resolution_strategy=told, environment_factors=(), confidence=0.5)
    return msgspec.json.encode(made).decode()
