"""Reading a trace: an answer counts as safe only after a sync that began when its whole commit was written."""

import pytest

from .answers import Watch
from .system_calls import calls

ASKED = '1 read(9<socket:[7]>, "POST /v1/decisions HTTP/1.1 ... mark-000001", 999) = 43'
FRAME = r'2 pwrite64(5</d/journal.db-wal>, "\0\0\0\3\0\0\0\0abcdefghijklmnop", 24, 32) = 24'
LAST_FRAME = r'2 pwrite64(5</d/journal.db-wal>, "\0\0\0\3\0\0\0\10abcdefghijklmnop", 24, 32) = 24'
PAGE = r'2 pwrite64(5</d/journal.db-wal>, "\r\0{\"task_id\":\"mark-000001\"}", 4096, 56) = 4096'
OTHER_PAGE = r'2 pwrite64(5</d/journal.db-wal>, "\r\0\0", 4096, 56) = 4096'
SYNC = "2 fdatasync(5</d/journal.db-wal>) = 0"
OTHER_SYNC = "2 fdatasync(6</d/journal.db>) = 0"
FAILED_SYNC = "2 fdatasync(5</d/journal.db-wal>) = -1 EIO (Input/output error)"
ANSWER = r'1 write(9<socket:[7]>, "HTTP/1.1 200 OK\r\n", 17) = 17'
REFUSAL = r'1 write(9<socket:[7]>, "HTTP/1.1 503 \r\n", 15) = 15'
SYNC_BEGINS, SYNC_ENDS = "2 fdatasync(5</d/journal.db-wal> <unfinished ...>", "2 <... fdatasync resumed>) = 0"
PAGE_BEGINS, PAGE_ENDS = (
    PAGE.replace(", 4096, 56) = 4096", " <unfinished ...>"),
    "2 <... pwrite64 resumed>, 4096, 56) = 4096",
)


def watch(*trace: str) -> tuple[list[str], list[str]]:
    watched = Watch().follow(calls(trace))
    return watched.answered, watched.too_early


@pytest.mark.parametrize(
    "trace",
    [
        (ASKED, LAST_FRAME, PAGE, SYNC, ANSWER),
        (ASKED, FRAME, PAGE, LAST_FRAME, OTHER_PAGE, SYNC, ANSWER),
        (ASKED, LAST_FRAME, PAGE_BEGINS, PAGE_ENDS, SYNC_BEGINS, SYNC_ENDS, ANSWER),
    ],
)
def test_an_answer_after_the_sync_is_in_time(trace: tuple[str, ...]) -> None:
    assert watch(*trace) == (["mark-000001"], [])


@pytest.mark.parametrize(
    "trace",
    [
        (ASKED, ANSWER),
        (ASKED, LAST_FRAME, PAGE, ANSWER, SYNC),
        (ASKED, SYNC, LAST_FRAME, PAGE, ANSWER),
        (ASKED, LAST_FRAME, PAGE, OTHER_SYNC, ANSWER),
        (ASKED, LAST_FRAME, PAGE, FAILED_SYNC, ANSWER),
        (ASKED, FRAME, PAGE, SYNC, ANSWER, LAST_FRAME, OTHER_PAGE),
        (ASKED, LAST_FRAME, PAGE, SYNC_BEGINS, ANSWER, SYNC_ENDS),
        (ASKED, LAST_FRAME, PAGE_BEGINS, SYNC.replace("2 ", "3 ", 1), PAGE_ENDS, ANSWER),
    ],
)
def test_an_answer_before_the_sync_is_too_early(trace: tuple[str, ...]) -> None:
    assert watch(*trace) == (["mark-000001"], ["mark-000001"])


def test_a_refusal_acknowledges_nothing() -> None:
    assert watch(ASKED, REFUSAL) == ([], [])
