"""Rows of the journal and their checksums: what was not written is not read."""

from typing import Any

import pytest

from auditor.answers import Learned
from auditor.events import Recorded, WindowClosed
from controlplane.errors import JournalDamaged, RecordDamaged
from controlplane.journal import encode_event
from controlplane.journal.newer import JournalNewer
from controlplane.journal.rows import event_row, record_row, recorded_of, records_of

EVENT = WindowClosed(tenant="team \u00fc", at=1.5, trace_id="tr_1")
RECORD = Learned(trace_id="tr_1", point="route", seq=7, report=None, update=None)


def as_read(row: tuple[Any, ...], names: tuple[int, ...]) -> list[Any]:
    """A written row as the queries give it back: names as bytes."""
    return [value.encode() if place in names else value for place, value in enumerate(row)]


def test_what_was_written_is_read() -> None:
    row = as_read(event_row(7, EVENT, encode_event(EVENT)), (1, 2, 3))
    assert recorded_of(tuple(row)) == Recorded(7, EVENT)
    assert records_of([tuple(as_read(record_row("a", RECORD), (0, 1)))]) == [("a", RECORD)]


@pytest.mark.parametrize("other", [None, 1, "text", b"", b"\xff\xfe", 2.5])
@pytest.mark.parametrize("place", range(7))
def test_an_event_with_any_other_value_is_damaged_and_named(place: int, other: object) -> None:
    row = as_read(event_row(7, EVENT, encode_event(EVENT)), (1, 2, 3))
    row[place] = other
    with pytest.raises(JournalDamaged, match=r"event .* is not what was written\); restore a backup"):
        recorded_of(tuple(row))


@pytest.mark.parametrize(
    ("payload", "error", "said"),
    [
        (b'{"kind":"unheard_of","tenant":"a","at":1.5}', JournalNewer, "unheard_of"),
        (b'{"kind":"window_closed","tenant":"a","at":1.5,"trace_id":"t","late_s":1}', JournalNewer, "late_s"),
        (b'{"kind":', JournalDamaged, "cannot be read"),
    ],
)
def test_what_was_written_and_is_not_known_is_a_newer_versions(
    payload: bytes, error: type[Exception], said: str
) -> None:
    row = as_read(event_row(7, EVENT, payload), (1, 2, 3))
    with pytest.raises(error, match=said):
        recorded_of(tuple(row))


@pytest.mark.parametrize("other", [None, 1, "text", b"", b"\xff\xfe", 2.5])
@pytest.mark.parametrize("place", range(5))
def test_a_record_with_any_other_value_is_damaged(place: int, other: object) -> None:
    row = as_read(record_row("a", RECORD), (0, 1))
    row[place] = other
    with pytest.raises(RecordDamaged):
        records_of([tuple(row)])
