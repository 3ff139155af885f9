"""Gate tasks of `make bench-learning`: the gate as shipped learns what to hold back, which earns nothing."""

from collections.abc import AsyncIterator
from random import Random

import numpy as np
import pytest

from benchmarks.learning.gates import ours, vowpal
from benchmarks.learning.gating import Gating, Planned
from benchmarks.learning.shipped import shipped
from controlplane.contract import DecisionRequest
from controlplane.embedding import BatchingEmbedder, HashingEmbedder
from controlplane.settings import Settings

PLANS = 600


@pytest.fixture
async def embedder() -> AsyncIterator[BatchingEmbedder]:
    made = BatchingEmbedder()
    await made.load(HashingEmbedder)
    yield made
    made.close()


@pytest.fixture
def task(seed: int) -> Gating:
    """Queries that fail where they name a column there is not; half of them do."""
    rng = Random(seed)

    def plan(number: int) -> Planned:
        column = rng.choice(["name", "area", "iso", "gnp"])
        failed = column in ("iso", "gnp")
        action = f"SELECT {column} FROM t{rng.randrange(40)} WHERE x = {number}"
        asked = DecisionRequest(goal=f"question {number}", planned_action=action, environment={"db": "world"})
        return Planned(asked, failed, f"unknown column {column}" if failed else "")

    return Gating("made-up", 1.0, [[plan(number)] for number in range(PLANS)])


@pytest.mark.parametrize("every", [True, False])
async def test_the_gate_as_shipped_holds_back_what_fails(
    task: Gating, embedder: BatchingEmbedder, seed: int, every: bool
) -> None:
    plans = [plan for episode in task.episodes for plan in episode]
    earned = await ours(task, plans, embedder, seed, every=every)
    best = float(np.mean([not plan.failed for plan in plans[PLANS // 2 :]]))
    assert earned[PLANS // 2 :].mean() > 0.7 * best


def test_the_peer_is_told_how_every_plan_ended(task: Gating, seed: int) -> None:
    plans = [plan for episode in task.episodes for plan in episode]
    assert vowpal(task, plans, seed)[PLANS // 2 :].mean() > 0.9 * np.mean([not plan.failed for plan in plans])


async def test_what_learns_there_is_what_is_shipped_apart_from_the_rewards_weights(embedder: BatchingEmbedder) -> None:
    async with shipped(Settings(seed=1), {"outcome": 1.0, "failure": 2.0}, embedder, "gate") as made:
        assert made.settings.hash == Settings().hash
        assert made.rules.points["gate"].weights == {"outcome": 1.0, "failure": 2.0}
