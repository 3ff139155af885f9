"""What no route does in a server's first day, in the data folder that record.py played against and that is stopped.

Money is spent, and a memory nobody came back to is set aside until somebody does.

POINTSMAN_EMBEDDER=hashing python tests/durability/golden/spend.py DIR
"""

import asyncio
import random
import sys

import msgspec

from auditor.hygiene_events import EpisodesArchived
from auditor.money_events import Spender
from controlplane import settings
from controlplane.budgets import Budgets, Reservation
from controlplane.contract import BudgetRequest, ReconcileRequest, ValidateRequest
from controlplane.llm.prices import Charge, Counterfactual
from controlplane.service import Service
from controlplane.tenants.registry import LOCAL

SEED, CALLS = 20261126, 60
OPERATOR = "spend"
LIMITS = (("tenant", "acme", None, 1.0), ("model", None, "small", 0.8), ("agent", "acme", "ci", 0.01))


async def spend(folder: str) -> None:
    """Limits, calls of every end, one that is reconciled, and one that is under way when the server ends."""
    service = await Service.open(settings.load({}, overrides={"data_dir": folder, "embedder": "hashing"}))
    rng, budgets = random.Random(SEED), service.budgets
    for scope, tenant, name, usd in LIMITS:
        await set_limit(budgets, scope, tenant, name, usd)
    lost = [held for _ in range(CALLS) if (held := await call(budgets, rng)) is not None]
    await service.learner.passed(service.journal.last_seq)
    bill = ReconcileRequest(cost_usd=0.002, why="the bill")
    await budgets.reconcile(OPERATOR, lost[0].reservation_id, bill)
    await set_limit(budgets, "agent", "acme", "ci", None)
    await budgets.reserve("acme", spender(rng), 1_000_000)
    await come_back(service)
    await service.close()


async def come_back(service: Service) -> None:
    """A memory is archived, and its fix is validated."""
    await service.loaded()
    _, record = next(iter(service.memory.hygiene.everything("acme")))
    archived = EpisodesArchived(tenant="acme", at=service.clock.now(), episode_ids=(record.episode_id,))
    await service.learner.reached(await service.journal.append(archived))
    request = ValidateRequest(episode_id=record.episode_id, outcome="success")
    await service.learning.validate(msgspec.structs.replace(LOCAL, tenant="acme"), request)


async def set_limit(budgets: Budgets, scope: str, tenant: str | None, name: str | None, usd: float | None) -> None:
    why = "enough" if usd is not None else "more than enough"
    request = BudgetRequest(scope=scope, tenant=tenant, name=name, period="month", limit_usd=usd, why=why)  # type: ignore[arg-type]
    await budgets.set(OPERATOR, request)


def spender(rng: random.Random) -> Spender:
    tier, model = rng.choice((("cheap", "small"), ("premium", "big")))
    return Spender(
        model=model, tier=tier, purpose="chat", agent=rng.choice(("", "build")), user=rng.choice(("", "ann"))
    )  # type: ignore[arg-type]


async def call(budgets: Budgets, rng: random.Random) -> Reservation | None:
    """A call of any end; the reservation where it was lost."""
    tenant, nano_usd = rng.choice(("acme", "other")), rng.randrange(1, 20_000_000)
    held = await budgets.reserve(tenant, spender(rng), nano_usd)
    match rng.randrange(5):
        case 0:
            await budgets.release(held)
        case 1:
            await budgets.lose(held)
            return held
        case _:
            cost = rng.randrange(nano_usd + 1)
            await budgets.settle(held, Charge(cost, "usage"), Counterfactual(cost // 2, 3 * cost))
    return None


if __name__ == "__main__":
    asyncio.run(spend(sys.argv[1]))
