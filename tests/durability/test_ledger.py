"""The ledger sees every broken promise; places are numbers, as in the log."""

import pytest

from auditor.answers import Learned
from auditor.events import AnyEvent, WindowClosed

from .ledger import Found, Kept, Ledger

CUT, BEFORE, LATER = 100, 50, 150


def closed(name: str) -> AnyEvent:
    return WindowClosed(tenant="a", at=1.5, trace_id=name)


def record(name: str, seq: int = 1) -> Learned:
    return Learned(trace_id=name, point="route", seq=seq, report=None, update=None)


@pytest.fixture
def ledger() -> Ledger:
    """Two events acknowledged together before the cut, two handed in and not acknowledged, and a flushed record."""
    made = Ledger()
    made.hand_in({b"<x1>": closed("<x1>"), b"<x2>": closed("<x2>")}).answered = BEFORE
    made.hand_in({b"<x3>": closed("<x3>"), b"<x4>": closed("<x4>")}).answered = LATER
    made.records = {"r1": Kept(record("r1"), BEFORE), "r2": Kept(record("r2"), LATER)}
    return made


def kinds(ledger: Ledger, rows: list[tuple[int, bytes]], *records: Learned, disk: bytes = b"") -> set[str]:
    found = Found(rows, {r.trace_id: r for r in records or (record("r1"),)})
    return {finding.kind for finding in ledger.findings(CUT, found, {"journal.db": disk})}


def rows(ledger: Ledger, many: int) -> list[tuple[int, bytes]]:
    return [(seq, entry.payload) for seq, entry in enumerate(ledger.entries[:many], 1)]


def test_what_was_acknowledged_is_enough_and_what_was_handed_in_is_allowed(ledger: Ledger) -> None:
    assert kinds(ledger, rows(ledger, 2)) == set()
    assert kinds(ledger, rows(ledger, 4), record("r1"), record("r2")) == set()


def test_an_acknowledged_event_that_is_missing_is_lost(ledger: Ledger) -> None:
    assert kinds(ledger, []) == {"lost"}


def test_half_an_append_is_torn(ledger: Ledger) -> None:
    assert kinds(ledger, rows(ledger, 3)) == {"torn"}


def test_numbers_have_no_gap(ledger: Ledger) -> None:
    assert "gap" in kinds(ledger, [rows(ledger, 3)[0], rows(ledger, 3)[2]])


def test_an_event_in_anothers_place_is_strange(ledger: Ledger) -> None:
    first = ledger.entries[0].payload
    assert kinds(ledger, [(1, first), (2, first)]) == {"strange"}


def test_a_flushed_record_is_there_and_none_is_made_up(ledger: Ledger) -> None:
    assert kinds(ledger, rows(ledger, 2), record("r2")) == {"record"}
    assert kinds(ledger, rows(ledger, 2), record("r1", seq=9)) == {"record"}
    assert kinds(ledger, rows(ledger, 2), record("r1"), record("r9")) == {"record"}


def test_an_erased_event_is_a_tombstone_and_its_content_nowhere_on_the_disk(ledger: Ledger) -> None:
    erased = ledger.entries[1]
    erased.erasing = erased.erased = BEFORE
    tombstone = [rows(ledger, 1)[0], (2, erased.tombstone)]
    assert kinds(ledger, tombstone) == set()
    assert kinds(ledger, rows(ledger, 2)) == {"unerased"}
    assert kinds(ledger, tombstone, disk=b"... <x2> ...") == {"unerased"}


def test_an_event_whose_erasure_was_not_acknowledged_may_be_either(ledger: Ledger) -> None:
    ledger.entries[1].erasing = BEFORE
    assert kinds(ledger, rows(ledger, 2)) == kinds(ledger, [rows(ledger, 1)[0], (2, ledger.entries[1].tombstone)])


def test_the_next_life_begins_with_what_was_found(ledger: Ledger) -> None:
    following = ledger.after(CUT, Found(rows(ledger, 4), {"r2": record("r2")}))
    assert kinds(following, rows(following, 2), record("r2")) == {"lost", "torn"}
    assert kinds(following, rows(following, 4), record("r2")) == set()
    assert kinds(following, rows(following, 4), record("r1")) == {"record"}
