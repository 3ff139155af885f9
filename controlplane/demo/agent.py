"""The scripted agent: it asks, obeys, runs the command for real, reports, remembers, and tries again.

Obeying means: PROCEED runs the command; HINT follows the quoted fix as often as a seeded coin says and else
runs the command; REWRITE runs the suggestion; BLOCK runs nothing and looks for another way, which costs a step.
A fix that already failed in this task is not tried twice: the agent goes on with its own plan then.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Protocol, Self

import msgspec

from .gate import Answer, Gate, Question
from .stream import Task, family_of
from .world import Ran, World

MAX_DECISIONS = 4  # per task; then the agent gives up
HINT, REWRITE, BLOCK = "HINT", "REWRITE", "BLOCK"
WITHHOLDING = (REWRITE, BLOCK)  # a heeded HINT is the agent's own choice: nothing was held back


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of a task and what came of it."""

    task: int  # its place in the stream
    task_id: str
    family: str
    planned: str
    environment: dict[str, str]
    verdict: str
    trace_id: str | None
    ran: str | None  # the command that really ran; None when it was blocked
    exit_code: int | None
    worked: bool
    withheld_would_work: bool | None  # what the withheld command, run in a copy, did; None when none was withheld

    @property
    def false_block(self) -> bool:
        """A command was held back that would have worked."""
        return bool(self.withheld_would_work)

    @property
    def wasted(self) -> int:
        """1 for a command that ran and failed, and for a step lost to a false block; a step is lost once."""
        return int((self.ran is not None and not self.worked) or self.false_block)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A command that failed in this task, as it is captured."""

    command: str
    error: str
    environment: dict[str, str]
    answer: Answer


class Ground(Protocol):
    """A task's folder, as its agent deals with it."""

    def look(self) -> dict[str, str]:
        """What is seen before acting."""
        ...

    def ways(self) -> list[str]:
        """What the agent's own troubleshooting finds, as things stand."""
        ...

    def run(self, command: str) -> Ran: ...

    def copy(self) -> Self:
        """The same folder elsewhere, to see what would have been."""
        ...


class Scratch:
    """The ground of a task in a world of its own."""

    def __init__(self, task: Task, world: World) -> None:
        self._task, self._world = task, world
        self._copies = 0

    def look(self) -> dict[str, str]:
        return self._world.probe(family_of(self._task).probe)

    def ways(self) -> list[str]:
        return family_of(self._task).ways(self._world.cwd, self._task.command)

    def run(self, command: str) -> Ran:
        return self._world.run(command, self._task.check)

    def copy(self) -> "Scratch":
        self._copies += 1
        root = self._world.root
        return Scratch(self._task, self._world.copy(root.with_name(f"{root.name}-copy-{self._copies}")))


