"""What withholding finds out: planted memories that help, are inert or harm; how many are found, and when.

The plane and the fold are those that ship; the world alone is made up, so that the truth is known. Each plan has two
memories and a rate of success of its own, which every memory that an answer tells of moves by what it is worth.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from auditor import Outcome
from auditor.rewards import DEFAULT_WEIGHTS
from auditor.worth import BAND, Status
from controlplane.contract import CaptureRequest, DecisionRequest, GateAnswer
from controlplane.embedding import BatchingEmbedder, HashingEmbedder
from controlplane.settings import Settings
from controlplane.tenants import LOCAL

from .learning.shipped import Shipped, shipped

Kind = Literal["helps", "inert", "harms"]
COUNTS: dict[Kind, int] = {"helps": 160, "inert": 20, "harms": 20}
OF_A_PLAN = 2  # memories
EFFECTS: dict[Kind, tuple[float, float]] = {"helps": (0.05, 0.2), "inert": (0.0, 0.0), "harms": (-0.4, -0.15)}
RATES = (0.5, 0.6)  # of success without any
SURE = 0.02  # no plan is surer than this, either way
BEFORE = 10  # times that every plan ran before anything was remembered of it
LENGTHS = (5_000, 10_000, 20_000, 40_000)
SEED = 20_261_127
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Planted(msgspec.Struct):
    """A memory with what it is really worth, and what was found."""

    kind: Kind
    effect: float
    episode_id: int = 0
    exposures: int = 0  # draws of it
    found_after: int | None = None  # of these, until it was first called what it is
    called: set[Status] = msgspec.field(default_factory=set)  # whatever it ever was

    @property
    def falsely(self) -> set[Status]:
        """What it was called and is not. A small effect may be called inert."""
        right: set[Status] = {"unproven", self.kind}
        return self.called - (right | {"inert"} if abs(self.effect) <= BAND else right)

    def look(self, status: Status) -> None:
        self.exposures += 1
        self.called.add(status)
        if status == self.kind and self.found_after is None:
            self.found_after = self.exposures


class World:
    """Plans with a rate of success and memories of their own; a stream of tries, the same whatever is answered."""

    def __init__(self, seed: int, counts: dict[Kind, int]) -> None:
        self._rng = Random(seed)
        kinds = [kind for kind, count in counts.items() for _ in range(count)]
        self._rng.shuffle(kinds)
        memories = [Planted(kind, self._rng.uniform(*EFFECTS[kind])) for kind in kinds]
        self.plans = [memories[place : place + OF_A_PLAN] for place in range(0, len(memories), OF_A_PLAN)]
        self.rates = [self._rng.uniform(*RATES) for _ in self.plans]
        self.words = ["".join(self._rng.choices(LETTERS, k=12)) for _ in range(3 * len(self.plans))]

    @property
    def memories(self) -> list[Planted]:
        return [memory for plan in self.plans for memory in plan]

    def tries(self, length: int) -> Iterator[tuple[int, float]]:
        """(plan, the number that says how it ends)."""
        for _ in range(length):
            yield self._rng.randrange(len(self.plans)), self._rng.random()

    def asked(self, plan: int) -> DecisionRequest:
        verb, noun, tool = self.words[3 * plan : 3 * plan + 3]
        return DecisionRequest(goal=f"{verb} the {noun}", planned_action=f"{tool} {verb} {noun}")

    def failure(self, plan: int, place: int) -> CaptureRequest:
        asked = self.asked(plan)
        said = f"{self.words[3 * plan]} went wrong, {('first', 'second')[place]} way"
        return CaptureRequest(goal=asked.goal or "", planned_action=asked.planned_action or "", error_trace=said)

    def works(self, plan: int, number: float, told: Sequence[Planted]) -> bool:
        rate = self.rates[plan] + sum(memory.effect for memory in told)
        return number < min(1.0 - SURE, max(SURE, rate))


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand at one length of the stream; of each kind how many."""

    decisions: int
    exposures: float  # of a memory, the median
    found: dict[str, int]  # ever called what they are
    found_after: dict[str, float | None]  # exposures, the median of those that were found
    called_harmful: int  # though they are not
    called_helpful: int
    called_inert: int  # though they move the rate of success by more than the band
    worked: float  # of the decisions so far
    worked_without: float  # where nothing is ever withheld, on the same stream


