"""Answering chats: a model is chosen, the decision is on disk, its provider is asked, and what came of it is reported.

Latency, cost and failures are reported here, also where whoever asked has left: a call to a provider is never cut
short, it ends by its own deadline. What the answer was worth is for the caller to say, by the trace id.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from hashlib import blake2b

import msgspec
import structlog
from msgspec import structs

from auditor import Outcome

from .budgets import Budgets
from .clock import Clock
from .contract import MAX_TEXT, Candidate, DecisionRequest
from .contract.chat import ChatBody, text_of
from .errands import Errands
from .errors import (
    BudgetExhausted,
    CallRefused,
    InternalError,
    NoProvider,
    PointsmanError,
    ProviderBusy,
    ProviderFault,
    ProviderTimeout,
    Unavailable,
    UnknownModel,
    Unprocessable,
)
from .executor.chat import CHARACTERS, CONVERSATION, Conversations, call_at_most, spender
from .learning import Learning
from .llm.cache import Completion, Completions, key_of
from .llm.catalogue import AUTO, Model
from .llm.models import Models
from .llm.prices import NANO, PER_CALL_TOKENS, PER_PART_TOKENS
from .llm.provider import Json, ProviderFailed, Reply, Route
from .llm.resilience import TRIES, Through
from .paying import Payer
from .plane import Plane
from .tenants import Caller

log = structlog.get_logger()
TRACE_ID = "x-pointsman-trace-id"
CLOSING_S = 5.0
STOPS = "The server stops, and the model has not answered yet; try again in a moment."
BUSY = ("rate_limit", "spend_limit", "breaker_open")
UNASKED = Outcome(executed=False)  # nobody was asked, so there is nothing to learn
ANY = 10**9  # tokens of which nobody knows how many there are

Pieces = asyncio.Queue[Json | Reply | PointsmanError]


class Asked(msgspec.Struct, kw_only=True):
    """A call: who asks what, and which model answers; another one, by another decision, where the first one fails."""

    caller: Caller
    request: DecisionRequest
    body: Json
    ends: float  # by the monotonic clock
    began: float  # when this model was chosen
    model: Model
    trace_id: str | None  # None: the decision could not be journalled, and nothing is reported
    left: int = TRIES


class Chat:
    """Decides, asks and reports."""

    def __init__(
        self,
        models: Models,
        budgets: Budgets,
        plane: Plane,
        learning: Learning,
        conversations: Conversations,
        completions: Completions,
        clock: Clock,
        deadline_s: float,
    ) -> None:
        self.models, self.completions = models.usable, completions
        self._catalogue, self._resilience, self._budgets = models.catalogue, models.chatting, budgets
        self._plane, self._learning = plane, learning
        self._conversations, self._clock, self._deadline_s = conversations, clock, deadline_s
        self._errands = Errands()

    async def decide(self, caller: Caller, said: ChatBody, body: Json, size: int) -> Asked:
        """Choose a model, or take the one that is named; `body` has the fields that are not read, too, in `size` bytes.

        Raises:
          NoProvider, UnknownModel: there is no model, or none of this name.
          Unprocessable, ProviderBusy, BudgetExhausted: no model can take the call, or none for now.
        """
        if not self.models:
            raise NoProvider
        began = self._clock.monotonic()
        request = DecisionRequest(
            point="chat",
            task_id=conversation_of(caller.tenant, said),
            goal=said.text[:MAX_TEXT],
            context=facts_of(said, size) | {"user": said.user or ""},
            metadata=said.metadata or {},
            candidates=self._named(said.model),
        )
        answer = await self._plane.decide(caller, request)
        model = self.models[answer.action]
        return Asked(
            caller=caller,
            request=request,
            body=body,
            ends=began + self._deadline_s,
            began=began,
            model=model,
            trace_id=answer.trace_id,
        )

    def _named(self, name: str) -> tuple[Candidate, ...] | None:
        if name == AUTO:
            return None
        if (model := self.models.get(name)) is None:
            raise UnknownModel
        return (_candidate(model),)

    async def complete(self, asked: Asked) -> Completion:
        """The whole answer.

        Raises:
          CallRefused, ProviderBusy, ProviderFault, BudgetExhausted: there is none.
        """
        try:
            return await self._errands.finish(self._completed(asked))
        except asyncio.CancelledError:
            if (waiting := asyncio.current_task()) is not None and waiting.cancelling():
                raise
            raise Unavailable(STOPS) from None  # the call was ended, and who waits for it was not

    async def _completed(self, asked: Asked) -> Completion:
        while True:
            payer, key = self._payer(asked), key_of(asked.caller.tenant, asked.model.name, asked.body)
            try:
                completion = await self.completions.once(
                    key, partial(self._resilience.complete, *self._tries(asked, payer))
                )
            except ProviderFailed as failure:
                self._report(asked, self._failed(asked, payer))
                if not await self._instead(asked, failure):
                    raise self._told(asked, failure) from failure
            except PointsmanError:
                self._report(asked, self._failed(asked, payer))
                raise
            else:
                self._report(asked, UNASKED if completion.kept else self._answered(asked, payer))
                return completion

    async def stream(self, asked: Asked) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply; who leaves early leaves the rest to come in.

        Raises:
          CallRefused, ProviderBusy, ProviderFault, BudgetExhausted: it ended before the answer did, or there is none.
        """
        pieces: Pieces = asyncio.Queue()
        self._errands.begin(self._streamed(asked, pieces))
        while not isinstance(piece := await pieces.get(), Reply):
            if isinstance(piece, PointsmanError):
                raise piece
            yield piece
        yield piece

    async def _streamed(self, asked: Asked, pieces: Pieces) -> None:
        begun, payer = False, self._payer(asked)
        try:
            while True:
                try:
                    async for piece in self._pieces(asked, payer):
                        begun = True
                        pieces.put_nowait(piece)
                    return
                except ProviderFailed as failure:
                    self._report(asked, self._failed(asked, payer))
                    if begun or not await self._instead(asked, failure):
                        pieces.put_nowait(self._told(asked, failure))
                        return
                    payer = self._payer(asked)
        except PointsmanError as error:
            self._report(asked, self._failed(asked, payer))
            pieces.put_nowait(error)
        except asyncio.CancelledError:
            pieces.put_nowait(Unavailable(STOPS))
            raise
        except Exception:  # whoever waits must not wait for ever
            pieces.put_nowait(InternalError())
            raise

    async def _pieces(self, asked: Asked, payer: Payer) -> AsyncGenerator[Json | Reply, None]:
        """The chunks of one model; what came of it is reported before the last one goes out."""
        last = list[Reply]()
        async with aclosing(self._resilience.stream(*self._tries(asked, payer))) as coming:
            async for piece in coming:
                if isinstance(piece, Reply):
                    last.append(piece)
                else:
                    yield piece
        self._report(asked, self._answered(asked, payer))
        yield last[0]

    def _payer(self, asked: Asked) -> Payer:
        def most(model: Model) -> int:
            return call_at_most(model, asked.request.context, self._clock.now())

        of = spender(asked.caller.key_id, asked.request.context, asked.model)
        return Payer(self._budgets, self._catalogue, self._clock, asked.caller.tenant, of, most)

    def _tries(self, asked: Asked, payer: Payer) -> tuple[list[Route], Json, float, Through, int]:
        """How the model is asked: as often as leaves each other one a try, by the deadline of the whole call."""
        tries = max(1, asked.left - len(self._left(asked)))
        asked.left -= tries
        left_s = asked.ends - self._clock.monotonic()
        return [asked.model.route], asked.body, left_s, payer.through, tries

    def _left(self, asked: Asked) -> list[Model]:
        """The models that could answer in the place of the one that is asked."""
        named = asked.request.candidates
        among = self.models.values() if named is None else [self._catalogue.at(Route(c.provider, c.sku)) for c in named]
        return [of for of in among if of is not asked.model and self._resilience.lets_through(of.provider)]

    async def _instead(self, asked: Asked, failure: ProviderFailed) -> bool:
        """Have another model answer a call that one failed; whether there is one."""
        others = self._left(asked)
        over = failure.kind == "bad_request" or not others or asked.left < 1
        if over or not self._resilience.may_try_again():
            return False
        candidates = tuple([_candidate(model) for model in others])
        request = structs.replace(asked.request, candidates=candidates, previous_trace_id=asked.trace_id)
        try:
            answer = await self._plane.decide(asked.caller, request)
        except (Unprocessable, ProviderBusy, BudgetExhausted):  # none of them can; it stays with the failure
            return False
        asked.request, asked.trace_id, asked.model = request, answer.trace_id, self.models[answer.action]
        asked.began = self._clock.monotonic()
        return True

    async def close(self) -> None:
        """Wait a little for the calls under way and their reports; what takes longer ends with the process."""
        await self._errands.close(CLOSING_S)

    def _answered(self, asked: Asked, payer: Payer) -> Outcome:
        """What is seen of a call that was answered. What it is worth may be told yet, so the decision stays open."""
        self._conversations.note(asked.caller.tenant, asked.request.task_id or "", asked.model.name)
        cost = payer.nano_usd / float(NANO) if payer.sure else None
        return Outcome(latency_ms=self._took_ms(asked), cost=cost, failures=0, terminal=False)

    def _failed(self, asked: Asked, payer: Payer) -> Outcome:
        """What is seen of a call that failed: nothing where its own decision had no model asked."""
        return Outcome(latency_ms=self._took_ms(asked), failures=1) if payer.asked else UNASKED

    def _told(self, asked: Asked, failure: ProviderFailed) -> PointsmanError:
        """A failure as the caller is told of it."""
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


def facts_of(said: ChatBody, size: int) -> Json:
    """What the choice of a model rests on besides the text; of a body of so many bytes."""
    characters = sum(len(text_of(message.content)) for message in said.messages)
    most = max(said.max_completion_tokens or 0, said.max_tokens or 0)  # providers differ in which of them they heed
    parts = len(said.messages) + len(said.tools or ())
    return {
        "characters": characters,
        "tokens": characters // CHARACTERS + most,
        "turn": sum(message.role == "user" for message in said.messages),
        "tools": bool(said.tools),
        "input_at_most": ANY if _has_more_than_text(said) else size + parts * PER_PART_TOKENS + PER_CALL_TOKENS,
        "answer_at_most": most,
        "choices": said.n or 1,
    }


def _has_more_than_text(said: ChatBody) -> bool:
    """Whether there is what makes more tokens than bytes: pictures by their address, tools that a provider runs."""
    if not all(tool.get("type", "function") == "function" for tool in said.tools or ()):
        return True
    parts = [part for message in said.messages if isinstance(message.content, list) for part in message.content]
    return not all(isinstance(part, dict) and part.get("type") == "text" for part in parts)


def _candidate(model: Model) -> Candidate:
    return Candidate(provider=model.provider, sku=model.model)


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
