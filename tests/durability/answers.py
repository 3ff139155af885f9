"""Whether an answer left before what it acknowledges was synced, seen in the system calls of a server.

Each request carries a mark of its own, which is followed into a commit of the log, through a sync of the log,
to the answer. A write counts from its end, a sync for what had been written when it began, an answer from
its beginning.
"""

import re
from collections.abc import Sequence

from .system_calls import SYNCS, Call

MARK = re.compile(r"mark-\d{6}")
LOG_HEADER, FRAME_HEADER = 32, 24  # bytes


class Watch:
    """Follows the marks of requests into the log, through a sync, to the answers."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.too_early: list[str] = []  # marks that were answered before a sync
        self._asked: dict[str, str] = {}  # by socket
        self._written: set[str] = set()  # in frames of a commit that is not whole yet
        self._last_frame = False
        self._committed: set[str] = set()
        self._syncing: dict[str, frozenset[str]] = {}  # by thread
        self._safe: set[str] = set()

    def follow(self, made: Sequence[Call]) -> "Watch":
        moments = [(call.begun, 0, call) for call in made] + [(call.ended, 1, call) for call in made]
        for _, ended, call in sorted(moments, key=lambda moment: moment[:2]):
            if call.result >= 0 and call.file.startswith("socket:"):
                self._socket(call, ended=bool(ended))
            elif call.result >= 0 and call.file.endswith("-wal"):
                self._log(call, ended=bool(ended))
        return self

    def _socket(self, call: Call, *, ended: bool) -> None:
        if call.name.startswith(("read", "recv")) and ended:
            self._asked.update((call.file, mark) for mark in MARK.findall(call.arguments))
        elif '"HTTP/1.1 2' in call.arguments and not ended and call.file in self._asked:
            self.answered.append(self._asked.pop(call.file))
            if self.answered[-1] not in self._safe:
                self.too_early.append(self.answered[-1])

    def _log(self, call: Call, *, ended: bool) -> None:
        if call.name in SYNCS:
            if ended:
                self._safe |= self._syncing.pop(call.thread)
            else:
                self._syncing[call.thread] = frozenset(self._committed)
        elif call.name.startswith("pwrite") and ended:
            self._frame(call)

    def _frame(self, call: Call) -> None:
        """A frame is a header and a page; the header of a commit's last frame says how large the database is."""
        if call.result == FRAME_HEADER:
            self._last_frame = any(call.data[4:8])
        elif call.result > LOG_HEADER:
            self._written.update(MARK.findall(call.arguments))
            if self._last_frame:
                self._committed |= self._written
                self._written.clear()
