"""Paying for calls of models: every try is held in the budgets before it is made, then settled, let go or lost."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from msgspec import structs

from auditor.money_events import Spender

from .budgets import Budgets, Reservation
from .clock import Clock
from .llm.catalogue import Catalogue, Model
from .llm.prices import charge, instead, used
from .llm.provider import Call, Json, Provider, ProviderFailed, Reply, Route

MostOf = Callable[[Model], int]


class Payer:
    """Pays for the tries of one call; `at_most` is what one of them may cost [nano-USD].

    The spender's model and tier are those of the try.
    """

    def __init__(
        self, budgets: Budgets, catalogue: Catalogue, clock: Clock, tenant: str, spender: Spender, at_most: MostOf
    ) -> None:
        self._budgets, self._catalogue, self._clock = budgets, catalogue, clock
        self._tenant, self._spender, self._at_most = tenant, spender, at_most
        self.asked = False  # a try was made
        self.nano_usd = 0  # charged so far
        self.sure = True  # nothing of it was charged whole because nobody knows what it cost

    def through(self, route: Route, provider: Provider) -> Provider:
        """The provider, whose calls are paid for."""
        return _Paid(self, self._catalogue.at(route), provider)

    @asynccontextmanager
    async def paying(self, model: Model) -> AsyncIterator[list[Reply]]:
        """Hold what a try may cost while it is made; its reply is told by appending it.

        Raises:
          BudgetExhausted, UnknownPrice: it may not be made.
        """
        spender, most = structs.replace(self._spender, model=model.name, tier=model.tier), self._at_most(model)
        held, replies = await self._budgets.reserve(self._tenant, spender, most), list[Reply]()
        self.asked = True
        try:
            yield replies
        except ProviderFailed as failure:
            await (self._lost(held) if failure.billed else self._budgets.release(held))
            raise
        except BaseException:  # the call goes on by itself, and nobody hears what it costs
            self._budgets.abandon(held)
            raise
        await self._settled(held, model, replies[0])

    async def _settled(self, held: Reservation, model: Model, reply: Reply) -> None:
        at, (usage, cost_usd) = self._clock.now(), used(reply.usage)
        cost = charge(model, held.nano_usd, cost_usd, usage, at)
        if cost.basis == "reservation":
            await self._lost(held)
            return
        self.nano_usd += cost.nano_usd
        await self._budgets.settle(held, cost, instead(self._catalogue, usage, at))

    async def _lost(self, held: Reservation) -> None:
        self.nano_usd, self.sure = self.nano_usd + held.nano_usd, False
        await self._budgets.lose(held)


class _Paid:
    """A provider whose calls somebody pays for."""

    def __init__(self, payer: Payer, model: Model, provider: Provider) -> None:
        self._payer, self._model, self._provider = payer, model, provider

    async def complete(self, call: Call) -> Reply:
        async with self._payer.paying(self._model) as replies:
            replies.append(await self._provider.complete(call))
        return replies[0]

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        async with self._payer.paying(self._model) as replies, aclosing(self._provider.stream(call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Reply):
                    replies.append(piece)
                yield piece
