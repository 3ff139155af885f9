"""A process that spends money in a data folder until it is killed: `python spender.py FOLDER SEED`.

It writes down, a line at a time and before it goes on, what was held, what its provider billed, and what was settled.
"""

import asyncio
import os
import random
import sys

from auditor.money_events import Spender
from controlplane import failpoints, settings
from controlplane.budgets import Budgets
from controlplane.contract import BudgetRequest
from controlplane.errors import BudgetExhausted
from controlplane.llm.prices import Charge
from controlplane.service import Service
from controlplane.telemetry import configure_logging

CALLERS, CALLS, MOST, LIMIT_USD = 8, 400, 10_000_000, 1.5
WHO = Spender(model="small", tier="cheap", purpose="chat", agent="ci")


def tell(*words: object) -> None:
    """To the pipe at once: what a killed process had told stays told."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def caller(budgets: Budgets, rng: random.Random, calls: int) -> None:
    """Calls one after the other, most of them settled, some released or lost."""
    for _ in range(calls):
        try:
            held = await budgets.reserve("default", WHO, rng.randrange(1, MOST))
        except BudgetExhausted:
            return
        tell("held", held.reservation_id, held.nano_usd)
        if rng.random() < 0.1:
            await budgets.release(held)
            tell("released", held.reservation_id, 0)
            continue
        cost = rng.randrange(held.nano_usd + 1)
        tell("billed", held.reservation_id, cost)
        await asyncio.sleep(rng.random() * 0.003)
        await budgets.settle(held, Charge(cost, "usage"))
        tell("settled", held.reservation_id, cost)


async def main(folder: str, seed: int) -> None:
    """Spend until everything is spent, or somebody ends it."""
    chosen = settings.load(overrides={"data_dir": folder})
    configure_logging(chosen.log_level)
    service = await Service.open(chosen)
    request = BudgetRequest(scope="tenant", tenant="default", period="month", limit_usd=LIMIT_USD, why="enough")
    await service.budgets.set("", request)
    failpoints.arm(chosen.failpoints or "")
    rngs = [random.Random(seed + number) for number in range(CALLERS)]
    await asyncio.gather(*(caller(service.budgets, rng, CALLS // CALLERS) for rng in rngs))
    await service.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
