"""Rows of the journal, each with a checksum, so that what comes back is what was written or is known not to be.

SQLite has none over values: a bit that flips inside one comes back flipped. Names are read as bytes, for damaged
ones need not be text.
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from auditor.answers import Learned
from auditor.events import AnyEvent, Recorded

from ..errors import JournalDamaged, RecordDamaged
from .codec import decode_event, decode_learned, encode_learned
from .newer import JournalNewer

Row = tuple[Any, ...]
CHECKSUM = "row_checksum"  # the function's name in SQL
TIMELESS = 0.0  # a record has no moment of its own
UNNUMBERED = 0  # stands for the number in a checksum that was made before the event had one
_NUMBERS = struct.Struct(">qd")


def checksum(seq: int, at: float, payload: bytes, *names: bytes) -> int | None:
    """CRC-32, which every flipped bit and every burst of up to 32 changes; None for values of other types."""
    try:
        return zlib.crc32(payload, zlib.crc32(b"\0".join((_NUMBERS.pack(seq, at), *names))))
    except (TypeError, struct.error):
        return None


def event_row(seq: int, event: AnyEvent, payload: bytes) -> Row:
    """An event as it is written."""
    tenant, kind, ref, at = event.tenant, event.kind, event.ref, event.at
    return seq, tenant, kind, ref, at, payload, checksum(seq, at, payload, tenant.encode(), kind.encode(), ref.encode())


def recorded_of(row: Row, *, numbered: bool = True) -> Recorded:
    """An event as it was read.

    Raises:
      JournalDamaged: it is not what was written.
      JournalNewer: it is, and this version does not know its kind, or a field of it.
    """
    verify(row, numbered=numbered)
    try:
        return Recorded(row[0], decode_event(row[5]))
    except msgspec.ValidationError as error:
        raise JournalNewer(f"this version of Pointsman does not know all of event {row[0]}: {error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalDamaged(f"event {row[0]} cannot be read: {error}") from error


def verify(row: Row, *, numbered: bool = True) -> None:
    """Raises JournalDamaged for an event's row that is not what was written; its number is in the checksum or not."""
    seq, tenant, kind, ref, at, payload, kept = row
    if kept is None or checksum(seq if numbered else UNNUMBERED, at, payload, tenant, kind, ref) != kept:
        raise JournalDamaged(f"event {seq} is not what was written")


def refuse_gap(found: Iterable[Recorded], place: int, last: int = 0) -> None:
    """Raises JournalDamaged unless events in order follow each other past `place`, and reach `last`.

    Of those up to `place` some are archived.
    """
    for recorded in found:
        if recorded.seq > place:
            place += 1
            if recorded.seq != place:
                raise JournalDamaged(f"event {place} is missing")
    if place < last:
        raise JournalDamaged(f"event {place + 1} is missing")


def in_order(found: list[Recorded], fits: Callable[[AnyEvent], bool]) -> list[Recorded]:
    """Events, each compared with what was asked for: a damaged index leads to other rows.

    Raises:
      JournalDamaged: it does.
    """
    seen = 0
    for recorded in found:
        if recorded.seq <= seen or not fits(recorded.event):
            raise JournalDamaged(f"an index leads to event {recorded.seq} in the place of another")
        seen = recorded.seq
    return found


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """One archive: the last event it covers, how many up to there stayed, the digests of its base and its file."""

    seq: int
    kept: int
    base: bytes
    archive: bytes

    @property
    def row(self) -> Row:
        """As it is written."""
        sealed = checksum(self.seq, float(self.kept), self.base, self.archive)
        return self.seq, self.kept, self.base, self.archive, sealed


def archived_of(rows: Iterable[Any]) -> list[Archived]:
    """The archives as they were read.

    Raises:
      JournalDamaged: one is not what was written.
    """
    found = []
    for seq, kept, base, archive, sealed in rows:
        found.append(Archived(seq=seq, kept=kept, base=base, archive=archive))
        if found[-1].row[-1] != sealed:
            raise JournalDamaged(f"what is noted of the archive up to event {seq} is not what was written")
    return found


def record_row(tenant: str, learned: Learned) -> Row:
    """How a decision ended, as it is written."""
    record, trace_id = encode_learned(learned), learned.trace_id
    kept = checksum(learned.seq, TIMELESS, record, tenant.encode(), trace_id.encode())
    return tenant, trace_id, learned.seq, record, kept


def records_of(rows: Iterable[Row]) -> list[tuple[str, Learned]]:
    """(tenant, record) of each row.

    Raises:
      RecordDamaged: one is not what was written.
    """
    found = []
    for tenant, trace_id, seq, record, kept in rows:
        if kept is None or checksum(seq, TIMELESS, record, tenant, trace_id) != kept:
            raise RecordDamaged
        found.append((tenant.decode(), decode_learned(record)))
    return found
