"""Where folding begins: with nothing, or with the sealed base that takes the place of the events that were archived.

A base holds the learnt state up to its event, and which file has the state of each earlier place that a checkpoint
names: a restore may go back behind the base. Its digest stands in the journal, so no other file passes for it.
"""

from hashlib import blake2b, file_digest
from pathlib import Path

import msgspec

from auditor import Rules, State, UnreadableFold
from auditor.packing import encode

from .checkpoints import CHECKPOINT_FOLDER, CheckpointFiles, seal, unseal, write_atomically
from .errors import JournalDamaged
from .journal.rows import Archived

ARCHIVE_FOLDER = "archive"
Place = tuple[str, int]  # of a tenant, after an event


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What takes the place of archived events."""

    format: int = 1
    state: bytes
    prefixes: list[tuple[str, int, str]]  # tenant, event, the file in checkpoints/


class Origin:
    """The state that folding begins with, and the earlier ones that a restore may ask for."""

    def __init__(self, seq: int = 0, base: Base | None = None, files: CheckpointFiles | None = None) -> None:
        self.seq = seq
        self._base, self._files = base, files
        self.prefixes = {(tenant, at): kept for tenant, at, kept in base.prefixes} if base else {}

    def state(self) -> State:
        """Raises JournalDamaged for a base that another version wrote."""
        if self._base is None:
            return State(Rules(points={}))
        try:
            return State.load(self._base.state)
        except UnreadableFold as error:
            raise _unusable(base_name(self.seq), str(error)) from error

    def prefix(self, place: Place) -> bytes:
        """A tenant's state at a place up to here.

        Raises:
          JournalDamaged: its file is damaged or gone.
        """
        if self._files is None:
            return State(Rules(points={})).dump_tenant(place[0])
        try:
            return self._files.read(self.prefixes[place])
        except KeyError as error:
            raise JournalDamaged(f"no checkpoint has event {place[1]}, and what came before was archived") from error
        except UnreadableFold as error:
            raise _unusable(f"the file of checkpoint {self.prefixes[place]}", str(error)) from error


def lay(folder: Path, seq: int, base: Base) -> bytes:
    """Write a base; its digest, which the journal is to hold."""
    payload = encode(base)
    write_atomically(folder / ARCHIVE_FOLDER / base_name(seq), seal(payload))
    return _digest(payload)


def find(folder: Path, archives: list[Archived]) -> Origin:
    """The origin of the journal of a data folder, which knows of these archives.

    Raises:
      JournalDamaged: the base is gone, or not what was written.
    """
    if not archives:
        return Origin()
    newest = archives[-1]
    try:
        payload = unseal((folder / ARCHIVE_FOLDER / base_name(newest.seq)).read_bytes())
    except (OSError, UnreadableFold) as error:
        raise _unusable(base_name(newest.seq), str(error)) from error
    if _digest(payload) != newest.base:
        raise _unusable(base_name(newest.seq), "it is not the one that was laid")
    base = msgspec.msgpack.decode(payload, type=Base)
    return Origin(newest.seq, base, CheckpointFiles(folder / CHECKPOINT_FOLDER))


def _unusable(name: str, why: str) -> JournalDamaged:
    return JournalDamaged(f"{name}: {why}; while all of archive/ is there, `pointsman rebuild` makes it again")


def base_name(seq: int) -> str:
    return f"base-{seq:020d}.fold"


def events_name(seq: int) -> str:
    return f"events-{seq:020d}.db"


def clear(folder: Path, archives: list[Archived]) -> None:
    """Delete what the journal knows nothing of: an interrupted run left it, or an archive after it replaced it."""
    known = {events_name(archived.seq) for archived in archives}
    if archives:
        known.add(base_name(archives[-1].seq))
    for path in (folder / ARCHIVE_FOLDER).iterdir():
        if path.name not in known:
            path.unlink()


def look_at(folder: Path, archives: list[Archived]) -> list[str]:
    """Compare everything with what the journal notes of it; which archives are not here.

    Raises:
      JournalDamaged: something is not what was written; of archives only those that are here are looked at.
    """
    begun, absent = find(folder, archives), []
    for place in begun.prefixes:
        begun.prefix(place)
    for archived in archives:
        file = folder / ARCHIVE_FOLDER / events_name(archived.seq)
        if not file.exists():
            absent.append(file.name)
        elif digest_of(file) != archived.archive:
            raise JournalDamaged(f"{file.name} is not what was archived")
    return absent


def digest_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return file_digest(opened, lambda: blake2b(digest_size=32)).digest()


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=32).digest()
