"""Gate tasks, order by order: ours with and without what held-back plans would have done; the peer sees all of them."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from vowpalwabbit import pyvw

from auditor import Outcome
from controlplane.embedding import BatchingEmbedder
from controlplane.executor.rule import PROCEED
from controlplane.settings import Settings
from controlplane.tenants import LOCAL

from .embedded import embedder_of
from .figures import Earned, paired, spread, tail
from .gating import TASKS, Gating, Planned
from .peers import words
from .shipped import Shipped, shipped

BEGIN = 20_261_128  # seed of the first order; settings were chosen on orders of other seeds
VW = "--loss_function logistic --link logistic -b 22 -q ea --ngram a2 -l 1"  # the best of 14 on orders of other seeds
HELD_BACK = Outcome(applied_suggestion=True)  # nobody says what was done instead


def play(data: Path, name: str, orders: int) -> dict[str, Any]:
    """Figures of a task over so many orders of its episodes."""
    return asyncio.run(_play(TASKS[name](data), orders))


async def _play(task: Gating, orders: int) -> dict[str, Any]:
    embedder = await embedder_of([plan.text for episode in task.episodes for plan in episode])
    earned: dict[str, list[Earned]] = {who: [] for who in ("ours", "ours_let_through", "vw_logistic")}
    try:
        with Progress(transient=True) as progress:
            bar = progress.add_task(task.name, total=3 * orders)
            for k in range(orders):
                plans = _order(task, k)
                for who, every in (("ours", True), ("ours_let_through", False)):
                    earned[who].append(await ours(task, plans, embedder, BEGIN + k, every=every))
                    progress.advance(bar)
                earned["vw_logistic"].append(vowpal(task, plans, BEGIN + k))
                progress.advance(bar)
    finally:
        embedder.close()
    plans = [plan for episode in task.episodes for plan in episode]
    failed = float(np.mean([plan.failed for plan in plans]))
    last_half = {who: spread([tail(each, 0.5) for each in every]) for who, every in earned.items()}
    return {
        "orders": orders,
        "plans": len(plans),
        "failed": round(failed, 4),
        "always_proceed": round(1.0 - failed - task.harm * failed, 4),
        "oracle": round(1.0 - failed, 4),
        "ours": last_half["ours"],
        "ours_let_through": last_half["ours_let_through"],
        "peers": {"vw_logistic": last_half["vw_logistic"]},
        "paired": {who: paired(earned[who], earned["vw_logistic"], 0.5) for who in ("ours", "ours_let_through")},
    }


def _order(task: Gating, number: int) -> list[Planned]:
    places = np.random.default_rng(BEGIN + number).permutation(len(task.episodes))
    return [plan for place in places for plan in task.episodes[place]]


def _worth(task: Gating, plan: Planned) -> float:
    """Of letting a plan go."""
    return -task.harm if plan.failed else 1.0


async def ours(task: Gating, plans: list[Planned], embedder: BatchingEmbedder, seed: int, *, every: bool) -> Earned:
    """The gate as shipped. `every`: the case store is also told how plans ended that were held back."""
    earned = np.zeros(len(plans))
    async with shipped(Settings(seed=seed), task.weights, embedder, "gate") as running:
        for place, plan in enumerate(plans):
            answer = await running.decide(plan.asked)
            goes = answer.action == PROCEED
            if not goes and every:
                await _observe(running, str(answer.trace_id), plan)
            await running.report(str(answer.trace_id), Outcome(success=not plan.failed) if goes else HELD_BACK)
            if plan.failed and (goes or every):
                await running.capture(plan.captured)
            earned[place] = _worth(task, plan) if goes else 0.0
    return earned


async def _observe(running: Shipped, trace_id: str, plan: Planned) -> None:
    """Tell the case store what nobody reported."""
    await running.learner.passed(running.journal.last_seq)
    fold = running.learner.state.of(LOCAL.tenant)
    decision = fold.credit.open[trace_id]
    fold.cases.observe(
        decision.namespace, decision.signature or "", decision.conditions, not plan.failed, decision.plan
    )


def vowpal(task: Gating, plans: list[Planned], seed: int) -> Earned:
    """Online logistic regression over the same words, which is told how every plan ended."""
    learner = pyvw.Workspace(f"{VW} --quiet --random_seed {seed}")
    earned = np.zeros(len(plans))
    for place, plan in enumerate(plans):
        line = _example(plan)
        goes = learner.predict(line) < 1.0 / (1.0 + task.harm)
        earned[place] = _worth(task, plan) if goes else 0.0
        learner.learn(f"{1 if plan.failed else -1} {line}")
    learner.finish()
    return earned


def _example(plan: Planned) -> str:
    asked = plan.asked
    conditions = " ".join(f"{name}={'_'.join(words(str(value)))}" for name, value in asked.environment.items())
    before = str(asked.context.get("previous_error", ""))
    return f"|e {conditions} |a {' '.join(words(asked.planned_action or ''))} |p {' '.join(words(before))}"
