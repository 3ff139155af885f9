"""One order of the questions through the chat endpoint, each a conversation of its own.

Sixteen are asked at once, as calls of many callers come; then they are reported one after the other, in the order of
the stream, and only then the next are asked. So what is learnt when does not hang on which answer came first.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import aiohttp
import numpy as np
from numpy.typing import NDArray

from .questions import ANSWER_TOKENS, MODELS, Flags, Questions
from .station import RIGHT, WRONG

AT_ONCE = 16
TRACE_ID = "x-pointsman-trace-id"

Floats = NDArray[np.float64]
Order = NDArray[np.intp]


class Played(NamedTuple):
    """By question [N]: whether the premium model answered, whether that was right, and by how much more the premium
    model had been learnt to be worth, before the question was, its known price apart.
    """

    premium: Flags
    right: Flags
    gaps: Floats


class Answered(NamedTuple):
    """What the client sees: whether the answer is right, and the id of the decision."""

    right: bool
    trace_id: str


async def play(url: str, key: str, questions: Questions, order: Order, advance: Callable[[int], object]) -> Played:
    """All questions in this order; `advance` is told how many more were answered."""
    played = Played(*[np.zeros(len(order), kind) for kind in (bool, bool, float)])
    async with aiohttp.ClientSession(url, headers={"X-API-Key": key}) as client:
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            answers = await asyncio.gather(*[_asked(client, questions.prompts[item], int(item)) for item in some])
            for answer in answers:
                await _reported(client, answer)
            traces = await asyncio.gather(*[_trace(client, answer.trace_id) for answer in answers])
            for item, answer, trace in zip(some, answers, traces, strict=True):
                played.premium[item] = trace["heads"][0]["action"] == MODELS[1].name
                played.right[item], played.gaps[item] = answer.right, _gap(trace["heads"][0])
            advance(len(some))
    return played


async def _asked(client: aiohttp.ClientSession, prompt: str, number: int) -> Answered:
    body = {
        "model": "pointsman/auto",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": ANSWER_TOKENS,
        "metadata": {"conversation_id": number},
    }
    async with client.post("/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        text = (await answer.json())["choices"][0]["message"]["content"]
        return Answered({RIGHT: True, WRONG: False}[text], answer.headers[TRACE_ID])


async def _reported(client: aiohttp.ClientSession, answer: Answered) -> None:
    told = {"trace_id": answer.trace_id, "outcome": {"success": answer.right}}
    async with client.post("/v1/feedback", json=told) as heard:
        heard.raise_for_status()
        learnt = await heard.json()
        if not learnt["updated"] or learnt["explanation"]["missing"]:
            raise RuntimeError(f"a report was not learnt as a whole: {learnt}")


async def _trace(client: aiohttp.ClientSession, trace_id: str) -> Any:
    async with client.get(f"/v1/decisions/{trace_id}") as answer:
        answer.raise_for_status()
        return await answer.json()


def _gap(head: dict[str, Any]) -> float:
    """By how much more the premium model is learnt to be worth."""
    learnt = np.subtract(head["q_values"], head["known"])
    cheap, premium = (float(learnt[head["actions"].index(model.name)]) for model in MODELS)
    return premium - cheap
