"""A window of the journal as a log. The journal is read and nothing is written."""

from collections import Counter, deque
from math import fsum

import msgspec

from auditor.logged import DecisionLog

from ..errors import UnusableLog
from ..journal import Journal
from ..origin import Origin
from ..refold import events
from .log import Log, Progress

AS_LOGGED = (
    "memory, purse and masks are those that the logging policy met: what another policy would have remembered, "
    "spent or been denied is not known"
)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions: a tenant's at a point, by the numbers of their events, or the newest so many of those."""

    tenant: str
    point: str
    first: int = 1
    last: int | None = None
    newest: int | None = None


async def read_window(journal: Journal, origin: Origin, window: Window, progress: Progress) -> Log:
    """The decisions of a window, in the order in which they were learnt.

    Raises:
      UnusableLog: the point is unknown.
      JournalDamaged: an event is not what was written, or missing.
    """
    until = journal.last_seq if window.last is None else min(window.last, journal.last_seq)
    read = DecisionLog(window.tenant, window.point, origin.state())
    async for recorded in events(journal, until, origin.seq):
        read.apply(recorded.seq, recorded.event)
        progress(recorded.seq, until)
    if window.point not in read.rules.points:
        raise UnusableLog(f"there is no point {window.point!r}; there are {', '.join(sorted(read.rules.points))}")
    found = deque((d for d in read.decisions if d.row >= window.first), maxlen=window.newest)
    weights = read.rules.points[window.point].weights
    most = fsum(map(abs, weights.values()))
    return Log(
        decisions=list(found),
        weights=weights,
        reward_range=(-most, most) if most else None,
        left_out=left_out(read.left_out, read.open, origin),
        notes=[AS_LOGGED],
    )


def left_out(counted: Counter[str], still_open: int, origin: Origin) -> list[str]:
    """What of a journal has no place in a log, in sentences."""
    told = [f"{count} decision(s) are left out: {why}" for why, count in sorted(counted.items())]
    if still_open:
        told.append(f"{still_open} decision(s) are left out: they still wait for their reward or their successor")
    if origin.seq:
        told.append(f"events up to {origin.seq} were archived and are not read")
    return told
