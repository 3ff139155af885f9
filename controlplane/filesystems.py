"""Where a journal may lie: not on a network file system, whose locks and syncs do not mean what SQLite needs.

SQLite's write-ahead log shares memory between connections, which no two machines can, and an acknowledgement rests on
a sync that reaches a disk. The kind of a file system is the magic number that Linux tells by `statfs`.
"""

import ctypes
import os
import sys
from pathlib import Path

from .errors import BadSetting

REFUSED: dict[int, str] = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB",
    0x01021997: "9P",
    0x65735546: "FUSE (sshfs and its like)",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x73757245: "Coda",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x786F4256: "a VirtualBox shared folder",
}
STATFS_BYTES = 512  # more than any Linux's struct; its first field is the magic number


def refuse_network(folder: Path, magic: int | None) -> None:
    """Raises BadSetting when the folder's file system is a network's."""
    if magic in REFUSED:
        raise BadSetting(
            f"the data folder {folder} lies on {REFUSED[magic]}, where a journal can be damaged or lose what was "
            "acknowledged; set POINTSMAN_DATA_DIR to a folder on a local disk"
        )


def magic_of(folder: Path) -> int | None:
    """What kind of file system the folder lies on; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    told = ctypes.create_string_buffer(STATFS_BYTES)
    if libc.statfs(os.fsencode(folder), told) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    return ctypes.c_long.from_buffer(told).value & 0xFFFFFFFF
