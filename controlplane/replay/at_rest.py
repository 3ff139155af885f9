"""Replays at rest, a file each: what was asked and how it ended; beside one that is under way its finished blocks."""

from pathlib import Path
from typing import Any

import msgspec
import structlog

from auditor import UnreadableFold

from ..checkpoints import seal, unseal, write_atomically
from ..contract.replays import ReplayState
from .window import Window

log = structlog.get_logger()
REPLAY_FOLDER = "replays"
OVER = ("done", "failed", "cancelled")


class ReplayAtRest(msgspec.Struct, frozen=True, kw_only=True):
    """One replay.

    begun: processes that were started for it.
    done, of: how far the last one got.
    """

    window: Window
    policy: dict[str, Any]
    state: ReplayState = "waiting"
    begun: int = 0
    done: int = 0
    of: int = 0
    why: str | None = None
    report: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER


class ReplayFiles:
    """The data folder's replays, by their ids."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def blocks(self, replay_id: str) -> Path:
        """Where the finished blocks of a replay are kept until it is over."""
        return self._folder / f"{replay_id}-blocks.part"

    def write(self, replay_id: str, replay: ReplayAtRest) -> None:
        """Raises OSError."""
        write_atomically(self._file(replay_id), seal(msgspec.msgpack.encode(replay)))
        if replay.over:
            self.blocks(replay_id).unlink(missing_ok=True)

    def forget(self, replay_id: str) -> None:
        """Raises OSError."""
        self._file(replay_id).unlink(missing_ok=True)

    def read(self) -> dict[str, ReplayAtRest]:
        """All that can be read, in the order they were asked for; what cannot be read is named and deleted."""
        found = {}
        for path in sorted(self._folder.glob("*.replay")):
            try:
                found[path.stem] = msgspec.msgpack.decode(unseal(path.read_bytes()), type=ReplayAtRest)
            except (UnreadableFold, msgspec.MsgspecError) as error:
                log.error("replay_file_damaged", file=path.name, error=str(error), costs="the replay is forgotten")
                path.unlink()
                self.blocks(path.stem).unlink(missing_ok=True)
        return found

    def _file(self, replay_id: str) -> Path:
        return self._folder / f"{replay_id}.replay"
