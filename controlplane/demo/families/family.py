"""The words of a family: jobs, the ways a job is phrased, and the scenes it is found in.

Nothing here says how a command ends. A scene is a folder, what the agent's shell exports, and what
others hold on this machine meanwhile; the command, really run in it, decides.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

LOOK_AROUND = """
printf 'cwd=%s\\n' "${PWD##*/}"
printf 'host=%s\\n' "${HOSTNAME-}"
printf 'ci=%s\\n' "${CI-}"
"""


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port taken free from the system; its number is told as a line `name=number` in `file`.

    Where nobody answers, a connection is refused and a server may be started on it; where somebody
    answers, the port is in use.
    """

    name: str
    file: str
    answer: str | None = None  # what a service behind it says to everybody who connects


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's open transaction: an exclusive one shuts everybody out, an immediate one other writers only."""

    database: str
    kind: Literal["exclusive", "immediate"]
    wrote: str = ""  # what was written in it so far, in SQL; before the first write no journal lies beside the database


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as it stands before the task. All paths are relative to the task's root."""

    cwd: str  # where the agent stands
    files: dict[str, str] = {}
    variables: dict[str, str] = {}  # what the agent's shell exports
    path: tuple[str, ...] = ()  # folders that lead its search path
    setup: str = ""  # shell lines that finish the folder, run in its root
    ports: tuple[Port, ...] = ()
    locks: tuple[Lock, ...] = ()


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """What half of the tasks find besides, and what decides nothing."""

    files: dict[str, str] = {}  # where the agent stands
    variables: dict[str, str] = {}


class Phrase(NamedTuple):
    """One way to put a job: what it is for, and the command an agent would type."""

    goal: str
    command: str
    late: bool = False  # first heard in the second half of the stream


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Something to get done, in scenes dealt by their weights; `check` is run in the root and says whether it is."""

    phrases: tuple[Phrase, ...]
    scenes: tuple[tuple[int, Scene], ...]
    check: str


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that go wrong for the same reason.

    facts: shell lines that print `key=value`: what an agent on such a job would look at beforehand.
    aside: one of those facts, to no purpose.
    ways: what a troubleshooting script would try instead of a command, from what lies around it.
    """

    name: str
    jobs: tuple[Job, ...]
    ways: Callable[[Path, str], list[str]]
    facts: str
    aside: Aside

    @property
    def probe(self) -> str:
        """All that is seen before acting: what any agent prints, and what this kind of job suggests."""
        return LOOK_AROUND + self.facts
