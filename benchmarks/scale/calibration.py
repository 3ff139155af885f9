"""What the model counts with, of what was measured: a cost at two sizes is one part paid once and one for each."""

import time
from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec

from strategist import Policy, PolicySettings, Situation, Step, Transition
from strategist.snapshot import PolicySnapshot

from .. import nearest
from ..strategist import ACTIONS, random_state
from .costs import GROUP, Costs
from .serving import CONNECTIONS

LEARNT = 5_000  # folds of random states, which make a few learnt states each
INDEXED = (1_000, 10_000)


def line(small: float, large: float, at_small: float, at_large: float) -> tuple[float, float]:
    """What is paid once and what for each, of a cost at two sizes; neither is less than nothing.

    >>> line(1, 256, 5.0, 260.0)
    (4.0, 1.0)
    """
    each = max(0.0, (at_large - at_small) / (large - small))
    return max(0.0, at_small - each * small), each


def costs_of(serving: Mapping[str, Any], database: Mapping[str, Any]) -> Costs:
    """The model's, from the medians."""
    taking, other = dict[str, tuple[float, float]](), dict[str, tuple[float, float]]()
    for kind in ("decision", "report"):
        single, many = (serving[f"{kind} x {connections}"] for connections in CONNECTIONS)
        shares = 1 / many["group"], 1 / single["group"]  # of a group that is paid by each call
        for side, into in (("taking", taking), ("other", other)):
            into[kind] = line(*shares, many[side]["median"], single[side]["median"])
    fold, wake = ((other["decision"][n] + other["report"][n]) / 2 for n in range(2))
    group = (taking["decision"][1] + taking["report"][1]) / 2
    held, cpu, read = database["held"], database["commit_cpu_s"], database["read_cpu_s"]
    of_commit = line(1, GROUP, held[1]["median"], held[GROUP]["median"])
    of_cpu, of_read = line(1, GROUP, cpu[1], cpu[GROUP]), line(1, GROUP, read[1], read[GROUP])
    return Costs(
        decide_s=max(0.0, taking["decision"][0] - other["decision"][0]),
        report_s=max(0.0, taking["report"][0] - other["report"][0]),
        fold_s=fold,
        group_s=max(0.0, group - wake),
        wake_s=wake,
        commit_s=of_commit[0],
        commit_event_s=of_commit[1],
        heard_s=max(0.0, database["heard"]["median"] - read[1]),
        read_s=of_read[0],
        read_event_s=of_read[1],
        commit_cpu_s=of_cpu[0],
        commit_event_cpu_s=of_cpu[1],
        event_bytes=serving["event_bytes"],
        connections=serving["connections"],
    )


def published() -> dict[str, float]:
    """Milliseconds and bytes of learnt state at rest, per 1,000 learnt states."""
    rng, policy = Random(1), Policy(PolicySettings())
    for _ in range(LEARNT):
        step = Step(Situation(random_state(rng), ACTIONS), rng.choice(ACTIONS))
        policy.fold(Transition.termination((step,), rng.random()))
    begun = time.process_time()
    encoded = msgspec.msgpack.encode(PolicySnapshot.of(policy, "spec"))
    took_s, thousands = time.process_time() - begun, len(policy.table) / 1000
    return {"ms": 1000 * took_s / thousands, "bytes": len(encoded) / thousands}


def indexed() -> dict[str, dict[str, float]]:
    """Microseconds of a search and of an addition by both indexes, at a few sizes."""
    vectors = nearest.clustered(INDEXED[-1] + nearest.QUERIES)
    return {str(size): nearest.compare(vectors[:size], vectors[-nearest.QUERIES :]) for size in INDEXED}
