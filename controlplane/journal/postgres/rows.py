"""Rows as the database gives them, each compared with its checksum. The database gives the number, so it is in none."""

from collections.abc import Callable, Sequence
from typing import Any

from auditor.events import AnyEvent, Recorded

from ...errors import JournalDamaged
from ..rows import Row, recorded_of


def recorded(row: Any) -> Recorded:
    """Raises JournalDamaged for an event that is not what was written."""
    seq, tenant, kind, ref, at, payload, kept = row
    return recorded_of((seq, tenant.encode(), kind.encode(), ref, at, payload, kept), numbered=False)


def record(row: Any) -> Row:
    """How a decision ended, as rows of SQLite come: names are bytes."""
    tenant, trace_id, seq, record, kept = row
    return tenant.encode(), trace_id, seq, record, kept


def fitting(rows: Sequence[Any], fits: Callable[[AnyEvent], bool]) -> list[Recorded]:
    """Events, each compared with what was asked for: a damaged index leads to other rows."""
    found = [recorded(row) for row in rows]
    seen = 0
    for each in found:
        if each.seq <= seen or not fits(each.event):
            raise JournalDamaged(f"an index leads to event {each.seq} in the place of another")
        seen = each.seq
    return found
