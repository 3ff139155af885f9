"""`pointsman backup` and `restore`: a copy of everything that cannot be made again, checked before it counts.

A backup is a folder: the journal as one SQLite file as it was at one moment, the checkpoints and whatever else stands
beside it, and a manifest with the size and BLAKE2b digest of each file. It is made under another name and renamed
when it is whole and on disk. The server may run: one read transaction of SQLite's sees what was committed before.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from . import __version__
from .clock import Clock
from .data_folder import JOURNAL_FILE, LOCK_FILE, RECOVERY_FOLDER, lock_folder
from .errors import PointsmanError
from .journal.queries import QUERIES, migrations
from .journal.soundness import look_through, reading, schema_of
from .origin import look_at

MANIFEST, STAGING = "manifest.json", ".restoring"
PAGES = 256  # copied between two steps of the progress bar: 4 MB
CHUNK = 1 << 20
Progress = Callable[[int, int], None]  # done, of so many


class Kept(msgspec.Struct, frozen=True):
    """One file of a backup."""

    size: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds: everything up to event `seq`."""

    format: int = 1
    version: str
    schema: int
    seq: int
    made_at: float
    files: dict[str, Kept]


def back_up(folder: Path, target: Path, clock: Clock, progress: Progress) -> Manifest:
    """Copy a data folder's journal and what stands beside it to a new folder.

    Raises:
      PointsmanError: there is no journal or it is damaged; the target is taken, cannot be written, or lies within.
    """
    if not (folder / JOURNAL_FILE).exists():
        raise PointsmanError(f"there is no journal in {folder}; set POINTSMAN_DATA_DIR")
    if target.exists():
        raise PointsmanError(f"{target} is there already; name another place for the backup")
    if target.resolve().is_relative_to(folder.resolve()):  # later backups would hold it, and each the one before
        raise PointsmanError(f"{target} lies in the data folder; name another place for the backup")
    with told(f"the backup of {folder} was not made"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _made_aside(target) as making:
            _copy_journal(folder / JOURNAL_FILE, making / JOURNAL_FILE, progress)
            for path in _beside(folder):
                with contextlib.suppress(FileNotFoundError):  # a checkpoint that is pruned meanwhile
                    _copy(path, making / path.relative_to(folder))
            schema, seq = _checked(making)
            files = {str(path.relative_to(making)): _kept(path) for path in _files(making)}
            manifest = Manifest(version=__version__, schema=schema, seq=seq, made_at=clock.now(), files=files)
            (making / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            _sync(making)
            _name(making, target)
    return manifest


def _name(making: Path, target: Path) -> None:
    """Rename a finished backup; a name that cannot be synced is taken back, for nobody should count on it."""
    making.rename(target)
    try:
        sync_one(target.parent)
    except OSError:
        target.rename(making)
        raise


def restore(backup: Path, folder: Path, progress: Progress) -> Manifest:
    """Put a backup into an empty data folder. The journal gets its name last: until then there is nothing to serve.

    Raises:
      PointsmanError: the backup is damaged or of a newer version, the folder is in use, not empty or not writable.
    """
    manifest = _read_manifest(backup)
    lock = lock_folder(folder)
    with contextlib.closing(os.fdopen(lock)), told(f"{backup} was not restored"):
        staging = folder / STAGING
        if staging.exists() and not (folder / JOURNAL_FILE).exists():
            _clear(folder)  # of a restore that was interrupted: it had begun in an empty folder
        if held := sorted({path.name for path in folder.iterdir()} - {LOCK_FILE, STAGING}):
            raise PointsmanError(f"{folder} is not empty ({held[0]}); name an empty data folder, or move that one away")
        try:
            _stage(backup, staging, manifest, progress)
            for name in sorted({name.partition("/")[0] for name in manifest.files} - {JOURNAL_FILE}):
                (staging / name).rename(folder / name)
            sync_one(folder)
            (staging / JOURNAL_FILE).rename(folder / JOURNAL_FILE)
            sync_one(folder)
        except BaseException:
            _clear(folder)
            raise
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _clear(folder: Path) -> None:
    """Take back what a restore has put in place; its staging folder goes last, for it says that there is something."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != STAGING:
            shutil.rmtree(path)
        elif path.is_file() and path.name != LOCK_FILE:
            path.unlink()
    shutil.rmtree(folder / STAGING, ignore_errors=True)


def _read_manifest(backup: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise PointsmanError(f"{backup} is no backup: its {MANIFEST} cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PointsmanError(f"the backup {backup} is damaged: {MANIFEST}: {error}; take another one") from error
    if manifest.format != 1 or manifest.schema > migrations()[-1][0]:
        raise PointsmanError(f"{backup} was made by Pointsman {manifest.version}; install that version or a newer one")
    return manifest


def _stage(backup: Path, staging: Path, manifest: Manifest, progress: Progress) -> None:
    """Copy every file and compare the copy with the manifest; look through the journal."""
    total, done = sum(kept.size for kept in manifest.files.values()), 0
    there = {str(path.relative_to(backup)) for path in _files(backup)}
    for name, kept in manifest.files.items():
        if name not in there:  # nor can a name lead out of the backup
            raise PointsmanError(f"the backup {backup} is damaged: {name} is missing; take another one")
        _copy(backup / name, staging / name)
        if _kept(staging / name) != kept:
            raise PointsmanError(f"the backup {backup} is damaged: {name} is not what was backed up; take another one")
        done += kept.size
        progress(done, total)
    if _checked(staging) != (manifest.schema, manifest.seq):
        raise PointsmanError(f"the backup {backup} is damaged: {MANIFEST} names another journal; take another one")
    _sync(staging)


def _copy_journal(source: Path, target: Path, progress: Progress) -> None:
    """Page by page within one read transaction, so that writers neither wait nor make it start again."""
    with contextlib.closing(sqlite3.connect(source, isolation_level=None)) as journal:
        for pragma in ("query_only = ON", "wal_autocheckpoint = 0", "busy_timeout = 5000"):
            journal.execute(f"PRAGMA {pragma}")
        journal.execute("BEGIN")
        journal.execute(QUERIES["last_seq"]).fetchall()  # from here on this moment is what is read
        with contextlib.closing(sqlite3.connect(target)) as copy:
            journal.backup(copy, pages=PAGES, progress=lambda _, left, of: progress(of - left, of))
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable where nothing can be written


def _checked(folder: Path) -> tuple[int, int]:
    """Schema and last event of a journal that is sound, and so is what was archived of it."""
    with contextlib.closing(reading(folder / JOURNAL_FILE)) as database:
        look_at(folder, look_through(database))
        return schema_of(database), database.execute(QUERIES["last_seq"]).fetchone()[0]


def _beside(folder: Path) -> Iterator[Path]:
    """The files that cannot be made again, but for the journal: checkpoints, and what later versions keep here."""
    for path in _files(folder):
        top = path.relative_to(folder).parts[0]
        if top not in (LOCK_FILE, RECOVERY_FOLDER) and not top.startswith(JOURNAL_FILE) and path.suffix != ".tmp":
            yield path


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)  # not its mode: who else may read the copy is the umask's to say


def _kept(path: Path) -> Kept:
    digest, size = blake2b(digest_size=32), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Kept(size, digest.hexdigest())


@contextlib.contextmanager
def _made_aside(target: Path) -> Iterator[Path]:
    """A folder beside the target, readable by its owner only; gone again unless it was renamed."""
    making = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of the disk and of SQLite as one sentence."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise PointsmanError(f"{what}: {error}") from error


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync_one(path)


def sync_one(path: Path) -> None:
    """A file's content, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
