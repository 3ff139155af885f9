"""What was spent and what is held, by place and period: a fold of the money events.

A place is whatever money is counted for: all tenants, a tenant, a model, an agent, a user, and for the breakdown a
tier and a purpose. A period has its own sum, found by its key: a clock that is set back finds what was spent then, and
nothing begins anew twice. Old periods become one sum; a time before all that are kept counts as the oldest kept.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from .accounts import Account, AccountDump, Place, Slot
from .money_events import BudgetSet, MoneyEvent, Reconciled, Released, Reserved, Scope, Settled, Spender
from .periods import PERIODS, Period, key_of

KEPT: dict[Period, int] = {"day": 35, "week": 8, "month": 13}  # periods that have a sum of their own
MOST_NAMES = 1000  # of one kind in a tenant; what has no limit then counts among the others
MOST_UNRECONCILED = 1000
MOST_FOUND = 1000  # places and periods whose sums are at hand
OTHERS = "(others)"
NEAR_PERCENT = 80  # of a limit, from which on it is near
Keys = dict[Period, int]


class Limit(msgspec.Struct, frozen=True, array_like=True):
    """What may be spent at a place in each period, and the event that set it."""

    place: Place
    period: Period
    nano_usd: int
    seq: int
    at: float
    by: str
    why: str


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A reservation, at the places and in the periods it counts in."""

    reservation_id: str
    tenant: str
    spender: Spender
    nano_usd: int
    at: float
    places: tuple[Place, ...]
    keys: Keys


class Use(msgspec.Struct, frozen=True):
    """A limit, with what is spent of it and held in the period that runs."""

    limit: Limit
    key: int
    spent: int
    reserved: int

    @property
    def left(self) -> int:
        return self.limit.nano_usd - self.spent - self.reserved

    @property
    def near(self) -> bool:
        return self.spent * 100 >= self.limit.nano_usd * NEAR_PERCENT