class Played:
    """One run of a world through the plane and the fold."""

    def __init__(self, world: World, running: Shipped) -> None:
        self.world, self._running = world, running
        self.worked = list[bool]()

    async def remember(self) -> None:
        """Every plan runs a few times unadvised, and then its memories are captured."""
        for plan, memories in enumerate(self.world.plans):
            for time in range(BEFORE):
                worked = time < round(BEFORE * self.world.rates[plan])
                await self._ask(plan, Outcome(success=worked, applied_suggestion=False))
            for place, memory in enumerate(memories):
                memory.episode_id = await self._running.capture(self.world.failure(plan, place))

    async def go_on(self, tries: Iterator[tuple[int, float]]) -> None:
        """An agent takes every hint; who is let through has none."""
        for plan, number in tries:
            answer = await self._running.decide(self.world.asked(plan))
            assert isinstance(answer, GateAnswer)
            told = {episode.episode_id for episode in answer.supporting_episodes}
            worked = self.world.works(plan, number, [m for m in self.world.plans[plan] if m.episode_id in told])
            await self._running.report(str(answer.trace_id), Outcome(success=worked, applied_suggestion=bool(told)))
            self.worked.append(worked)
            self._look(plan)

    async def _ask(self, plan: int, outcome: Outcome) -> None:
        answer = await self._running.decide(self.world.asked(plan))
        await self._running.report(str(answer.trace_id), outcome)

    def _look(self, plan: int) -> None:
        fold = self._running.learner.state.of(LOCAL.tenant)
        for memory in self.world.plans[plan]:
            standing = fold.worth.standing(memory.episode_id)
            if standing.offered + standing.withheld > memory.exposures:
                memory.look(standing.status)


async def experiment(seed: int, counts: dict[Kind, int], lengths: Sequence[int]) -> list[Found]:
    """The world with what ships, beside the same one where nothing is withheld."""
    embedder, found = BatchingEmbedder(), list[Found]()
    await embedder.load(HashingEmbedder)
    try:
        with_it, without = Settings(seed=seed), Settings(seed=seed, withheld_share=0.0)
        weights = DEFAULT_WEIGHTS["gate"]
        async with (
            shipped(with_it, weights, embedder, "gate") as one,
            shipped(without, weights, embedder, "gate") as two,
        ):
            played = [Played(World(seed, counts), running) for running in (one, two)]
            for each in played:
                await each.remember()
            for length in lengths:
                for each in played:
                    await each.go_on(each.world.tries(length - len(each.worked)))
                found.append(_found(played[0], played[1]))
    finally:
        embedder.close()
    return found


def _found(played: Played, without: Played) -> Found:
    memories = played.world.memories
    by_kind = {kind: [m for m in memories if m.kind == kind] for kind in COUNTS}
    after = {kind: [m.found_after for m in of if m.found_after is not None] for kind, of in by_kind.items()}
    return Found(
        decisions=len(played.worked),
        exposures=statistics.median(m.exposures for m in memories),
        found={kind: len(those) for kind, those in after.items()},
        found_after={kind: statistics.median(those) if those else None for kind, those in after.items()},
        called_harmful=sum("harms" in m.falsely for m in memories),
        called_helpful=sum("helps" in m.falsely for m in memories),
        called_inert=sum("inert" in m.falsely for m in memories),
        worked=statistics.mean(played.worked),
        worked_without=statistics.mean(without.worked),
    )


def _show(found: Sequence[Found], counts: dict[Kind, int]) -> None:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    columns = ("decisions", "draws\nof each", *(f"{kind}\nof {count}" for kind, count in counts.items()))
    falsely = ("falsely\nharms", "falsely\nhelps", "falsely\ninert")
    for column in (*columns, *falsely, "worked", "none\nwithheld"):
        table.add_column(column, justify="right", no_wrap=True)
    for at in found:
        kinds = [_after(at.found[kind], at.found_after[kind]) for kind in counts]
        false = [str(at.called_harmful), str(at.called_helpful), str(at.called_inert)]
        rates = [f"{at.worked:.3f}", f"{at.worked_without:.3f}"]
        table.add_row(f"{at.decisions:,}", f"{at.exposures:g}", *kinds, *false, *rates)
    console = Console()
    console.print(table)
    console.print("In brackets: draws until half of those that were found were called what they are.")


def _after(found: int, after: float | None) -> str:
    return f"{found}" if after is None else f"{found} ({after:g})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worth", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="decisions at which to look")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    found = asyncio.run(experiment(arguments.seed, COUNTS, sorted(arguments.lengths)))
    if arguments.json:
        sys.stdout.write(json.dumps(msgspec.to_builtins({"seed": arguments.seed, "at": found}), indent=2) + "\n")
    else:
        _show(found, COUNTS)


if __name__ == "__main__":
    main()
