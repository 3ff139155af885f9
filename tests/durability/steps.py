"""The way to the disk in short, from a recorder's log and from system calls, so that the two can be compared."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from .recorder import Operation
from .system_calls import SYNCS, Call

STEPS = {"pwrite64": "write", "pwritev": "write", "ftruncate": "truncate"}


def steps_of_calls(made: Iterable[Call], folder: Path) -> list[tuple[str, str]]:
    """What happened to the database in this folder; writes in a row are one step, and so are syncs."""
    return list(_once(_steps(made, folder)))


def _steps(made: Iterable[Call], folder: Path) -> Iterator[tuple[str, str]]:
    there: set[str] = set()
    for call in made:
        file = Path(call.file)
        if call.result < 0 or folder not in (file, file.parent) or file.name.endswith("-shm"):
            continue
        name = "the folder" if file == folder else file.name
        if call.name in SYNCS:
            yield "sync", name
        elif call.name in STEPS:
            yield STEPS[call.name], name
        elif call.name == "unlink":
            there.discard(name)
            yield "unlink", name
        elif "O_CREAT" in call.arguments and name not in there:
            there.add(name)
            yield "create", name


def steps_of_log(log: Iterable[Operation]) -> list[tuple[str, str]]:
    """The same of what the recorder wrote down."""
    both = ([(step.kind, step.file), *([("sync", "the folder")] if step.folder else [])] for step in log)
    return list(_once(step for steps in both for step in steps))


def _once(steps: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    before = None
    for step in steps:
        if step != before:
            yield step
        before = step
