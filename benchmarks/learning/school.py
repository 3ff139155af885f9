"""Playing a world: decide, carry on, report when the reports are due; and how far that got."""

import random
from collections import deque
from typing import NamedTuple, Protocol

from auditor import Outcome
from controlplane.contract import Candidate, DecisionRequest
from controlplane.settings import Settings

from .shipped import Shipped, shipped
from .worlds import ARMS, World

TERM = "reward"  # the caller's own term, which alone is weighed here
CANDIDATES = tuple(Candidate(provider=arm, sku="1") for arm in ARMS)


class Report(NamedTuple):
    """What is to be told of a decision, and whether its task ended with it."""

    trace_id: str
    reward: float
    last: bool


class Player(Protocol):
    """Who goes to school."""

    async def choose(self, region: str, task: str) -> tuple[str, str]:
        """An arm, and the id to report it under."""
        ...

    async def hear(self, report: Report) -> None: ...


class Pupil:
    """The shipped plane and auditor."""

    def __init__(self, plane: Shipped) -> None:
        self._plane = plane

    async def choose(self, region: str, task: str) -> tuple[str, str]:
        asked = DecisionRequest(candidates=CANDIDATES, context={"region": region}, task_id=task)
        decided = await self._plane.decide(asked)
        assert decided.trace_id is not None
        return decided.action.partition("/")[0], decided.trace_id

    async def hear(self, report: Report) -> None:
        await self._plane.report(report.trace_id, Outcome(custom={TERM: report.reward}, terminal=report.last))


class Guesser:
    """Takes any arm, whatever it is told."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def choose(self, region: str, task: str) -> tuple[str, str]:
        return self._rng.choice(ARMS), task

    async def hear(self, report: Report) -> None:
        """Learn nothing."""


async def play(world: World, player: Player) -> float:
    """The share of the way from guessing to the best policy, over the second half of the tasks."""
    earned = guessed = possible = 0.0
    due: deque[list[Report]] = deque()
    for number in range(world.tasks):
        context, reports, worth = world.begin(), list[Report](), 0.0
        counts = number >= world.tasks // 2
        guessed += counts * world.guess(context)
        possible += counts * world.optimum(context)
        for step in range(world.steps):
            arm, trace_id = await player.choose(context["region"], str(number))
            last = step == world.steps - 1
            worth += world.worth(context, arm)
            reports.append(Report(trace_id, world.report(context, arm), last))
            if not last:  # it goes on once this step is told
                await player.hear(reports.pop())
                context = world.after(context, arm)
        earned += counts * worth
        due.append(reports)
        if len(due) > world.delay:
            for report in due.popleft():
                await player.hear(report)
    return (earned - guessed) / (possible - guessed)


async def learns(world: type[World], seed: int) -> float:
    """The score of the shipped plane and auditor, under the world's update rule."""
    settings = Settings(seed=seed, update_rule=world.update_rule)
    async with shipped(settings, {f"custom.{TERM}": world.weight}) as plane:
        return await play(world(seed), Pupil(plane))


async def guesses(world: type[World], seed: int) -> float:
    """The score of who guesses."""
    return await play(world(seed), Guesser(seed + 1))