class LedgerDump(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger at rest."""

    limits: list[Limit] = []
    kept: dict[Period, list[int]] = {}
    accounts: list[AccountDump] = []
    held: list[Held] = []
    unreconciled: list[Held] = []
    forgotten: int = 0


class Ledger:
    """Of all tenants. A restore does not touch it: what was spent is no part of what is learnt."""

    def __init__(self, dump: LedgerDump | None = None) -> None:
        at_rest = dump or LedgerDump()
        self.limits = {(of.place, of.period): of for of in at_rest.limits}
        self.accounts = {of.place: Account(of) for of in at_rest.accounts}
        self.held = {of.reservation_id: of for of in at_rest.held}
        self.unreconciled = {of.reservation_id: of for of in at_rest.unreconciled}
        self.forgotten = at_rest.forgotten  # unreconciled ones that had to make room: they stay charged
        self._kept: dict[Period, list[int]] = {period: at_rest.kept.get(period, []) for period in PERIODS}
        self._names: dict[tuple[str, str], set[str]] = {}
        self._found: dict[tuple[Any, ...], list[Slot]] = {}
        for kind, tenant, name in self.accounts:
            self._names.setdefault((kind, tenant), set()).add(name)

    def fold(self, seq: int, event: MoneyEvent) -> tuple[Use, ...]:
        """Fold one event; the limits that are near from here on."""
        match event:
            case Reserved():
                self._reserve(event)
            case Settled():
                return self._settle(event)
            case Released():
                self._release(event)
            case Reconciled() if event.reservation_id in self.unreconciled:
                self._correct(event.reservation_id, event.nano_usd)
            case BudgetSet():
                return self._set(seq, event)
        return ()

    def uses(self, tenant: str, spender: Spender, at: float) -> Iterator[Use]:
        """Every limit that binds whoever spends so."""
        for place in places_of(tenant, spender) if self.limits else ():
            yield from self.uses_at(place, at)

    def uses_at(self, place: Place, at: float) -> Iterator[Use]:
        """The limits of one place."""
        for period in PERIODS:
            if (limit := self.limits.get((place, period))) is not None:
                yield self._use(limit, self.key(period, at))

    def slot(self, place: Place, period: Period, key: int) -> Slot:
        """What is counted there; of nothing, an empty one."""
        account = self.accounts.get(place)
        return Slot() if account is None else account.slots.get(period, {}).get(key) or Slot()

    def key(self, period: Period, at: float) -> int:
        """The key that a moment counts under."""
        key, kept = key_of(period, at), self._kept[period]
        if key in kept or len(kept) < KEPT[period]:
            return key
        return max(key, min(kept))

    def dump(self) -> LedgerDump:
        """Equal ledgers give equal dumps."""
        return LedgerDump(
            limits=[of for _, of in sorted(self.limits.items())],
            kept={period: sorted(keys) for period, keys in self._kept.items()},
            accounts=[account.dump(place) for place, account in sorted(self.accounts.items())],
            held=list(self.held.values()),
            unreconciled=list(self.unreconciled.values()),
            forgotten=self.forgotten,
        )

    def _use(self, limit: Limit, key: int) -> Use:
        slot = self.slot(limit.place, limit.period, key)
        return Use(limit, key, slot.spent, slot.reserved)

    def _reserve(self, event: Reserved) -> None:
        keys = {period: self._open(period, event.at) for period in PERIODS}
        places = tuple(self._known(place, keys["month"]) for place in places_of(event.tenant, event.spender))
        held = Held(event.reservation_id, event.tenant, event.spender, event.nano_usd, event.at, places, keys)
        self.held[event.reservation_id] = held
        for slot in self._slots(held):
            slot.reserved += held.nano_usd

    def _settle(self, event: Settled) -> tuple[Use, ...]:
        if (held := self.held.get(event.reservation_id)) is None:
            if event.basis != "reservation" and event.reservation_id in self.unreconciled:
                self._correct(event.reservation_id, event.nano_usd)  # it came after it was given up
            return ()
        before = {use.limit: use.near for use in self.uses(held.tenant, held.spender, event.at)}
        self._let_go(held)
        for slot in self._slots(held):
            slot.spend(event)
        if event.basis == "reservation":
            self._note(held)
        after = self.uses(held.tenant, held.spender, event.at)
        return tuple(use for use in after if use.near and not before[use.limit])

    def _release(self, event: Released) -> None:
        if (held := self.held.get(event.reservation_id)) is not None:
            self._let_go(held)
        elif event.reservation_id in self.unreconciled:
            self._correct(event.reservation_id, 0)

    def _correct(self, reservation_id: str, nano_usd: int) -> None:
        held = self.unreconciled.pop(reservation_id)
        for slot in self._slots(held):
            slot.spent += nano_usd - held.nano_usd

    def _set(self, seq: int, event: BudgetSet) -> tuple[Use, ...]:
        place = place_of(event.scope, event.tenant, event.name)
        if event.nano_usd is None:
            self.limits.pop((place, event.period), None)
            return ()
        limit = Limit(place, event.period, event.nano_usd, seq, event.at, event.by, event.why)
        self.limits[place, event.period] = limit
        use = self._use(limit, self.key(event.period, event.at))
        return (use,) if use.near else ()

    def _let_go(self, held: Held) -> None:
        del self.held[held.reservation_id]
        for slot in self._slots(held):
            slot.reserved -= held.nano_usd

    def _note(self, held: Held) -> None:
        self.unreconciled[held.reservation_id] = held
        if len(self.unreconciled) > MOST_UNRECONCILED:
            del self.unreconciled[next(iter(self.unreconciled))]
            self.forgotten += 1

    def _slots(self, held: Held) -> list[Slot]:
        """Where a call counts; looked up once for all calls of the same places in the same periods."""
        where = (held.places, *held.keys.items())
        if (found := self._found.get(where)) is None:
            if len(self._found) == MOST_FOUND:
                self._found.clear()
            found = self._found[where] = [
                account.slot(period, key, opened=key in self._kept[period])
                for account in map(self._account_of, held.places)
                for period, key in held.keys.items()
            ]
        return found

    def _account_of(self, place: Place) -> Account:
        return self.accounts.get(place) or self._account((place[0], place[1], OTHERS))

    def _open(self, period: Period, at: float) -> int:
        """The key that a moment counts under, which has a sum of its own from here on."""
        key, kept = self.key(period, at), self._kept[period]
        if key in kept:
            return key
        self._found.clear()
        kept.append(key)
        if len(kept) > KEPT[period]:
            kept.remove(min(kept))
            for account in self.accounts.values():
                account.keep(period, kept)
        return key

    def _known(self, place: Place, month: int) -> Place:
        """The place, or where there are too many names that of the others."""
        kind, tenant, _ = place
        if place in self.accounts or self._limited(place):
            return self._counted(place)
        names = self._names.get((kind, tenant), set())
        if len(names) >= MOST_NAMES and not self._make_room(kind, tenant, month):
            return self._counted((kind, tenant, OTHERS))
        return self._counted(place)

    def _make_room(self, kind: str, tenant: str, month: int) -> bool:
        """Let go of the first name, by the alphabet, that spent nothing this month and has no limit."""
        for name in sorted(self._names[kind, tenant] - {OTHERS}):
            place = (kind, tenant, name)
            account = self.accounts[place]
            busy = month in account.slots.get("month", {}) or account.total.reserved
            if not busy and not self._limited(place):
                self._found.clear()
                self._names[kind, tenant].discard(name)
                self._account((kind, tenant, OTHERS)).earlier.add(self.accounts.pop(place).total)
                return True
        return False

    def _limited(self, place: Place) -> bool:
        return any((place, period) in self.limits for period in PERIODS)

    def _counted(self, place: Place) -> Place:
        self._account(place)
        return place

    def _account(self, place: Place) -> Account:
        if (account := self.accounts.get(place)) is None:
            account = self.accounts[place] = Account()
            self._names.setdefault(place[:2], set()).add(place[2])
        return account


def places_of(tenant: str, spender: Spender) -> list[Place]:
    """Where a call counts. A model's limit is of all tenants, its breakdown of each."""
    model, named = spender.model, (("agent", spender.agent), ("user", spender.user))
    places = [("global", "", ""), ("tenant", tenant, ""), ("model", "", model), ("model", tenant, model)]
    places += [("tier", tenant, spender.tier), ("purpose", tenant, spender.purpose)]
    return places + [(kind, tenant, name) for kind, name in named if name]


def place_of(scope: Scope, tenant: str, name: str) -> Place:
    """Where a limit binds."""
    return (scope, "" if scope in ("global", "model") else tenant, name)
