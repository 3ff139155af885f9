"""`pointsman rebuild`: the whole journal folded again, to replace the recovery files or to check them."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from . import refold as again
from .checkpoints import RecoveryFiles
from .clock import SystemClock
from .data_folder import JOURNAL_FILE, RECOVERY_FOLDER, lock_folder, open_any, open_journal
from .errors import BadSetting, PointsmanError
from .journal import Journal, SqliteJournal
from .journal.queries import ARCHIVING
from .journal.soundness import look_through_archive, reading
from .journal.whole import Whole
from .memory.servers import server_of
from .origin import ARCHIVE_FOLDER, Origin, events_name, find, lay
from .refold import BEGINNING, Progress
from .retention import fold_ground
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
    if settings.database_url is not None:
        return await _compared(settings, folder, verify, progress)
    if not (folder / JOURNAL_FILE).exists():
        raise PointsmanError(f"there is no journal in {folder}; set POINTSMAN_DATA_DIR")
    async with contextlib.AsyncExitStack() as held:
        if not verify:
            held.callback(os.close, lock_folder(folder))
        journal = await open_journal(folder)
        held.push_async_callback(journal.close)
        recovery = RecoveryFiles(folder / RECOVERY_FOLDER)
        total = journal.last_seq
        if verify:
            begun = find(folder, journal.archives)
            return await _verified(journal, recovery, begun, lambda seq: progress(seq, total))
        begun = await _laid_again(folder, journal, lambda seq: progress(seq, total))
        refolded = await again.refold(journal, total, lambda seq: progress(seq, total), begun)
        await journal.drop_damaged_records()
        for (tenant, _), record in refolded.learned.items():
            journal.record(tenant, [record])
        await journal.flush()
        recovery.write(refolded.state.dump(), refolded.state.seq)
        verdict = "a fresh recovery file is written" + await _vectors_renewed(settings)
        return RebuildReport(events=total, seq=refolded.state.seq, verdict=verdict)


async def _vectors_renewed(settings: Settings) -> str:
    """Have the next start fill those that are on a server anew; what there is to say of it.

    Raises:
      VectorsUnavailable: the server does not answer.
    """
    if (server := server_of(settings)) is None:
        return ""
    try:
        renewed = await server.renew()
    finally:
        await server.close()
    return "; the next start fills the vectors anew" if renewed else ""


async def _compared(
    settings: Settings, folder: Path, verify: bool, progress: Callable[[int, int], None]
) -> RebuildReport:
    """What the replicas' leader published last, compared with a fold of their whole journal; or vectors anew."""
    if not verify:
        if not (renewed := await _vectors_renewed(settings)):
            raise BadSetting("replicas fold by themselves; `pointsman rebuild --verify` compares what they published")
        return RebuildReport(events=0, seq=0, verdict=f"replicas fold by themselves{renewed}")
    from .replication import claim_for, fetch_snapshot, origin_of

    async with contextlib.AsyncExitStack() as held:
        held.callback(os.close, lock_folder(folder))
        journal = await open_any(settings, SystemClock())
        held.push_async_callback(journal.close)
        await claim_for(journal, folder)
        recovery = RecoveryFiles(folder / RECOVERY_FOLDER)
        await fetch_snapshot(journal, recovery)
        total = journal.last_seq
        begun = await origin_of(journal, folder)
        return await _verified(journal, recovery, begun, lambda seq: progress(seq, total))


async def _laid_again(folder: Path, journal: SqliteJournal, progress: Progress) -> Origin:
    """The origin, its base folded again from the archives if all of them are there.

    Raises:
      JournalDamaged: an archive is damaged; or one is gone, and the base is too.
    """
    files = [folder / ARCHIVE_FOLDER / events_name(archived.seq) for archived in journal.archives]
    if not files or not all(file.exists() for file in files):
        return find(folder, journal.archives)
    newest = journal.archives[-1]
    with contextlib.ExitStack() as opened:
        archives = [opened.enter_context(contextlib.closing(reading(file))) for file in files]
        for archive in archives:
            look_through_archive(archive)
        whole = Whole(journal, archives)
        ground = await fold_ground(folder, whole, newest.seq, journal.last_seq, BEGINNING, progress)
    noted = msgspec.structs.replace(newest, base=lay(folder, newest.seq, ground.base))
    with contextlib.closing(sqlite3.connect(folder / JOURNAL_FILE, isolation_level=None)) as database:
        database.execute(ARCHIVING["note_archive"], noted.row)
    return find(folder, [*journal.archives[:-1], noted])


async def _verified(journal: Journal, recovery: RecoveryFiles, begun: Origin, progress: Progress) -> RebuildReport:
    found = await again.verify(journal, recovery, begun, progress)
    verdict = f"bit-identical to {found.recovery_file}" if found.identical else "DIFFERENT from what the server wrote"
    return RebuildReport(events=found.events, seq=found.seq, verdict=verdict, differences=found.differences)
