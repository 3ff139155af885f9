"""Real tasks, order by order: ours, the peers, the twin that sees every outcome, and what a fixed choice would earn."""

import asyncio
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.progress import Progress, track

from controlplane.embedding import BatchingEmbedder
from controlplane.settings import Settings
from strategist.exploration.rules import ExplorationName
from strategist.values import Estimates

from .embedded import embedder_of
from .figures import Earned, Order, paired, spread, tail
from .peers import PEERS
from .play import full_information, ours
from .routing import TASKS, Routing

BEGIN = 20_261_127  # seed of the first order; settings were chosen on orders of other seeds
TWINS = 2  # orders of the twin, which differ little
AFTER_SWAP = 0.2  # of the stream, over which the regret of a drift is counted
SLOW = {"mabwiser"}  # peers that are left out of long streams
LONG = 5000  # decisions


def play(data: Path, name: str, orders: int) -> dict[str, Any]:
    """Figures of a task over so many orders."""
    return asyncio.run(_play(data, name, orders))


async def _play(data: Path, name: str, orders: int) -> dict[str, Any]:
    drift = name.startswith("drift-")
    task = TASKS[name.removeprefix("drift-")](data)
    after = task.swapped() if drift else task
    embedder = await embedder_of(task.texts)
    try:
        earned = await _earned(task, after, embedder, orders)
        twins = [] if drift else [await full_information(task, embedder, _order(task, k)) for k in range(TWINS)]
    finally:
        embedder.close()
    if drift:
        return _regrets(task, after, earned, orders)
    fixed = task.utilities.mean(axis=0)
    figures = {who: _figures(each) for who, each in earned.items()}
    mine, twin = figures.pop("ours"), _figures(twins)
    return {
        "orders": orders,
        "ours": mine,
        "peers": figures,
        "full_information": twin,
        "share_of_the_way": _share(mine["online"][0], float(fixed.max()), twin["online"][0]),
        "fixed": {"random": round(float(fixed.mean()), 4), "best": round(float(fixed.max()), 4)},
        "oracle": round(float(task.utilities.max(axis=1).mean()), 4),
        "difference": {who: _ahead(earned["ours"], each) for who, each in earned.items() if who != "ours"},
    }


def sweep(data: Path, name: str, orders: int) -> dict[str, Any]:
    """The task under every exploration and every kind of estimates, best first: what its own best settings would be."""
    return asyncio.run(_sweep(TASKS[name](data), orders))


async def _sweep(task: Routing, orders: int) -> dict[str, Any]:
    embedder, found = await embedder_of(task.texts), dict[str, dict[str, tuple[float, float]]]()
    settings = [*product(get_args(ExplorationName), get_args(Estimates))]
    try:
        for exploration, estimates in track(settings, task.name, transient=True):
            earned = [
                await ours(
                    task,
                    task,
                    embedder,
                    _order(task, k),
                    Settings(seed=BEGIN + k, exploration=exploration, estimates=estimates),
                )
                for k in range(orders)
            ]
            found[f"{exploration} {estimates}"] = _figures(earned)
    finally:
        embedder.close()
    return {"orders": orders, "settings": dict(sorted(found.items(), key=lambda of: -of[1]["online"][0]))}


async def _earned(task: Routing, after: Routing, embedder: BatchingEmbedder, orders: int) -> dict[str, list[Earned]]:
    peers = {who: peer for who, peer in PEERS.items() if len(task.texts) < LONG or who not in SLOW}
    earned: dict[str, list[Earned]] = {"ours": [], **{who: [] for who in peers}}
    with Progress(transient=True) as progress:
        bar = progress.add_task(task.name, total=orders * len(earned))
        for k in range(orders):
            order = _order(task, k)
            earned["ours"].append(await ours(task, after, embedder, order, Settings(seed=BEGIN + k)))
            progress.advance(bar)
            for who, peer in peers.items():
                earned[who].append(peer(task, after, order, BEGIN + k))
                progress.advance(bar)
    return earned


def _order(task: Routing, number: int) -> Order:
    return np.random.default_rng(BEGIN + number).permutation(len(task.texts))


def _figures(earned: list[Earned]) -> dict[str, tuple[float, float]]:
    """(mean, standard deviation over orders) of the utility of a decision."""
    return {
        "online": spread([tail(each, 0.0) for each in earned]),
        "last_half": spread([tail(each, 0.5) for each in earned]),
    }


def _share(mine: float, fixed: float, twin: float) -> float | None:
    """Of the way from the best fixed choice to the twin; None where the twin is not ahead of that."""
    return round((mine - fixed) / (twin - fixed), 2) if twin > fixed else None


def _ahead(mine: list[Earned], theirs: list[Earned]) -> dict[str, tuple[float, float]]:
    """How much more is earned than by the peer."""
    return {"online": paired(mine, theirs, 0.0), "last_half": paired(mine, theirs, 0.5)}


def _regrets(task: Routing, after: Routing, earned: dict[str, list[Earned]], orders: int) -> dict[str, Any]:
    """Regret a decision, to the better candidate of the second half, over the stretch that follows the swap."""
    best = float(after.utilities.mean(axis=0).max())
    length = len(task.texts)
    begin, end = (length + 1) // 2, (length + 1) // 2 + int(AFTER_SWAP * length)
    regrets = {who: spread([best - float(each[begin:end].mean()) for each in every]) for who, every in earned.items()}
    mine = regrets.pop("ours")
    ratios = {who: round(mine[0] / theirs[0], 3) for who, theirs in regrets.items()}
    return {"orders": orders, "ours": mine, "peers": regrets, "ratio": ratios}


NAMES = [*TASKS, "drift-bfcl-2", "drift-routellm-text", "drift-routellm-domain"]
