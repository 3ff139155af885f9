"""What a disk may hold after a power cut: what was synced, and any part of what was not.

Syncing a file makes its content safe, syncing the folder makes names safe; nothing else does. Of the rest
each operation by itself may be lost, kept or torn, whatever came of the ones before it.
"""

import random
from collections.abc import Iterable, Mapping
from os.path import commonpath
from pathlib import PurePosixPath

import msgspec

from .recorder import Operation

SECTOR = 512  # bytes that are written whole or not at all
KEPT = (0.0, 0.1, 0.5, 0.9, 1.0)  # what share of the unsynced operations reach the disk, drawn once for a cut
TORN = (0.0, 0.3)


class Inode(msgspec.Struct):
    """A file without its name: its safe content, and the changes that are not safe yet."""

    content: bytearray
    unsynced: list[Operation] = []

    def sync(self) -> None:
        for operation in self.unsynced:
            apply(operation, self.content)
        self.unsynced = []


Renaming = dict[str, Inode | None]  # what names stand for, all of them or none


class Disk:
    """Follows the operations of one log; `after_cut` is one of the disks that a cut may leave."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._names = {name: Inode(bytearray(content)) for name, content in files.items()}
        self._safe_names: dict[str, Inode] = dict(self._names)
        self._renamings: list[Renaming] = []

    def follow(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            self._step(operation)

    def _step(self, operation: Operation) -> None:
        match operation.kind:
            case "create":
                self._rename({operation.file: Inode(bytearray())})
            case "unlink":
                self._rename({operation.file: None})
            case "rename":
                moved = [name for name in self._names if f"{name}/".startswith(f"{operation.file}/")]
                inodes = {operation.to + name.removeprefix(operation.file): self._names[name] for name in moved}
                self._rename(dict.fromkeys(moved) | inodes)
            case "sync folder":
                settled = [change for change in self._renamings if folder_of(change) == operation.file]
                rename(self._safe_names, settled)
                self._renamings = [change for change in self._renamings if change not in settled]
            case "sync":
                self._names[operation.file].sync()
            case _:
                self._names[operation.file].unsynced.append(operation)
        if operation.folder:
            rename(self._safe_names, self._renamings)
            self._renamings.clear()

    def _rename(self, change: Renaming) -> None:
        rename(self._names, [change])
        self._renamings.append(change)

    def after_cut(self, rng: random.Random) -> dict[str, bytes]:
        """Every file by its name."""
        kept, torn = rng.choice(KEPT), rng.choice(TORN)
        names = dict(self._safe_names)
        rename(names, (renaming for renaming in self._renamings if rng.random() < kept))
        files = {}
        for name, inode in names.items():
            content = bytearray(inode.content)
            for operation in inode.unsynced:
                if rng.random() < torn:
                    tear(operation, content, rng)
                elif rng.random() < kept:
                    apply(operation, content)
            files[name] = bytes(content)
        return files


def rename(names: dict[str, Inode], renamings: Iterable[Renaming]) -> None:
    """Let the names stand for what they stand for after the renamings; a removed name for nothing."""
    for change in renamings:
        for name, inode in change.items():
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode


def folder_of(change: Renaming) -> str:
    """The folder in which the names of a renaming stand: of a renamed folder's files, the one it stands in."""
    folders = {str(PurePosixPath(name).parent) for name in change}
    return folders.pop() if len(folders) == 1 else str(PurePosixPath(commonpath(folders)))


def apply(operation: Operation, content: bytearray) -> None:
    """The whole operation; a gap it leaves reads as zeros."""
    if operation.kind == "truncate":
        del content[operation.at :]
        return
    grow(content, operation.at)
    content[operation.at : operation.at + len(operation.data)] = operation.data


def tear(operation: Operation, content: bytearray, rng: random.Random) -> None:
    """Some sectors of a write, in no order; the file may have grown for the others all the same."""
    start, end = operation.at, operation.at + len(operation.data)
    if rng.random() < 0.5:
        grow(content, end)
    for sector in range(start - start % SECTOR, end, SECTOR):
        if rng.random() < 0.5:
            first, last = max(sector, start), min(sector + SECTOR, end)
            apply(Operation("write", operation.file, first, operation.data[first - start : last - start]), content)


def grow(content: bytearray, size: int) -> None:
    content.extend(bytes(max(0, size - len(content))))
