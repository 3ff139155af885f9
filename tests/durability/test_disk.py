"""The model of a disk: what is safe is on every disk a cut may leave, and nothing else is on all of them."""

import random

from .disk import Disk
from .recorder import Kind, Operation

SEED, DISKS = 7, 400
OLD, NEW = b"o" * 1024, b"n" * 1024


def op(kind: Kind, file: str = "a", at: int = 0, data: bytes = b"", folder: bool = False) -> Operation:
    return Operation(kind, file, at, data, folder)


def left(*operations: Operation, **files: bytes) -> list[dict[str, bytes]]:
    """Many disks that a cut after these operations may leave."""
    disk, rng = Disk(files), random.Random(SEED)
    disk.follow(operations)
    return [disk.after_cut(rng) for _ in range(DISKS)]


def contents(*operations: Operation) -> set[bytes]:
    """What file `a` may hold, once it held OLD."""
    return {disk["a"] for disk in left(*operations, a=OLD)}


def test_what_was_synced_is_on_every_disk() -> None:
    assert contents(op("write", data=NEW), op("sync")) == {NEW}


def test_an_unsynced_write_is_kept_lost_or_torn_at_sectors() -> None:
    assert contents(op("write", data=NEW)) == {OLD, NEW, OLD[:512] + NEW[512:], NEW[:512] + OLD[512:]}


def test_a_later_write_may_reach_the_disk_before_an_earlier_one() -> None:
    assert OLD[:512] + NEW[512:] in contents(op("write", data=NEW[:512]), op("write", at=512, data=NEW[512:]))


def test_a_write_past_the_end_may_leave_zeros_before_it_or_in_its_place() -> None:
    found = contents(op("write", at=1024, data=NEW[:512]), op("write", at=1536, data=NEW[:512]))
    assert OLD + bytes(512) + NEW[:512] in found
    assert OLD + bytes(1024) in found


def test_a_truncation_may_be_lost_and_what_was_written_after_it_kept() -> None:
    assert contents(op("truncate"), op("write", data=NEW[:512])) >= {OLD, b"", NEW[:512], NEW[:512] + OLD[512:]}
    assert contents(op("truncate"), op("write", data=NEW[:512]), op("sync")) == {NEW[:512]}


def test_a_new_file_may_be_missing_until_its_folder_is_synced() -> None:
    written = op("create", "b"), op("write", "b", data=NEW)
    assert {disk.get("b") for disk in left(*written, op("sync", "b"))} == {None, NEW}
    assert {disk.get("b") for disk in left(*written, op("sync", "b", folder=True))} == {NEW}


def test_a_removed_file_may_come_back_until_its_folder_is_synced() -> None:
    assert {disk.get("a") for disk in left(op("unlink"), a=OLD)} == {None, OLD}
    assert {disk.get("a") for disk in left(op("unlink", folder=True), a=OLD)} == {None}


def test_a_file_made_again_holds_nothing_of_the_one_before_it() -> None:
    again = op("unlink"), op("create"), op("write", data=NEW[:512])
    assert {disk.get("a") for disk in left(*again, a=OLD)} == {None, OLD, b"", bytes(512), NEW[:512]}
