"""What was handed to the journal and what it answered, each with its place in the recorded log.

The journal numbers events in the order in which they are handed in, so the ledger knows every event's number
before the answer, and with it what a number may hold after a cut at any place.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from auditor.answers import Learned
from auditor.events import AnyEvent, Purged
from controlplane.journal import encode_event

NEVER = 2**62
MARK = re.compile(rb"<\w+>")


class Finding(NamedTuple):
    """A promise that a disk breaks, and how."""

    kind: str  # lost, torn, gap, strange, unerased, record, unreadable
    what: str


class Found(msgspec.Struct, frozen=True):
    """What a journal that was opened on a disk gives back."""

    rows: list[tuple[int, bytes]]
    records: dict[str, Learned]


class Entry(msgspec.Struct):
    """An event that was handed in; `mark` stands in it and nowhere else. Places: numbers of operations in the log."""

    payload: bytes
    tenant: str
    mark: bytes
    erasing: int = NEVER  # the place where its erasure was asked for
    erased: int = NEVER  # and where that was answered

    @property
    def tombstone(self) -> bytes:
        return encode_event(Purged(tenant=self.tenant, at=0.0))

    def allowed(self, cut: int) -> set[bytes]:
        if self.erased <= cut:
            return {self.tombstone}
        return {self.payload, self.tombstone} if self.erasing <= cut else {self.payload}


class Append(msgspec.Struct):
    """Events that were handed in together: the number of the last one, and the place of the answer."""

    last: int
    answered: int = NEVER


class Kept(msgspec.Struct):
    """A record, and the place of the answer to a flush that covers it."""

    record: Learned
    answered: int = NEVER


class Ledger:
    """The client's side of one life of a journal."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []  # of event 1, 2, ...
        self.appends: list[Append] = []
        self.records: dict[str, Kept] = {}

    def hand_in(self, events: Mapping[bytes, AnyEvent]) -> Append:
        """Note an append that is about to be made, its events by their marks."""
        self.entries += (Entry(encode_event(event), event.tenant, mark) for mark, event in events.items())
        self.appends.append(Append(len(self.entries)))
        return self.appends[-1]

    def findings(self, cut: int, found: Found, disk: Mapping[str, bytes]) -> Iterator[Finding]:
        """Everything that a disk, and what was read from it, breaks of the promises made before the cut."""
        yield from self._lengths(cut, [seq for seq, _ in found.rows])
        for (seq, payload), entry in zip(found.rows, self.entries, strict=False):
            if payload not in entry.allowed(cut):
                yield Finding("unerased" if entry.erased <= cut else "strange", f"event {seq} is {payload[:80]!r}")
        erased = {entry.mark for entry in self.entries if entry.erased <= cut}
        for name, content in disk.items() if erased else ():
            yield from (Finding("unerased", f"{mark!r} stands in {name}") for mark in erased & {*MARK.findall(content)})
        yield from self._records(cut, found.records)

    def promised(self, cut: int) -> int:
        """How many events were answered before the cut."""
        return max((append.last for append in self.appends if append.answered <= cut), default=0)

    def _lengths(self, cut: int, seqs: list[int]) -> Iterator[Finding]:
        promised = self.promised(cut)
        if seqs != list(range(1, len(seqs) + 1)):
            yield Finding("gap", f"the events are numbered {seqs[:3]} to {seqs[-3:]}")
        if len(seqs) < promised:
            yield Finding("lost", f"{promised - len(seqs)} of {promised} acknowledged events")
        if len(seqs) not in {0, *(append.last for append in self.appends)}:
            yield Finding("torn", f"event {len(seqs)} is the last and no append's last")

    def _records(self, cut: int, records: Mapping[str, Learned]) -> Iterator[Finding]:
        for name, kept in self.records.items():
            if kept.answered <= cut and name not in records:
                yield Finding("record", f"{name} was flushed and is lost")
        for name, record in records.items():
            if name not in self.records or self.records[name].record != record:
                yield Finding("record", f"{name} is {record}")

    def after(self, cut: int, found: Found) -> "Ledger":
        """The ledger of the life that begins with what was found: all of it is safe from the start."""
        following = Ledger()
        for (_, payload), entry in zip(found.rows, self.entries, strict=False):
            erased = 0 if entry.erased <= cut else NEVER
            mark = entry.mark if erased == 0 or payload == entry.payload else entry.tombstone
            following.entries.append(Entry(payload, entry.tenant, mark, erased, erased))
        following.appends = [Append(len(found.rows), 0)]
        following.records = {name: Kept(record, 0) for name, record in found.records.items()}
        return following
