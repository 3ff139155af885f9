"""Providers that speak as OpenAI does: OpenAI itself, OpenRouter, Ollama, vLLM, llama.cpp, each by its base URL."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from .completions import check_chunk, check_completion, cut, decoded
from .provider import Call, Json, Reply, Usage, named
from .sse import events
from .transport import PLAIN, Answer, Exchanges, Request
from .usage import openai_usage


class OpenAI:
    """One provider, over one transport that leads to its base URL and nowhere else."""

    def __init__(self, name: str, exchanges: Exchanges, key: str | None) -> None:
        self.name, self._exchanges = name, exchanges
        self._headers = {**PLAIN, **({"Authorization": f"Bearer {key}"} if key else {})}

    async def complete(self, call: Call) -> Reply:
        """The whole answer.

        Raises:
          ProviderFailed: there is none.
        """
        with named(self.name):
            answer = await self._answered(call, stream=False)
            body = decoded(await answer.whole())
            reason = check_completion(body, call.body, call.model)
            return self._reply(call, body, openai_usage(body.get("usage")), reason)

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply.

        Raises:
          ProviderFailed: it ended before the answer did, or there is none.
        """
        with named(self.name):
            answer = await self._answered(call, stream=True)
            reason, used, last = None, None, Json()
            async with aclosing(answer.parts()) as parts:
                async for data in events(parts):
                    if data == b"[DONE]":
                        break
                    last = decoded(data)
                    reason = check_chunk(last, call.body, call.model) or reason
                    used = last.get("usage") or used
                    if last.get("choices") or not last.get("usage"):
                        yield last
                else:
                    raise cut()
            if reason is None:
                raise cut()
            body = {**last, "choices": [], **({"usage": used} if used else {})}
            yield self._reply(call, body, openai_usage(used), reason)

    async def _answered(self, call: Call, *, stream: bool) -> Answer:
        body = {**call.body, "model": call.model, "stream": stream}
        options = body.pop("stream_options", None)
        if stream:
            body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        request = Request(path="/chat/completions", body=msgspec.json.encode(body), headers=self._headers)
        return await self._exchanges.open(request, call.deadline_s)

    def _reply(self, call: Call, body: Json, usage: Usage | None, reason: str) -> Reply:
        served: Any = body.get("model")
        return Reply(body=body, usage=usage, finish_reason=reason, provider=self.name, model=served or call.model)
