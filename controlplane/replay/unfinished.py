"""An unfinished replay at rest: its finished blocks and what it had learnt, so that the same command goes on."""

from hashlib import blake2b
from pathlib import Path

import msgspec

from auditor import UnreadableFold
from strategist.evaluation import Kept, LoggedDecision, Target

from ..checkpoints import seal, unseal, write_atomically
from ..errors import UnusableLog

FORMAT = 2


class _AtRest(msgspec.Struct, frozen=True, kw_only=True):
    fingerprint: str
    kept: Kept


def fingerprint(decisions: list[LoggedDecision], target: Target) -> str:
    """Of everything that a replay's blocks follow from."""
    told = blake2b(b"%d" % FORMAT, digest_size=8)
    encoder = msgspec.msgpack.Encoder(order="sorted")
    told.update(encoder.encode(target))
    for decision in decisions:
        told.update(encoder.encode(decision))
    return told.hexdigest()


class Unfinished:
    """The file that finished blocks are kept in until the replay is done."""

    def __init__(self, path: Path, of: str) -> None:
        self.path, self._of = path, of

    def read(self) -> Kept | None:
        """What was kept of the same replay; another's is as good as none.

        Raises:
          UnusableLog: the file is damaged.
        """
        try:
            found = msgspec.msgpack.decode(unseal(self.path.read_bytes()), type=_AtRest)
        except FileNotFoundError:
            return None
        except (UnreadableFold, msgspec.MsgspecError) as error:
            raise UnusableLog(f"{self.path}: {error}; delete it, and the replay begins anew") from error
        return found.kept if found.fingerprint == self._of else None

    def write(self, kept: Kept) -> None:
        """Raises UnusableLog where the file cannot be written."""
        try:
            write_atomically(self.path, seal(msgspec.msgpack.encode(_AtRest(fingerprint=self._of, kept=kept))))
        except OSError as error:
            said = f"finished blocks cannot be kept in {self.path} ({error.strerror})"
            raise UnusableLog(f"{said}; make room, or replay from another folder") from error

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
