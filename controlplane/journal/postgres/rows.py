"""Rows as the database gives them, each compared with its checksum. The database gives the number, so it is in none."""

from typing import Any

from auditor.events import Recorded

from ..rows import Row, recorded_of


def recorded(row: Any) -> Recorded:
    """Raises JournalDamaged for an event that is not what was written."""
    seq, tenant, kind, ref, at, payload, kept = row
    return recorded_of((seq, tenant.encode(), kind.encode(), ref, at, payload, kept), numbered=False)


def record(row: Any) -> Row:
    """How a decision ended, as rows of SQLite come: names are bytes."""
    tenant, trace_id, seq, record, kept = row
    return tenant.encode(), trace_id, seq, record, kept
