"""Power cuts while a recovery file, a checkpoint and a backup are written: what was there before takes over.

Nothing that was acknowledged is lost: a recovery file only saves time, but a checkpoint and a backup were promised.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from auditor import UnreadableFold
from auditor.events import WindowClosed
from controlplane.backups import back_up, restore
from controlplane.checkpoints import CheckpointFiles, RecoveryFiles, clear_unfinished
from controlplane.clock import SystemClock
from controlplane.data_folder import JOURNAL_FILE
from controlplane.errors import PointsmanError
from controlplane.journal import SqliteJournal, connect

from .cuts import put
from .disk import Disk
from .faulty_errands import one_event, state_at
from .files import recorded
from .recorder import Operation

OLD, NEW, EVERYTHING = 3, 4, 2**60
KEPT = b"learnt " * 4000


class Written:
    """The errand, and after how many steps each part of it was answered."""

    def __init__(self, folder: Path) -> None:
        data = folder / "data"
        for seq in range(1, OLD + 1):
            RecoveryFiles(data / "recovery").write(state_at(seq).dump(), seq)
        asyncio.run(one_event(data / JOURNAL_FILE))
        self.before = content_of(folder)
        with recorded(folder) as log:
            RecoveryFiles(data / "recovery").write(state_at(NEW).dump(), NEW)
            self.recovery = len(log)
            self.checkpoint_id = CheckpointFiles(data / "checkpoints").write(KEPT)
            self.checkpoint = len(log)
            back_up(data, folder / "backups" / "one", SystemClock(), lambda done, of: None)
            self.backup = len(log)
        self.log: list[Operation] = log


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    put({}, folder)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def check(written: Written, cut: int, folder: Path) -> str:
    """Everything that is promised of the disk; which recovery file took over."""
    clear_unfinished(folder / "data" / "recovery")
    state = RecoveryFiles(folder / "data" / "recovery").newest(EVERYTHING)
    assert state is not None
    assert state.seq == NEW if cut >= written.recovery else state.seq in (OLD, NEW)
    try:
        assert CheckpointFiles(folder / "data" / "checkpoints").read(written.checkpoint_id) == KEPT
    except UnreadableFold:
        assert cut < written.checkpoint, "an answered checkpoint is gone"
    if (folder / "backups" / "one").exists() or cut >= written.backup:
        try:
            restore(folder / "backups" / "one", folder / "restored", lambda done, of: None)
        except PointsmanError:
            assert cut < written.backup, "an answered backup is gone"
        else:
            assert asyncio.run(events_of(folder / "restored" / JOURNAL_FILE)) == 1
    return "new" if state.seq == NEW else "old"


def check_all(written: Written, disks: list[dict[str, bytes]], folder: Path) -> None:
    """The disks of cuts after the last step."""
    for left in disks:
        lay_out(left, folder)
        check(written, len(written.log), folder)


async def events_of(file: Path) -> int:
    journal = await SqliteJournal.open(connect(file))
    found = await journal.read(0, EVERYTHING)
    await journal.close()
    assert all(isinstance(recorded.event, WindowClosed) for recorded in found)
    return len(found)


@pytest.mark.parametrize("disks", [4, pytest.param(400, marks=pytest.mark.nightly)])
def test_a_cut_while_files_are_written_leaves_what_was_there_or_what_was_promised(
    disks: int, seed: int, folder: Path
) -> None:
    """So many disks after each step."""
    folder.mkdir()
    written, rng, taken = Written(folder), random.Random(seed), Counter[str]()
    disk = Disk(written.before)
    for cut in range(len(written.log) + 1):
        if cut:
            disk.follow(written.log[cut - 1 : cut])
        for _ in range(disks):
            lay_out(disk.after_cut(rng), folder)
            taken[check(written, cut, folder)] += 1
    kinds = Counter(step.kind for step in written.log)
    print(f"{taken.total()} disks after {len(written.log)} steps {dict(kinds)}; the recovery file: {dict(taken)}")
    assert set(taken) == {"old", "new"}
    assert set(kinds) == {"create", "write", "truncate", "sync", "rename", "sync folder", "unlink"}


@pytest.mark.parametrize("skipped", ["sync", "sync folder"])
def test_cuts_find_what_a_missing_sync_breaks(skipped: str, seed: int, folder: Path) -> None:
    """Each kind of sync taken out of the log: some disk breaks a promise, so the test above can fail."""
    folder.mkdir()
    written, rng = Written(folder), random.Random(seed)
    disk = Disk(written.before)
    disk.follow(step for step in written.log if step.kind != skipped)
    with pytest.raises(AssertionError):
        check_all(written, [disk.after_cut(rng) for _ in range(50)], folder)
