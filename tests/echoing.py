"""A provider inside a test, where no socket may be: it answers with the last message of the user's."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from controlplane.llm.fake_shapes import Said, openai_body
from controlplane.llm.provider import Call, Json, Reply, Usage


class Echo:
    """`before` each answer something may happen: a pause, a failure."""

    def __init__(self, before: Callable[[], Awaitable[None]]) -> None:
        self._before = before

    async def complete(self, call: Call) -> Reply:
        await self._before()
        last = [message["content"] for message in call.body["messages"] if message["role"] == "user"][-1:]
        said = Said(model=call.model, text=str(last), tool_calls=[], finish_reason="stop", usage=None)
        used = Usage(prompt=10, completion=10)
        return Reply(body=openai_body(said), usage=used, finish_reason="stop", provider="openai", model=call.model)

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        reply = await self.complete(call)
        [choice] = reply.body["choices"]
        yield {**reply.body, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": "stop"}]}
        await self._before()
        yield reply
