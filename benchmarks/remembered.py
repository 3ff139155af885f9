"""Grounds of tasks on which every distinct case is really run once, and remembered.

The same command in the same folder after the same commands always ends the same way; a case is those three, the
folder taken without what decides nothing. A task that holds ports has none of it: their numbers are new each time.
"""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from controlplane.demo.agent import Scratch
from controlplane.demo.stream import Task
from controlplane.demo.world import Ran, World, lay_out_tools

TOLD = {"host": "HOSTNAME", "ci": "CI"}  # seen before acting, by the variable that says it; neither decides anything


class Cases:
    """What came of every case, found in a folder made for it. Several threads may ask."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._tools = folder, lay_out_tools(folder / "tools")
        self._known: dict[tuple[object, ...], Any] = {}
        self._numbers, self._one_at_a_time = count(), Lock()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, task: Task, before: tuple[str, ...], what: str, find: Callable[[Scratch], Any]) -> Any:
        """What is found in the task's folder after the commands before; `what` names it."""
        variables = {name: value for name, value in task.scene.variables.items() if name not in TOLD.values()}
        scene = msgspec.json.encode(msgspec.structs.replace(task.scene, variables=variables))
        case = (task.family, task.check, scene, before, what)
        with self._one_at_a_time:
            if case not in self._known:
                self._known[case] = self._found(task, before, find)
            return self._known[case]

    def _found(self, task: Task, before: tuple[str, ...], find: Callable[[Scratch], Any]) -> Any:
        folder = self._folder / f"case-{next(self._numbers)}"
        with World.build(folder, task.scene, self._tools) as world:
            ground = Scratch(task, world)
            for command in before:
                ground.run(command)
            return find(ground)


class RememberedGround:
    """A task's folder of which only the cases are known."""

    def __init__(self, task: Task, cases: Cases, before: tuple[str, ...] = ()) -> None:
        self._task, self._cases, self._before = task, cases, before

    def look(self) -> dict[str, str]:
        seen: dict[str, str] = self._cases.of(self._task, self._before, "look", Scratch.look)
        return seen | {key: self._task.scene.variables.get(variable, "") for key, variable in TOLD.items()}

    def ways(self) -> list[str]:
        found: list[str] = self._cases.of(self._task, self._before, f"ways {self._task.command}", Scratch.ways)
        return found

    def run(self, command: str) -> Ran:
        ran: Ran = self._cases.of(self._task, self._before, f"run {command}", lambda ground: ground.run(command))
        self._before += (command,)
        return ran

    def copy(self) -> "RememberedGround":
        return RememberedGround(self._task, self._cases, self._before)
