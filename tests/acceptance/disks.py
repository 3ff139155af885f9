"""Disks that can be filled: a small file system of one's own where that is allowed, else a limit on files' size."""

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

BLOCK = bytes(4096)
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec sleep 3600'


class Disk(Protocol):
    """Where a server's data lie, and what fills and frees it."""

    name: str
    folder: Path  # as the test sees it
    within: Sequence[str]  # what a server's command is started by

    def fill(self, server: int) -> None: ...

    def free(self, server: int) -> None: ...

    def close(self) -> None: ...


class SmallFileSystem:
    """A tmpfs in a user and mount namespace, held by a process that sleeps; servers are started into it."""

    name = "tmpfs in a namespace of its own"

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir()
        command = ["unshare", "-Urm", "sh", "-c", MOUNT, "sh", size, str(folder)]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._holder.stdout is not None
        self.mounted = self._holder.stdout.readline() == "mounted\n"
        self.folder = Path(f"/proc/{self._holder.pid}/root{folder}")
        self.within = ("nsenter", "--preserve-credentials", "-U", "-m", "-t", str(self._holder.pid))

    def fill(self, server: int) -> None:
        """To the last block."""
        with (self.folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(BLOCK)

    def free(self, server: int) -> None:
        (self.folder / "filler").unlink()

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


class SmallFiles:
    """RLIMIT_FSIZE of the server's process: no file grows any more."""

    name = "RLIMIT_FSIZE"
    within: Sequence[str] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: int) -> None:
        resource.prlimit(server, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def free(self, server: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # the limit ended with the process
            resource.prlimit(server, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self) -> None:
        """Nothing is held."""


def small_disk(folder: Path, size: str) -> Disk:
    """The best kind this machine allows."""
    if shutil.which("unshare") and shutil.which("nsenter"):
        disk = SmallFileSystem(folder, size)
        if disk.mounted:
            return disk
        disk.close()
    return SmallFiles(folder)
