"""What a disk may hold after a power cut: what was synced, and any part of what was not.

Syncing a file makes its content safe, syncing the folder makes names safe; nothing else does. Of the rest
each operation by itself may be lost, kept or torn, whatever came of the ones before it.
"""

import random
from collections.abc import Iterable, Mapping

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


class Disk:
    """Follows the operations of one log; `after_cut` is one of the disks that a cut may leave."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._names = {name: Inode(bytearray(content)) for name, content in files.items()}
        self._safe_names: dict[str, Inode] = dict(self._names)
        self._renamings: list[tuple[str, Inode | None]] = []

    def follow(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            self._step(operation)

    def _step(self, operation: Operation) -> None:
        match operation.kind:
            case "create":
                self._names[operation.file] = Inode(bytearray())
                self._renamings.append((operation.file, self._names[operation.file]))
            case "unlink":
                del self._names[operation.file]
                self._renamings.append((operation.file, None))
            case "sync":
                self._names[operation.file].sync()
            case _:
                self._names[operation.file].unsynced.append(operation)
        if operation.folder:
            rename(self._safe_names, self._renamings)
            self._renamings.clear()

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


def rename(names: dict[str, Inode], renamings: Iterable[tuple[str, Inode | None]]) -> None:
    """Let the names stand for what they stand for after the renamings; a removed name for nothing."""
    for name, inode in renamings:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


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
