"""The words of a family: jobs, the ways a job is phrased, and the scenes it is found in.

Nothing here says how a command ends. A scene is a folder and what the agent's shell exports; the
command, really run in it, decides.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as it stands before the task. All paths are relative to the task's root."""

    cwd: str  # where the agent stands
    files: dict[str, str] = {}
    variables: dict[str, str] = {}  # what the agent's shell exports
    setup: str = ""  # shell lines that finish the folder, run in its root


class Phrase(NamedTuple):
    """One way to put a job: what it is for, and the command an agent would type."""

    goal: str
    command: str
    late: bool = False  # first heard in the second half of the stream


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Something to get done, in scenes drawn by their weights; `check` is run in the root and says whether it is."""

    phrases: tuple[Phrase, ...]
    scenes: tuple[tuple[int, Scene], ...]
    check: str


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that go wrong for the same reason.

    probe: shell lines that print `key=value`: what an agent can see beforehand.
    ways: what a troubleshooting script would try instead of a command, from what lies around it.
    """

    name: str
    jobs: tuple[Job, ...]
    probe: str
    ways: Callable[[Path, str], list[str]]
