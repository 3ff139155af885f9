"""Anthropic's Messages, spoken as OpenAI's chat completions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from ..clock import Clock
from .completions import cut, decoded, garbled, serves
from .message_stream import MessageStream
from .messages import as_completion, as_messages
from .provider import Call, Json, Reply, named
from .sse import events
from .transport import PLAIN, Answer, Exchanges, Request
from .usage import anthropic_usage

VERSION = "2023-06-01"


class Anthropic:
    """Anthropic, over one transport that leads to its base URL and nowhere else."""

    def __init__(self, name: str, exchanges: Exchanges, key: str | None, clock: Clock) -> None:
        self.name, self._exchanges, self._clock = name, exchanges, clock
        self._headers = {**PLAIN, "anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    async def complete(self, call: Call) -> Reply:
        """The whole answer.

        Raises:
          ProviderFailed: there is none.
        """
        with named(self.name):
            answer = await self._answered(call, stream=False)
            told = decoded(await answer.whole())
            usage = anthropic_usage(told.get("usage"))
            body, reason = as_completion(told, usage, int(self._clock.now()))
            if not serves(call.model, body["model"]):
                raise garbled()
            return Reply(body=body, usage=usage, finish_reason=reason, provider=self.name, model=body["model"])

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply.

        Raises:
          ProviderFailed: it ended before the answer did, or there is none.
        """
        with named(self.name):
            answer = await self._answered(call, stream=True)
            message = MessageStream(call.model, int(self._clock.now()))
            async with aclosing(answer.parts()) as parts:
                async for data in events(parts):
                    for chunk in message.chunks(decoded(data)):
                        yield chunk
                    if message.ended:
                        break
            if not message.ended or message.reason is None:
                raise cut()
            usage = anthropic_usage(message.used)
            yield Reply(
                body=message.last(usage),
                usage=usage,
                finish_reason=message.reason,
                provider=self.name,
                model=message.model,
            )

    async def _answered(self, call: Call, *, stream: bool) -> Answer:
        body = msgspec.json.encode({**as_messages(call.body), "model": call.model, "stream": stream})
        request = Request(path="/v1/messages", body=body, headers=self._headers)
        return await self._exchanges.open(request, call.deadline_s)
