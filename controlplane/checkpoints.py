"""Learnt state at rest: recovery files (automatic, three generations) and checkpoints (named, kept).

Both are sealed the same way: magic, length, BLAKE2b digest, payload; written to a temporary file, synced,
renamed, and the folder synced. A file that does not verify is as good as absent: the journal has everything.
"""

import os
import re
import struct
from hashlib import blake2b
from pathlib import Path

import structlog

from auditor import State, UnreadableFold
from auditor.at_rest import FORMAT

from .failpoints import failpoint

log = structlog.get_logger()
MAGIC = b"PMFOLD01"
HEADER = struct.Struct(">8sQ32s")  # magic, payload length, BLAKE2b-256 of the payload
GENERATIONS = 3
CHECKPOINT_FOLDER = "checkpoints"


def seal(payload: bytes) -> bytes:
    return HEADER.pack(MAGIC, len(payload), _digest(payload)) + payload


def unseal(sealed: bytes) -> bytes:
    """The payload.

    Raises:
      UnreadableFold: the file is damaged, cut short, or of another kind.
    """
    if len(sealed) < HEADER.size:
        raise UnreadableFold("the file is shorter than its header")
    magic, length, digest = HEADER.unpack_from(sealed)
    payload = sealed[HEADER.size :]
    if magic != MAGIC:
        raise UnreadableFold("the file is not learnt state of this format")
    if len(payload) != length or _digest(payload) != digest:
        raise UnreadableFold("the file is damaged")
    return payload


def write_atomically(path: Path, content: bytes) -> None:
    """After this returns the file is on disk whole; a crash before leaves what was there."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            failpoint("file.written")
            os.fsync(file.fileno())
        failpoint("file.synced")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # half a file would take the space that is missing
        raise
    failpoint("file.renamed")
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def clear_unfinished(folder: Path) -> None:
    """Delete what a crash left half-written. Only for who holds the data folder: elsewhere it may be in the making."""
    for temporary in folder.glob("*.tmp"):
        temporary.unlink(missing_ok=True)
        log.warning("unfinished_file_deleted", file=temporary.name)


class RecoveryFiles:
    """The newest few states of the whole fold, by sequence number."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.damaged: list[str] = []
        self.ahead: str | None = None  # a file that knows of more events than the journal has
        self.trouble: str | None = None  # why the last file could not be written

    def files(self) -> list[Path]:
        """Newest first."""
        return sorted(self._folder.glob("recovery-*.fold"), reverse=True)

    def write(self, payload: bytes, seq: int) -> Path:
        """Write one more and delete the oldest beyond three; the older ones stay until the new one is on disk."""
        path = self._folder / f"recovery-{seq:020d}.fold"
        try:
            write_atomically(path, seal(payload))
            failpoint("recovery.prune")
            for old in self.files()[GENERATIONS:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            self.trouble = error.strerror
            raise
        self.trouble = None
        return path

    def newest(self, last_seq: int) -> State | None:
        """The newest state that verifies, is of today's format and not ahead of the journal; others are passed over.

        An earlier format lacks what the same events fold to today, so the journal is folded again.
        """
        for path in self.files():
            try:
                state = State.load(unseal(path.read_bytes()))
            except UnreadableFold as error:
                self.damaged.append(path.name)
                log.error("recovery_file_damaged", file=path.name, error=str(error))
            else:
                if state.seq > last_seq:
                    self.ahead = self.ahead or path.name
                    log.error("recovery_file_ahead", file=path.name, seq=state.seq, last_seq=last_seq)
                elif state.format == FORMAT:
                    return state
                else:
                    log.info("recovery_file_of_earlier_format", file=path.name, instead="folding the journal")
        return None


class CheckpointFiles:
    """Named tenant states, content-addressed: the id is the digest of what it holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, payload: bytes) -> str:
        """Store a tenant's dump; its id."""
        self._folder.mkdir(parents=True, exist_ok=True)
        checkpoint_id = checkpoint_id_of(payload)
        write_atomically(self._path(checkpoint_id), seal(payload))
        return checkpoint_id

    def read(self, checkpoint_id: str) -> bytes:
        """Raises UnreadableFold when the file is damaged or missing."""
        try:
            payload = unseal(self._path(checkpoint_id).read_bytes())
        except OSError as error:
            raise UnreadableFold(f"the checkpoint's file cannot be read: {error.strerror}") from error
        return verified(payload, checkpoint_id)

    async def keep(self, payload: bytes) -> str:
        """The same for every replica, where there are more."""
        return self.write(payload)

    async def find(self, checkpoint_id: str) -> bytes:
        """Raises UnreadableFold where no replica has it, or its file is damaged."""
        return self.read(checkpoint_id)

    async def drop(self, checkpoint_id: str) -> None:
        """Of every replica."""
        self._path(checkpoint_id).unlink(missing_ok=True)

    def _path(self, checkpoint_id: str) -> Path:
        if not re.fullmatch(r"cp_[0-9a-f]{32}", checkpoint_id):
            raise UnreadableFold(f"{checkpoint_id!r} is no checkpoint id")
        return self._folder / f"{checkpoint_id}.fold"


def checkpoint_id_of(payload: bytes) -> str:
    """What a tenant's dump is kept under."""
    return f"cp_{_digest(payload).hex()[:32]}"


def verified(payload: bytes, checkpoint_id: str) -> bytes:
    """Raises UnreadableFold for what another checkpoint holds."""
    if checkpoint_id_of(payload) != checkpoint_id:
        raise UnreadableFold("the file holds another checkpoint")
    return payload


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=32).digest()
