"""An SQLite VFS that writes down, in order, everything that changes a file or makes a change safe.

It rests on the system's own VFS, so that what is recorded is what SQLite really does; only the real syncs
are left out, for here nothing has to survive. A log opened for the first time syncs its folder with its
first sync: `unixSync` in SQLite's `os_unix.c` does, below this interface.
"""

from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import apsw
import msgspec

WITH_FOLDER = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
Kind = Literal["create", "write", "truncate", "sync", "unlink", "rename", "sync folder"]


class Operation(msgspec.Struct, frozen=True):
    """One step towards the disk; `folder`: the folder was synced with it; `to`: a renamed file's new name."""

    kind: Kind
    file: str
    at: int = 0
    data: bytes = b""
    folder: bool = False
    to: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.file}"


class Recorder(apsw.VFS):
    """Keeps `log`, the operations of every connection that is opened with it."""

    def __init__(self) -> None:
        self.log: list[Operation] = []
        self.vfs_name = f"recorder-{id(self)}"
        super().__init__(self.vfs_name, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.unregister()

    def note(self, operation: Operation) -> None:
        self.log.append(operation)

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> "RecordedFile":
        return RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, False)
        self.note(Operation("unlink", Path(filename).name, folder=syncdir))


class RecordedFile(apsw.VFSFile):
    """An open file whose changes the recorder is told of, after they have happened."""

    def __init__(self, recorder: Recorder, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name))
        fresh = not path.exists()
        super().__init__("", name, flags)
        self._recorder, self._file = recorder, path.name
        self._folder_due = bool(flags[0] & WITH_FOLDER)
        if fresh:
            recorder.note(Operation("create", self._file))

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._recorder.note(Operation("write", self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._recorder.note(Operation("truncate", self._file, newsize))

    def xSync(self, flags: int) -> None:
        self._recorder.note(Operation("sync", self._file, folder=self._folder_due))
        self._folder_due = False