class Errand:
    """One task being worked on. Hints are followed with probability `follow`; the coin is the same with every gate."""

    def __init__(self, place: int, task: Task, ground: Ground, gate: Gate, *, seed: int, follow: float) -> None:
        self._place, self._task, self._ground, self._gate = place, task, ground, gate
        self._coin, self._follow = Random(f"follow {seed} {task.task_id}"), follow
        self._plans = self._own_plans()
        self._plan: str | None = next(self._plans)
        self._failures: list[Failure] = []
        self._tried: set[str] = set()

    def _own_plans(self) -> Iterator[str]:
        """The command as planned, then what the agent's own troubleshooting finds."""
        yield self._task.command
        yield from self._ground.ways()

    def run(self) -> list[Step]:
        """Work until the goal is reached, nothing is left to try, or patience ends."""
        steps: list[Step] = []
        while self._plan is not None and len(steps) < MAX_DECISIONS and not (steps and steps[-1].worked):
            steps.append(self._step(self._plan, last=len(steps) + 1 == MAX_DECISIONS))
        return steps

    def _step(self, plan: str, *, last: bool) -> Step:
        seen = self._ground.look()
        answer = self._gate.ask(
            Question(task_id=self._task.task_id, goal=self._task.goal, planned_action=plan, environment=seen)
        )
        command = self._obey(answer, plan)
        copy = self._ground.copy() if command != plan and answer.verdict in WITHHOLDING else None
        ran = None if command is None else self._ground.run(command)
        self._go_on(plan, command, ran)
        self._tell(answer, plan, command, ran, last=last)
        if ran is not None and command is not None:
            self._remember(answer, plan, command, ran, seen)
        return Step(
            task=self._place,
            task_id=self._task.task_id,
            family=self._task.family,
            planned=plan,
            environment=seen,
            verdict=answer.verdict,
            trace_id=answer.trace_id,
            ran=command,
            exit_code=None if ran is None else ran.exit_code,
            worked=ran is not None and ran.worked,
            withheld_would_work=None if copy is None else copy.run(plan).worked,
        )

    def _obey(self, answer: Answer, plan: str) -> str | None:
        """The command to run; None when the answer is to run none."""
        if answer.verdict == BLOCK:
            return None
        advised = answer.advice.command if answer.advice else None
        heeds = answer.verdict == REWRITE or (answer.verdict == HINT and self._coin.random() < self._follow)
        return advised if heeds and advised and advised not in self._tried else plan

    def _go_on(self, plan: str, command: str | None, ran: Ran | None) -> None:
        """A plan that failed or was blocked is done with; one set aside for advice is still there."""
        if ran is not None and ran.worked:
            return
        if command is not None:
            self._tried.add(command)
        if command is None or command == plan:
            self._plan = next(self._plans, None)

    def _tell(self, answer: Answer, plan: str, command: str | None, ran: Ran | None, *, last: bool) -> None:
        """Report the outcome. An obeyed BLOCK has none: only the end of the task is worth a report."""
        over = last or self._plan is None or bool(ran and ran.worked)
        if ran is None:
            if over:
                self._gate.report(answer, {"terminal": True})
            return
        outcome: dict[str, Any] = {"success": ran.worked, "latency_ms": ran.latency_ms, "terminal": over}
        if answer.verdict in (HINT, REWRITE):
            outcome["applied_suggestion"] = _applied(answer, command)
        self._gate.report(answer, outcome)

    def _remember(self, answer: Answer, plan: str, command: str, ran: Ran, seen: dict[str, str]) -> None:
        """Capture a failure; say whether advice held; once solved, keep what solved it, with the first failure."""
        advised = answer.advice.episode_id if answer.advice and _applied(answer, command) else None
        if advised is not None:
            self._gate.validate(advised, answer, worked=ran.worked)
        if not ran.worked:
            failure = Failure(command=command, error=ran.trace, environment=seen, answer=answer)
            self._failures.append(failure)
            self._gate.capture(answer, self._described(failure))
        elif self._failures:
            failure = self._failures[0]
            episode_id = self._gate.capture(failure.answer, {**self._described(failure), "resolution": command})
            if episode_id is not None and advised is None:
                self._gate.validate(episode_id, answer, worked=True)

    def _described(self, failure: Failure) -> dict[str, Any]:
        return {
            "task_id": self._task.task_id,
            "goal": self._task.goal,
            "planned_action": failure.command,
            "error_trace": failure.error,
            "environment": failure.environment,
        }


def _applied(answer: Answer, command: str | None) -> bool:
    """Whether the command that ran is the advised one."""
    return answer.verdict in (HINT, REWRITE) and answer.advice is not None and command == answer.advice.command


def work(place: int, task: Task, *, folder: Path, tools: Path, gate: Gate, seed: int, follow: float) -> list[Step]:
    """Build the task's folder and see the task through."""
    with World.build(folder / task.task_id, task.scene, tools) as world:
        return Errand(place, task, Scratch(task, world), gate, seed=seed, follow=follow).run()
