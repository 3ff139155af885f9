"""Spends money beside the requests, for no route does yet, and is billed by a provider that forgets nothing."""

import asyncio
from collections import Counter

from auditor.ledger import Ledger
from auditor.money_events import BudgetSet, Reconciled, Released, Reserved, Settled, Spender
from controlplane.errors import BudgetExhausted, StorageFull, Unavailable
from controlplane.llm.prices import Charge

from .world import PATIENCE_S, World

TENANTS, MODELS = ("default", "acme", "zeta"), (("cheap", "small"), ("premium", "big"))
MOST = 20_000_000  # nano-USD that a call may cost
THINK_S, ANSWER_S = (0.0, 0.01, 0.5, 2.0), (0.0, 0.001, 0.05, 1.0)
UNDER_WAY = 300  # events that may be committed between a check and the event it let in


class Spending:
    """Calls of models, one after the other; a crash ends one where it stands."""

    def __init__(self, world: World) -> None:
        self.world, self.rng, self.billed = world, world.rng, Counter[str]()

    async def one(self) -> None:
        """A call by whichever process is up; nothing more comes of it when that one dies."""
        await asyncio.sleep(self.rng.choice(THINK_S))
        await self.world.up.wait()
        task = self.world.loop.create_task(self._call(), name="spending")
        await asyncio.wait({task}, timeout=PATIENCE_S)

    async def _call(self) -> None:
        rng, budgets = self.rng, self.world.service.budgets
        tier, model = rng.choice(MODELS)
        spender = Spender(model=model, tier=tier, purpose="chat", agent=rng.choice(("", "ci")), user="")  # type: ignore[arg-type]
        try:
            held = await budgets.reserve(rng.choice(TENANTS), spender, rng.randrange(MOST))
        except (BudgetExhausted, StorageFull, Unavailable):
            return
        await asyncio.sleep(rng.choice(ANSWER_S))
        if rng.random() < 0.2:
            await budgets.release(held)
            return
        cost = self.billed[held.reservation_id] = rng.randrange(held.nano_usd + 1)
        await asyncio.sleep(rng.choice(ANSWER_S))
        if rng.random() < 0.2:
            await budgets.lose(held)
        else:
            await budgets.settle(held, Charge(cost, "usage"))

    async def wrong(self) -> list[str]:
        """I3: no limit is exceeded by what was let in, nothing stays held, and no less is spent than was billed."""
        ledger, charged, found = Ledger(), dict[str, int](), list[str]()
        for recorded in await self.world.journal.read(0, len(self.world.disk.rows)):
            event = recorded.event
            if not isinstance(event, Reserved | Settled | Released | Reconciled | BudgetSet):
                continue
            ledger.fold(recorded.seq, event)
            if isinstance(event, Reserved):
                over = [use for use in ledger.uses(event.tenant, event.spender, event.at) if use.left < 0]
                found += [f"I3: {use} at {recorded.seq}" for use in over if use.limit.seq < recorded.seq - UNDER_WAY]
            elif isinstance(event, Settled):
                charged[event.reservation_id] = event.nano_usd
            elif isinstance(event, Reconciled):
                charged[event.reservation_id] = self.billed.pop(event.reservation_id, 0)  # an operator knows the bill
        less = {name: cost for name, cost in self.billed.items() if charged.get(name, 0) < cost}
        found += [f"I3: {name} is charged {charged.get(name)} and was billed {cost}" for name, cost in less.items()]
        return found + [f"I3: {name} is still held" for name in ledger.held]
