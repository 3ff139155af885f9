"""Which versions of SQLite have the WAL-reset bug, and what is said about them."""

import pytest

from controlplane.journal.versions import Version, has_wal_reset_bug, warning


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_versions_with_the_bug_are_known(version: Version, affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected
    said = warning(version)
    assert (said is not None) is affected
    assert said is None or "let nothing else write to journal.db" in said
