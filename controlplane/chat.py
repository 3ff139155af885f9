"""Answering chats: a model is chosen, the decision is on disk, its provider is asked, and what came of it is reported.

Latency, cost and failures are reported here, also where whoever asked has left: a call to a provider is never cut
short, it ends by its own deadline. What the answer was worth is for the caller to say, by the trace id.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import structlog

from auditor import Outcome

from .clock import Clock
from .contract import MAX_TEXT, Candidate, DecisionRequest
from .contract.chat import ChatBody, text_of
from .errands import Errands
from .errors import (
    CallRefused,
    InternalError,
    NoProvider,
    PointsmanError,
    ProviderBusy,
    ProviderFault,
    ProviderTimeout,
    UnknownModel,
)
from .executor.chat import CONVERSATION, Conversations
from .learning import Learning
from .llm.cache import Completion, Completions, MemoryCompletions, key_of
from .llm.models import AUTO, Model
from .llm.provider import Json, ProviderFailed, Reply
from .llm.upstreams import Upstreams
from .plane import Plane
from .settings import Settings
from .telemetry import Metrics
from .tenants import Caller

log = structlog.get_logger()
TRACE_ID = "x-pointsman-trace-id"
CLOSING_S = 5.0
CHARACTERS = 4  # of a token, about
BUSY = ("rate_limit", "spend_limit", "breaker_open")


class Asked(NamedTuple):
    """A call that is decided: who asked what, and which model answers."""

    caller: Caller
    trace_id: str | None  # None: the decision could not be journalled, and nothing is reported
    conversation: str
    model: Model
    body: Json
    began: float


class Chat:
    """Decides, asks and reports."""

    def __init__(
        self,
        upstreams: Upstreams,
        plane: Plane,
        learning: Learning,
        conversations: Conversations,
        metrics: Metrics,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self.models, self.completions = upstreams.models, Completions(MemoryCompletions(clock), metrics)
        self._resilience, self._plane, self._learning = upstreams.resilience, plane, learning
        self._conversations, self._clock, self._deadline_s = conversations, clock, settings.chat_deadline_s
        self._errands = Errands()

    async def decide(self, caller: Caller, said: ChatBody, body: Json) -> Asked:
        """Choose a model, or take the one that is named; `body` has the fields that are not read, too.

        Raises:
          NoProvider, UnknownModel: there is no model, or none of this name.
          Unprocessable, ProviderBusy: no model can take the call, or none for now.
        """
        if not self.models:
            raise NoProvider
        began, conversation = self._clock.monotonic(), conversation_of(caller.tenant, said)
        request = DecisionRequest(
            point="chat",
            task_id=conversation,
            goal=said.text[:MAX_TEXT],
            context=facts_of(said),
            metadata=said.metadata or {},
            candidates=self._named(said.model),
        )
        answer = await self._plane.decide(caller, request)
        return Asked(caller, answer.trace_id, conversation, self.models[answer.action], body, began)

    def _named(self, name: str) -> tuple[Candidate, ...] | None:
        if name == AUTO:
            return None
        if (model := self.models.get(name)) is None:
            raise UnknownModel
        return (Candidate(provider=model.provider, sku=model.model),)

    async def complete(self, asked: Asked) -> Completion:
        """The whole answer.

        Raises:
          CallRefused, ProviderBusy, ProviderFault: there is none.
        """
        return await self._errands.finish(self._completed(asked))

    async def _completed(self, asked: Asked) -> Completion:
        key = key_of(asked.caller.tenant, asked.model.name, asked.body)
        try:
            completion = await self.completions.once(
                key, lambda: self._resilience.complete([asked.model.route], asked.body, self._deadline_s)
            )
        except ProviderFailed as failure:
            raise self._failed(asked, failure) from failure
        self._report(asked, Outcome(executed=False) if completion.kept else self._answered(asked, completion.reply))
        return completion

    async def stream(self, asked: Asked) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply; who leaves early leaves the rest to come in.

        Raises:
          CallRefused, ProviderBusy, ProviderFault: it ended before the answer did, or there is none.
        """
        pieces: asyncio.Queue[Json | Reply | PointsmanError] = asyncio.Queue()
        self._errands.begin(self._streamed(asked, pieces))
        while not isinstance(piece := await pieces.get(), Reply):
            if isinstance(piece, PointsmanError):
                raise piece
            yield piece
        yield piece

    async def _streamed(self, asked: Asked, pieces: "asyncio.Queue[Json | Reply | PointsmanError]") -> None:
        try:
            coming = self._resilience.stream([asked.model.route], asked.body, self._deadline_s)
            async with aclosing(coming):
                async for piece in coming:
                    if isinstance(piece, Reply):
                        self._report(asked, self._answered(asked, piece))
                    pieces.put_nowait(piece)
        except ProviderFailed as failure:
            pieces.put_nowait(self._failed(asked, failure))
        except Exception:  # whoever waits must not wait for ever
            pieces.put_nowait(InternalError())
            raise

    async def close(self) -> None:
        """Wait a little for the calls under way and their reports; what takes longer ends with the process."""
        await self._errands.close(CLOSING_S)

    def _answered(self, asked: Asked, reply: Reply) -> Outcome:
        """What is seen of a call that was answered. What it is worth may be told yet, so the decision stays open."""
        self._conversations.note(asked.caller.tenant, asked.conversation, asked.model.name)
        cost = None if reply.usage is None else asked.model.cost_usd(reply.usage)
        return Outcome(latency_ms=self._took_ms(asked), cost=cost, failures=0, terminal=False)

    def _failed(self, asked: Asked, failure: ProviderFailed) -> PointsmanError:
        """Report a failure; as the caller is told of it."""
        self._report(asked, Outcome(latency_ms=self._took_ms(asked), failures=1))
        error = told_of(failure)
        if asked.trace_id is not None:
            error.headers[TRACE_ID] = asked.trace_id
        return error

    def _took_ms(self, asked: Asked) -> float:
        return round(1000 * (self._clock.monotonic() - asked.began), 3)

    def _report(self, asked: Asked, outcome: Outcome) -> None:
        """Journal what was seen; whoever waits for the answer does not wait for that."""
        if asked.trace_id is not None:
            self._errands.begin(self._observed(asked.caller, asked.trace_id, outcome))

    async def _observed(self, caller: Caller, trace_id: str, outcome: Outcome) -> None:
        try:
            await self._learning.observed(caller, trace_id, outcome)
        except PointsmanError as error:
            log.warning("chat_not_reported", trace_id=trace_id, error=str(error), costs="its decision has no reward")


