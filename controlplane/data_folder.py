"""The data folder: who holds it, which database it is used with, and what in it was made with a journal, so that none
is begun where one was lost."""

import contextlib
import fcntl
import os
import socket
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoints import CHECKPOINT_FOLDER, write_atomically
from .clock import Clock
from .errors import BadSetting, JournalDamaged
from .filesystems import magic_of, refuse_network
from .journal import SqliteJournal, connect
from .journal.soundness import reading
from .origin import ARCHIVE_FOLDER
from .settings import Settings
from .tenants.pepper import FILE as PEPPER_FILE

if TYPE_CHECKING:
    from .journal.postgres import PostgresJournal

JOURNAL_FILE, RECOVERY_FOLDER, LOCK_FILE = "journal.db", "recovery", "lock"
DATABASE_FILE = "database"  # has the mark of the one it is used with
WRITTEN = ("user_version", "schema_version", "application_id")  # all 0 as long as nothing is in a database
LATER = {"recovery files": RECOVERY_FOLDER, "checkpoints": CHECKPOINT_FOLDER, "archives": ARCHIVE_FOLDER}


def lock_folder(folder: Path) -> int:
    """Hold the data folder for this process; the descriptor that holds it.

    Raises:
      BadSetting: another Pointsman holds it, it cannot be written, or it lies on a network file system.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refuse_network(folder, magic_of(folder))
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadSetting(
            f"the data folder {folder} cannot be used: {error.strerror}; set POINTSMAN_DATA_DIR"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BadSetting(
            f"another Pointsman uses the data folder {folder}; stop it or set POINTSMAN_DATA_DIR"
        ) from error
    return descriptor


def claim(folder: Path, mark: bytes, *, copied: bool = False) -> None:
    """Note which database a folder is used with; `copied`: the journal that lies here was copied there.

    Raises:
      BadSetting: as `refuse_used` says.
    """
    refuse_used(folder, mark, copied=copied)
    if not (file := folder / DATABASE_FILE).exists():
        write_atomically(file, mark)


def refuse_used(folder: Path, mark: bytes, *, copied: bool = False) -> None:
    """Look whether a folder can be used with a database.

    Raises:
      BadSetting: it was used with another one, or with a journal of its own: what was learnt there is not of this one.
    """
    file = folder / DATABASE_FILE
    noted = file.read_bytes() if file.exists() else None
    own = (folder / JOURNAL_FILE).exists() or any((folder / RECOVERY_FOLDER).glob("*.fold"))
    if noted is None and own and not copied:
        raise BadSetting(
            f"the data folder {folder} has a journal of its own; copy it to the database with `pointsman migrate`, "
            "or set POINTSMAN_DATA_DIR to an empty folder"
        )
    if noted is not None and noted != mark:
        raise BadSetting(
            f"the data folder {folder} was used with another database; set POINTSMAN_DATA_DIR to an empty folder, "
            "or POINTSMAN_DATABASE_URL to that database"
        )


async def open_any(settings: Settings, clock: Clock) -> "SqliteJournal | PostgresJournal":
    """The journal that the settings name: the database's, or the folder's.

    Raises:
      BadSetting: PostgreSQL's extra is not installed.
      JournalDamaged, JournalUnavailable: as each of them says.
    """
    if settings.database_url is None:
        return await open_journal(Path(settings.data_dir))
    from .journal.postgres import PostgresJournal

    holder = f"{socket.gethostname()}:{settings.port}"
    return await PostgresJournal.open(settings.database_url, clock, holder)


async def open_journal(folder: Path) -> SqliteJournal:
    """The folder's journal, begun where there was none.

    Raises:
      JournalDamaged: it is damaged, or lost.
      JournalUnavailable: it cannot be opened or migrated.
    """
    if not begun(folder / JOURNAL_FILE):
        refuse_new(folder, pepper=True)
    journal = await SqliteJournal.open(connect(folder / JOURNAL_FILE))
    try:
        if journal.last_seq == 0:
            refuse_new(folder, pepper=False)
    except JournalDamaged:
        await journal.close()
        raise
    return journal


def begun(file: Path) -> bool:
    """Whether anything is in a database; whose it is, and what is wrong with it, who opens it will tell."""
    if not file.exists() or file.stat().st_size == 0:
        return False
    try:
        with contextlib.closing(reading(file)) as database:
            return any(database.execute(f"PRAGMA {number}").fetchone()[0] for number in WRITTEN)
    except sqlite3.Error:
        return True


def refuse_new(folder: Path, *, pepper: bool) -> None:
    """Raises JournalDamaged where files are left of a journal that had events.

    A first start makes the tables, then the pepper, then the first event: a pepper tells of tables, the rest of events.
    """
    left = [name for name, kept in LATER.items() if any((folder / kept).glob("*"))]
    if pepper and (folder / PEPPER_FILE).exists():
        left.append("a pepper")
    if left:
        raise JournalDamaged(f"it is empty, but there are {' and '.join(left)}; to begin anew, move them away")
