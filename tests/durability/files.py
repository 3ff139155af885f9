"""Writes down, in order, what Python code does to the files of a folder on its way to the disk.

Content is noted where it is synced: a file that is not synced before it gets its name is empty after a cut.
"""

import builtins
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .recorder import Operation


@contextmanager
def recorded(folder: Path) -> Iterator[list[Operation]]:
    """The steps, while they are made; names are relative to the folder."""
    log: list[Operation] = []
    with pytest.MonkeyPatch.context() as instead:
        Files(folder, log).watch(instead)
        yield log


class Files:
    """The functions that change files or make a change safe, each followed by a note."""

    def __init__(self, folder: Path, log: list[Operation]) -> None:
        self._folder, self._log = folder, log
        self._open, self._fsync, self._unlink = io.open, os.fsync, os.unlink

    def watch(self, instead: pytest.MonkeyPatch) -> None:
        for module in (io, builtins):
            instead.setattr(module, "open", self._opened)
        instead.setattr(os, "fsync", self._synced)
        instead.setattr(os, "unlink", self._unlinked)
        for name in ("rename", "replace"):
            instead.setattr(os, name, self._renaming(getattr(os, name)))

    def _note(self, path: Any, make: Any) -> None:
        if Path(path).is_relative_to(self._folder):
            self._log.append(make(str(Path(path).relative_to(self._folder))))

    def _opened(self, path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        fresh = "w" in mode and not isinstance(path, int) and not Path(path).exists()
        file = self._open(path, mode, *rest, **named)
        if fresh:
            self._note(path, lambda name: Operation("create", name))
        return file

    def _synced(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._note(path, lambda name: Operation("sync folder", name))
            return
        with self._open(path, "rb") as file:
            content = file.read()
        if str(path.relative_to(self._folder)) not in {step.file for step in self._log}:
            self._note(path, lambda name: Operation("create", name))  # by SQLite
        self._note(path, lambda name: Operation("truncate", name))
        self._note(path, lambda name: Operation("write", name, data=content))
        self._note(path, lambda name: Operation("sync", name))

    def _unlinked(self, path: Any, *rest: Any, **named: Any) -> None:
        self._unlink(path, *rest, **named)
        self._note(path, lambda name: Operation("unlink", name))

    def _renaming(self, real: Any) -> Any:
        def renamed(source: Any, target: Any) -> None:
            real(source, target)
            to = str(Path(target).relative_to(self._folder))
            self._note(source, lambda name: Operation("rename", name, to=to))

        return renamed
