"""The reflector: language models are asked what a captured failure teaches, once or from several sides.

Each try of a call is held in the tenant's budgets before it is made, and settled, released or charged whole after it.
"""

import asyncio
from typing import Generic, NamedTuple

import msgspec

from auditor.events import Episode
from auditor.money_events import Spender
from auditor.reflection_events import Insight
from auditor.skill_events import SkillText

from .budgets import Budgets
from .clock import Clock
from .errors import PointsmanError
from .llm.catalogue import Model
from .llm.models import Models
from .llm.prices import at_most, input_tokens_at_most
from .llm.prompts.library import Prompt
from .llm.provider import Json, ProviderFailed
from .llm.reflecting import SCHEMA, SKILL_SCHEMA, Form, NoReflection, delimited, record_of, taken
from .paying import Payer

PURPOSE = "reflection"
CALL_S = 30.0  # of a call, tries included; a premium reflection is two of them, one after the other
MOST_ANSWERED = 2000  # tokens
PLAIN = "the failure as a whole."
PERSPECTIVES = (
    "the action itself: what of it was wrong, missing, or asked too much.",
    "the place it ran in: what of its environment and preconditions made it fail.",
    "what it took for granted: what had happened before, or should have.",
)
ENOUGH = 2  # readings that a consensus is made of


def spender(model: Model, agent: str) -> Spender:
    """Who spends on a reflection: the key that has it made."""
    return Spender(model=model.name, tier=model.tier, purpose=PURPOSE, agent=agent)


class Made(NamedTuple):
    """A reflection, and where it is from."""

    insight: Insight
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    nano_usd: int


class Described(NamedTuple):
    """A skill in words, and where they are from."""

    text: SkillText
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    nano_usd: int


class _Said(NamedTuple, Generic[Form]):
    form: Form
    nano_usd: int


class Reflector:
    """Asks models, on the tenant's money; `agent` is the key whose limits bind a call, too."""

    def __init__(self, models: Models, budgets: Budgets, clock: Clock) -> None:
        self._models, self._budgets, self._clock = models, budgets, clock

    async def cheap(self, tenant: str, agent: str, model: Model, episode: Episode) -> Made:
        """One reading.

        Raises:
          NoReflection: no usable answer came, or the purse has no room.
        """
        prompt = self._models.prompts["reflection"]
        said = await self._read(tenant, agent, model, prompt, PLAIN, record_of(episode))
        return Made(said.form, (model.name,), (prompt.label,), said.nano_usd)

    async def premium(self, tenant: str, agent: str, model: Model, episode: Episode) -> Made:
        """Several readings, each from another side, and what they come to together.

        Raises:
          NoReflection: too few usable answers came, or the purse has no room.
        """
        prompt, consensus = self._models.prompts["reflection"], self._models.prompts["consensus"]
        record = record_of(episode)
        readings = (self._read(tenant, agent, model, prompt, side, record) for side in PERSPECTIVES)
        said, failed = list[_Said[Insight]](), list[NoReflection]()
        for reading in await asyncio.gather(*readings, return_exceptions=True):
            match reading:
                case NoReflection():
                    failed.append(reading)
                case BaseException():
                    raise reading
                case _:
                    said.append(reading)
        if len(said) < ENOUGH:
            raise failed[0]
        order = consensus.render(readings=len(said), schema=SCHEMA)
        weighed = {"failure": record, "readings": msgspec.to_builtins([reading.form for reading in said])}
        agreed = await self._ask(tenant, agent, model, order, delimited(weighed), Insight)
        spent = sum(reading.nano_usd for reading in said) + agreed.nano_usd
        return Made(agreed.form, (model.name,), (prompt.label, consensus.label), spent)

    async def describe(self, tenant: str, agent: str, model: Model, episode: Episode) -> Described:
        """The skill that an episode's fix became, in words.

        Raises:
          NoReflection: no usable answer came, or the purse has no room.
        """
        prompt = self._models.prompts["skill"]
        order = prompt.render(schema=SKILL_SCHEMA)
        said = await self._ask(tenant, agent, model, order, delimited(record_of(episode)), SkillText)
        return Described(said.form, (model.name,), (prompt.label,), said.nano_usd)

    def at_most(self, model: Model, episode: Episode) -> int:
        """What one try of a call about an episode may cost [nano-USD].

        Raises:
          UnknownPrice: nobody knows.
        """
        prompt = self._models.prompts["reflection"].render(perspective=PLAIN, schema=SCHEMA)
        return self._one(model, prompt, delimited(record_of(episode)))

    async def _read(
        self, tenant: str, agent: str, model: Model, prompt: Prompt, side: str, record: Json
    ) -> _Said[Insight]:
        order = prompt.render(perspective=side, schema=SCHEMA)
        return await self._ask(tenant, agent, model, order, delimited(record), Insight)

    async def _ask(self, tenant: str, agent: str, model: Model, order: str, data: str, form: type[Form]) -> _Said[Form]:
        """Raises NoReflection."""
        of_call = spender(model, agent)
        payer = Payer(
            self._budgets, self._models.catalogue, self._clock, tenant, of_call, lambda of: self._one(of, order, data)
        )
        messages = [{"role": "system", "content": order}, {"role": "user", "content": data}]
        body: Json = {"messages": messages, "max_completion_tokens": MOST_ANSWERED}
        try:
            reply = await self._models.reflecting.complete([model.route], body, CALL_S, payer.through)
        except (ProviderFailed, PointsmanError) as failure:
            raise NoReflection(str(failure)) from failure
        return _Said(taken(reply, form), payer.nano_usd)

    def _one(self, model: Model, order: str, data: str) -> int:
        return at_most(model, input_tokens_at_most([order, data], 2), MOST_ANSWERED, self._clock.now())