def conversation_of(tenant: str, said: ChatBody) -> str:
    """What tells a conversation from others: the caller's id of it, the user, or how it began."""
    named = (said.metadata or {}).get(CONVERSATION) or said.user
    begun = [[m.role, text_of(m.content)] for m in said.messages[: _first_of_user(said) + 1]]
    told = msgspec.json.encode([tenant, named or begun])
    return f"ch_{blake2b(told, digest_size=16).hexdigest()}"


def _first_of_user(said: ChatBody) -> int:
    return next((place for place, message in enumerate(said.messages) if message.role == "user"), 0)


def facts_of(said: ChatBody) -> Json:
    """What the choice of a model rests on besides the text."""
    characters = sum(len(text_of(message.content)) for message in said.messages)
    most = said.max_completion_tokens or said.max_tokens or 0
    return {
        "characters": characters,
        "tokens": characters // CHARACTERS + most,
        "turn": sum(message.role == "user" for message in said.messages),
        "tools": bool(said.tools),
    }


def told_of(failure: ProviderFailed) -> PointsmanError:
    """A provider's failure as an error of ours."""
    match failure.kind:
        case "bad_request":
            return CallRefused(str(failure))
        case "timeout":
            error: PointsmanError = ProviderTimeout(str(failure))
        case kind if kind in BUSY:
            error = ProviderBusy(str(failure))
        case _:
            error = ProviderFault(str(failure))
    error.headers["x-should-retry"] = "false"  # what OpenAI's clients heed: it was tried again here already
    return error
