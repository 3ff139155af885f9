"""Sums of money at one place, one for each period that is kept and one for all that are not."""

from collections.abc import Container
from typing import Self

import msgspec

from .money_events import Settled
from .periods import Period

Place = tuple[str, str, str]  # kind, tenant ("" for all), name ("" where there is one only)


class Slot(msgspec.Struct, array_like=True):
    """What is counted in one period, in nano-USD.

    `compared` is what was spent on calls of which both other sums say what they would have cost.
    """

    spent: int = 0
    reserved: int = 0
    calls: int = 0
    compared: int = 0
    if_cheap: int = 0
    if_premium: int = 0

    def spend(self, settled: Settled) -> None:
        """A call is over that cost so much."""
        self.spent += settled.nano_usd
        self.calls += 1
        if settled.if_cheap is not None and settled.if_premium is not None:
            self.compared += settled.nano_usd
            self.if_cheap += settled.if_cheap
            self.if_premium += settled.if_premium

    def add(self, other: Self) -> None:
        """Count what another one counted."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + getattr(other, field))


class AccountDump(msgspec.Struct, frozen=True, array_like=True):
    """One place at rest."""

    place: Place
    slots: list[tuple[Period, int, Slot]]
    earlier: Slot


class Account:
    """One place."""

    def __init__(self, dump: AccountDump | None = None) -> None:
        self.slots: dict[Period, dict[int, Slot]] = {}
        self.earlier = dump.earlier if dump else Slot()  # of the days that have no sum of their own any more
        for period, key, slot in dump.slots if dump else ():
            self.slots.setdefault(period, {})[key] = slot

    @property
    def reserved(self) -> bool:
        """Whether anything is held here."""
        return any(slot.reserved for slots in self.slots.values() for slot in slots.values())

    @property
    def total(self) -> Slot:
        """All there ever was."""
        total = Slot()
        for slot in (self.earlier, *self.slots.get("day", {}).values()):
            total.add(slot)
        return total

    def slot(self, period: Period, key: int, *, opened: bool) -> Slot:
        """The sum of a period; one that is neither there nor `opened` is a part of what was earlier."""
        slots = self.slots.setdefault(period, {})
        if key in slots:
            return slots[key]
        if opened:
            return slots.setdefault(key, Slot())
        return self.earlier if period == "day" else Slot()

    def keep(self, period: Period, kept: Container[int]) -> None:
        """Let go of the sums of other keys, but of those in which something is held yet."""
        slots = self.slots.get(period, {})
        for old in [old for old, slot in slots.items() if old not in kept and not slot.reserved]:
            slot = slots.pop(old)
            if period == "day":
                self.earlier.add(slot)

    def dump(self, place: Place) -> AccountDump:
        slots = [(period, key, slots[key]) for period, slots in sorted(self.slots.items()) for key in sorted(slots)]
        return AccountDump(place, slots, self.earlier)
