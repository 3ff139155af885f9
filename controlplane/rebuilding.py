"""`pointsman rebuild`: the whole journal folded again, to replace the recovery files or to check them."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from . import refold as again
from .checkpoints import RecoveryFiles
from .errors import PointsmanError
from .journal import SqliteJournal, connect
from .service import JOURNAL_FILE, RECOVERY_FOLDER, lock_folder
from .settings import Settings


class RebuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was folded and how it compares."""

    events: int
    seq: int
    verdict: str
    differences: list[str] = []


async def rebuild(settings: Settings, *, verify: bool, progress: Callable[[int, int], None]) -> RebuildReport:
    """Fold again; with `verify` only compare.

    Raises:
      PointsmanError: there is no journal, or the server holds the folder (without `verify`).
    """
    folder = Path(settings.data_dir)
    if not (folder / JOURNAL_FILE).exists():
        raise PointsmanError(f"there is no journal in {folder}; set POINTSMAN_DATA_DIR")
    async with contextlib.AsyncExitStack() as held:
        if not verify:
            held.callback(os.close, lock_folder(folder))
        journal = await SqliteJournal.open(connect(folder / JOURNAL_FILE))
        held.push_async_callback(journal.close)
        recovery = RecoveryFiles(folder / RECOVERY_FOLDER)
        total = journal.last_seq
        if verify:
            return await _verified(journal, recovery, lambda seq: progress(seq, total))
        refolded = await again.refold(journal, total, lambda seq: progress(seq, total))
        await journal.drop_damaged_records()
        for (tenant, _), record in refolded.learned.items():
            journal.record(tenant, [record])
        await journal.flush()
        recovery.write(refolded.state.dump(), refolded.state.seq)
        return RebuildReport(events=total, seq=refolded.state.seq, verdict="a fresh recovery file is written")


async def _verified(journal: SqliteJournal, recovery: RecoveryFiles, progress: Callable[[int], None]) -> RebuildReport:
    found = await again.verify(journal, recovery, progress)
    verdict = f"bit-identical to {found.recovery_file}" if found.identical else "DIFFERENT from what the server wrote"
    return RebuildReport(events=found.events, seq=found.seq, verdict=verdict, differences=found.differences)
