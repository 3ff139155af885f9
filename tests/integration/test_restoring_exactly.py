"""A restore is exact: from the same checkpoint, with the same seed, the same decisions are made and learnt from."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from auditor import Outcome
from auditor.events import Decided
from controlplane.clock import FixedClock
from controlplane.contract import Candidate, CaptureRequest, CheckpointRequest, DecisionRequest, FeedbackRequest
from controlplane.service import Service
from controlplane.tenants import LOCAL

from .conftest import chosen

DECISIONS = 1000
PLACES = tuple(Candidate(provider=name, sku="s") for name in "abc")
GOALS = ("translate a text", "prove a theorem", "sum a column", "draw a map of the rails")
PLANS = ("git push", "make test", "pytest -q", "npm ci")
Made = list[tuple[Any, float | None]]  # of each decision its heads, and its reward where it was reported on


@asynccontextmanager
async def opened(folder: Path, seed: int) -> AsyncIterator[Service]:
    service = await Service.open(chosen(folder, seed=seed, epsilon=None), FixedClock())
    try:
        await service.loaded()
        yield service
    finally:
        await service.close()


def outcome_of(action: str, rng: random.Random) -> Outcome:
    """What comes of an action hangs on it and on the stream, so one other decision changes all that follow."""
    luck = rng.random()
    return Outcome(success=luck < 0.3 + len(action) / 20, latency_ms=300.0 * luck, applied_suggestion=luck < 0.5)


async def live(service: Service, rng: random.Random, times: int) -> Made:
    """Decide so many times, at both points, over tasks of a few steps, and report on most."""
    first, rewards = service.journal.last_seq, list[float | None]()
    for number in range(times):
        where = {"task_id": f"task {number // 4}", "namespace": rng.choice(("", "n"))}
        if rng.random() < 0.5:
            asked = DecisionRequest(
                goal=rng.choice(GOALS), candidates=PLACES, context={"region": rng.choice("us")}, **where
            )
        else:
            asked = DecisionRequest(planned_action=rng.choice(PLANS), environment={"ci": rng.random() < 0.5}, **where)
        made = await service.plane.decide(LOCAL, asked)
        assert made.trace_id is not None
        told = FeedbackRequest(trace_id=made.trace_id, outcome=outcome_of(made.action, rng))
        rewards.append((await service.learning.feedback(LOCAL, told)).reward if rng.random() < 0.6 else None)
    events = [r.event for r in await service.journal.read(first, service.journal.last_seq)]
    heads = [event.trace.heads for event in events if isinstance(event, Decided)]
    return list(zip(heads, rewards, strict=True))


async def test_after_a_restore_the_same_thousand_decisions_are_made_with_the_same_seed(
    tmp_path: Path, seed: int
) -> None:
    async with opened(tmp_path, seed) as service:
        for plan in PLANS:
            failed = CaptureRequest(goal="", planned_action=plan, error_trace=f"{plan}: no", resolution=f"{plan} -f")
            await service.remembering.capture(LOCAL, failed)
        await live(service, random.Random(seed), 100)
        kept = (await service.lifecycle.create(LOCAL, CheckpointRequest())).checkpoint_id
    async with opened(tmp_path, seed + 1) as service:
        made = await live(service, random.Random(seed + 2), DECISIONS)
        learnt = service.learner.state.dump_tenant("default")
    async with opened(tmp_path, seed + 1) as service:
        assert service.learner.state.dump_tenant("default") == learnt, "it goes on from what was learnt"
        assert len(service.learner.state.of("default").policies["route"].action_values.neighbours) > DECISIONS / 5
        await service.lifecycle.restore(LOCAL, kept)
        again = await live(service, random.Random(seed + 2), DECISIONS)

    assert len(made) == DECISIONS
    assert again == made
    assert {head.exploration for heads, _ in made for head in heads} >= {"explore", "exploit"}
    assert len({head.action for heads, _ in made for head in heads}) > 4
