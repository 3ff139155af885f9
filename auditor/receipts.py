"""Answers to requests with an idempotency key that only the fold knows, kept until they are journalled themselves.

A crash between a report's commit and its answer loses neither: who asks again is told what the fold answered.
"""

import msgspec

from .answers import Answer
from .events import Answered, Received

REPEATABLE_S = 86_400.0  # how long a request may come again under its key


class Owed(msgspec.Struct, kw_only=True):
    """What a request is to be answered; `seq` is that of its effect."""

    seq: int
    at: float
    answer: Answer = None


class Receipts:
    """Of all tenants. A restore does not touch them: what was answered stays answered."""

    def __init__(self) -> None:
        self._owed: dict[int, Owed] = {}

    def receive(self, seq: int, event: Received) -> None:
        """The next event is the effect of a keyed request; forget whom nobody asked about for too long."""
        self._owed = {s: owed for s, owed in self._owed.items() if event.at - owed.at < REPEATABLE_S}
        if event.answer is None:
            self._owed[seq + 1] = Owed(seq=seq + 1, at=event.at)

    def fold(self, seq: int, answer: Answer) -> None:
        """Keep what an event was answered, if its request is owed that; an effect without an answer owes nothing."""
        if (owed := self._owed.get(seq)) is None:
            return
        owed.answer = answer
        if answer is None:
            del self._owed[seq]

    def settle(self, event: Answered) -> None:
        """The answer is in the journal."""
        self._owed.pop(event.receipt + 1, None)

    def of(self, seq: int) -> Answer:
        """What the request whose effect this is was answered; None once that is journalled."""
        owed = self._owed.get(seq)
        return None if owed is None else owed.answer

    def dump(self) -> list[Owed]:
        return list(self._owed.values())

    @classmethod
    def load(cls, dump: list[Owed]) -> "Receipts":
        receipts = cls()
        receipts._owed = {owed.seq: owed for owed in dump}
        return receipts
