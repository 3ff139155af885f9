"""SQLite's versions with the WAL-reset bug: a database that two processes write or checkpoint at once can be damaged.

The bug came with 3.7.0 and is mended in 3.51.3, and in 3.50.7 and 3.44.6 for who stays with those.
"""

Version = tuple[int, int, int]
FIRST, MENDED = (3, 7, 0), (3, 51, 3)
ALSO_MENDED: tuple[Version, ...] = ((3, 50, 7), (3, 44, 6))


def has_wal_reset_bug(version: Version) -> bool:
    """
    >>> has_wal_reset_bug((3, 40, 1)), has_wal_reset_bug((3, 44, 6)), has_wal_reset_bug((3, 51, 3))
    (True, False, False)
    """
    late = any(mended <= version < (mended[0], mended[1] + 1, 0) for mended in ALSO_MENDED)
    return FIRST <= version < MENDED and not late


def warning(version: Version) -> str | None:
    """What an operator should know about this version of SQLite."""
    if not has_wal_reset_bug(version):
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} can damage a database that two processes write at once (the WAL-reset "
        "bug; mended in 3.51.3, 3.50.7 and 3.44.6). One server at a time holds the data folder; let nothing else write "
        "to journal.db"
    )
