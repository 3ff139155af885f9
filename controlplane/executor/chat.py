"""Chatting: which of the catalogue's models answers a completion. It never abstains; it explores.

A conversation stays with the model that answered last, unless another one is worth the switch: whoever talks to a model
notices when it is another, and what its provider has cached is paid for again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cachetools import LRUCache

from auditor import PointRules
from auditor.fold import TenantFold
from auditor.guards import Facing
from auditor.money_events import Spender
from auditor.rewards import spent_value
from strategist import Eligible, HeadChoice, Policy, Situation, State

from ..budgets import Budgets
from ..contract import Candidate, DecisionRequest, RouteAnswer
from ..embedding import BatchingEmbedder
from ..errors import BudgetExhausted, NoProvider, PointsmanError, ProviderBusy, UnknownPrice, Unprocessable
from ..llm.catalogue import Model
from ..llm.models import Models
from ..llm.prices import Usage, at_most, cost_of
from . import texts
from .guarding import allowed_candidates
from .point import Acting, AskedPoint, Decided, Evidence, Executed, Features, explained, own_scalars, scalar

SWITCH = 0.1  # of reward by which another model has to be better than the one that the conversation is with
CHARACTERS = 4  # of a token, about
ANSWER_TOKENS = 500  # of an answer that nobody has seen yet, where its price is reckoned, unless it may not be as long
REMEMBERED = 100_000  # conversations
CONVERSATION = "conversation_id"  # the one key of metadata that says nothing about the work
PURPOSE = "chat"
NANO = 1e9


class Conversations:
    """Which model answered last, in the conversations of lately; a restart forgets."""

    def __init__(self) -> None:
        self._last: LRUCache[tuple[str, str], str] = LRUCache(REMEMBERED)

    def last(self, tenant: str, conversation: str | None) -> str | None:
        return None if conversation is None else self._last.get((tenant, conversation))

    def note(self, tenant: str, conversation: str, model: str) -> None:
        self._last[tenant, conversation] = model


class ChatEvidence(Evidence, kw_only=True):
    """The models, what the call asks of one, and what a call of each is reckoned to cost, in USD."""

    models: Mapping[str, Model]
    allowed: Eligible
    facing: Facing
    costs: dict[str, float]


class ChatPoint(AskedPoint[ChatEvidence]):
    """See the module."""

    name = "chat"
    heads = ("model",)

    def __init__(
        self, models: Models, budgets: Budgets, conversations: Conversations, embedder: BatchingEmbedder
    ) -> None:
        self.features = Features("chat.toml")
        self._models, self._usable, self._budgets = models.usable, models.chatting.lets_through, budgets
        self._conversations, self._embedder = conversations, embedder

    async def recall(self, fold: TenantFold, request: DecisionRequest, asker: str, now: float) -> ChatEvidence:
        if not self._models:
            raise NoProvider
        text = await texts.read(self.features, self._embedder, request.goal or "")
        asked = request.context
        last = self._conversations.last(fold.tenant, request.task_id)
        costs = _costs(self._models, _reckoned(asked), now)
        weight = fold.rules.points[self.name].weights.get("spent", 0.0)
        return ChatEvidence(
            facts={name: scalar(asked.get(name)) for name in ("characters", "tools", "turn")} | {"last": last},
            text_codes=text.codes,
            own_facts=own_scalars(request.metadata, (CONVERSATION,)),
            words=text.words,
            sketch=text.sketch,
            known={name: weight * spent_value(usd) for name, usd in costs.items()},
            degraded=text.degraded,
            models=self._models,
            allowed=self._able(fold.tenant, asker, request, now),
            facing=Facing(environment=asked),
            costs=costs,
        )

    def _able(self, tenant: str, asker: str, request: DecisionRequest, now: float) -> Eligible:
        """The models that can take the call, whose providers are there, and that the purse has room for.

        Raises:
          Unprocessable: no model can take it, or nobody knows what one would cost.
          ProviderBusy: all that could are out.
          BudgetExhausted: the purse has no room for any that could.
        """
        able = Eligible(actions=tuple(self._models))
        able = self._without(able, lambda model: _unable(model, request), Unprocessable)
        able = self._without(able, self._out, ProviderBusy)
        most = {name: _at_most(self._models[name], request, now) for name in able.actions}
        able = self._without(able, lambda model: _said(most[model.name]), UnknownPrice)
        offers = {name: (spender(asker, request.context, self._models[name]), most[name]) for name in able.actions}
        return self._without(able, lambda model: self._too_dear(tenant, model, *offers[model.name]), BudgetExhausted)

    def _without(
        self, able: Eligible, why_not: Callable[[Model], str | None], refusal: type[PointsmanError]
    ) -> Eligible:
        """Mask for a reason; where nothing is left, that is why the call is refused."""
        whys = {name: why for name in able.actions if (why := why_not(self._models[name])) is not None}
        for name, why in whys.items():
            able = able.without(name, why)
        if not able.actions:
            raise refusal(f"no model can take this call: {'; '.join(sorted(set(whys.values())))}")
        return able

    def _out(self, model: Model) -> str | None:
        return None if self._usable(model.provider) else f"{model.provider} failed too often and is left alone for now"

    def _too_dear(self, tenant: str, model: Model, of: Spender, most: int | UnknownPrice) -> str | None:
        assert isinstance(most, int), "what has no price is masked before"
        return self._budgets.masked(tenant, {model.tier: (of, most)}).get(model.tier)

    def eligible(
        self, head: str, evidence: ChatEvidence, acting: Acting, state: State, taken: Sequence[HeadChoice]
    ) -> Eligible:
        allowed = allowed_candidates(evidence.allowed, acting.rules.guards, evidence.facing)
        return _worth_it(allowed, acting.policy, state, evidence)

    def passing(self, request: DecisionRequest, evidence: ChatEvidence, rules: PointRules) -> Eligible:
        allowed = allowed_candidates(evidence.allowed, rules.guards, evidence.facing)
        return Eligible(actions=allowed.actions[:1], masked=allowed.masked)

    async def execute(self, evidence: ChatEvidence, request: DecisionRequest, taken: Sequence[HeadChoice]) -> Executed:
        return Executed(record={"chosen": _candidate(evidence, taken[0].action)})

    def answer(self, evidence: ChatEvidence, executed: Executed, decided: Decided) -> RouteAnswer:
        choice = decided.heads[0]
        return RouteAnswer(
            task_id=decided.request.task_id,
            point=self.name,
            action=choice.action,
            chosen=executed.record["chosen"],
            score=choice.q_value,
            trace_id=decided.trace_id,
            propensity=decided.propensity,
            policy_version=decided.policy_version,
            explanations=explained(choice, choice.state.chains[-1][-1], decided),
            degraded=evidence.degraded,
        )


def _unable(model: Model, request: DecisionRequest) -> str | None:
    """Why a model cannot take the call, or is not asked for."""
    named, tokens = request.candidates, number(request.context, "tokens")
    if named is not None and (model.provider, model.model) not in [(one.provider, one.sku) for one in named]:
        return "it is not among the candidates"
    if tokens > model.context_tokens:
        return f"about {tokens} tokens are more than it takes"
    return "it takes no tools" if request.context.get("tools") is True and not model.tools else None


def _worth_it(allowed: Eligible, policy: Policy, state: State, evidence: ChatEvidence) -> Eligible:
    """The model of the conversation, and those that are worth the switch; all, where it begins."""
    last, actions = evidence.facts["last"], allowed.actions
    if last not in actions:
        return allowed
    known = tuple([evidence.known.get(action, 0.0) for action in actions]) if evidence.known else ()
    values = dict(zip(actions, policy.values(Situation(state, actions, None, known)), strict=True))
    for action in actions:
        if action != last and values[action] - values[last] < SWITCH:
            allowed = allowed.without(action, f"the conversation is with {last}, and this is not worth the switch")
    return allowed


def _reckoned(asked: Mapping[str, Any]) -> Usage:
    """What a call is going to use, about: the characters that are sent, and no longer an answer than it may have."""
    answer = number(asked, "answer_at_most") or ANSWER_TOKENS
    return Usage(
        input_tokens=max(number(asked, "characters") // CHARACTERS, 1), output_tokens=min(ANSWER_TOKENS, answer)
    )


def _costs(models: Mapping[str, Model], reckoned: Usage, now: float) -> dict[str, float]:
    """What a call of each model is reckoned to cost [USD]; nothing unless all prices are known."""
    costs = {model.name: cost_of(model, reckoned, now) for model in models.values()}
    known = {name: nano_usd / NANO for name, nano_usd in costs.items() if nano_usd is not None}
    return known if len(known) == len(costs) else {}


def spender(asker: str, asked: Mapping[str, Any], model: Model) -> Spender:
    """Who spends on a call: the key that asks, and the user it says it asks for."""
    user = str(asked.get("user") or "")
    return Spender(model=model.name, tier=model.tier, purpose=PURPOSE, agent=asker, user=user)


def call_at_most(model: Model, asked: Mapping[str, Any], now: float) -> int:
    """What one try of a call may cost [nano-USD].

    Raises:
      UnknownPrice: nobody knows.
    """
    given, answered = number(asked, "input_at_most"), number(asked, "answer_at_most") or None
    return at_most(model, given, answered, now, max(number(asked, "choices"), 1))


def _at_most(model: Model, request: DecisionRequest, now: float) -> int | UnknownPrice:
    try:
        return call_at_most(model, request.context, now)
    except UnknownPrice as error:
        return error


def _said(most: int | UnknownPrice) -> str | None:
    return str(most) if isinstance(most, UnknownPrice) else None


def _candidate(evidence: ChatEvidence, action: str) -> Candidate:
    model = evidence.models[action]
    return Candidate(provider=model.provider, sku=model.model, expected_cost=evidence.costs.get(action))


def number(asked: Mapping[str, Any], name: str) -> int:
    """A whole number of a context, or 0: a context may hold anything."""
    value = asked.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
