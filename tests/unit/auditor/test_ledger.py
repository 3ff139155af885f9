"""The ledger: no limit is exceeded by what was let in, nothing held is below nothing, and a fold is a fold."""

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.ledger import KEPT, MOST_NAMES, MOST_UNRECONCILED, OTHERS, Ledger, LedgerDump, Use
from auditor.money_events import BudgetSet, MoneyEvent, Reconciled, Released, Reserved, Settled, Spender
from auditor.packing import packed
from auditor.periods import DAY_S, PERIODS, Period, key_of

START = 1_795_737_600.0  # 2026-11-27, a Friday
DRAWN = settings(max_examples=60, derandomize=True, database=None, deadline=None)
CHEAP = Spender(model="small", tier="cheap", purpose="chat", agent="ci", user="ann")


class Book:
    """A ledger, and what lets calls in by it, as `controlplane/budgets.py` does."""

    def __init__(self) -> None:
        self.ledger, self.seq, self.at = Ledger(), 0, START
        self.near: list[Use] = []

    def tell(self, event: MoneyEvent) -> None:
        self.seq += 1
        self.near += self.ledger.fold(self.seq, event)

    def limit(self, scope: Any, nano_usd: int | None, period: Period = "day", name: str = "") -> None:
        head = {"tenant": "" if scope in ("global", "model") else "acme", "at": self.at}
        self.tell(BudgetSet(**head, scope=scope, name=name, period=period, nano_usd=nano_usd, why="enough"))

    def reserve(self, nano_usd: int, spender: Spender = CHEAP) -> str | None:
        """The reservation, where there is room for it."""
        if any(use.left < nano_usd for use in self.ledger.uses("acme", spender, self.at)):
            return None
        name = f"rv_{self.seq}"
        self.tell(Reserved(tenant="acme", at=self.at, reservation_id=name, spender=spender, nano_usd=nano_usd))
        return name

    def settle(self, name: str, nano_usd: int, basis: Any = "usage", **instead: int) -> None:
        head = {"tenant": "acme", "at": self.at, "reservation_id": name}
        self.tell(Settled(**head, nano_usd=nano_usd, basis=basis, **instead))

    def release(self, name: str) -> None:
        self.tell(Released(tenant="acme", at=self.at, reservation_id=name))

    def reconcile(self, name: str, nano_usd: int) -> None:
        self.tell(Reconciled(tenant="acme", at=self.at, reservation_id=name, nano_usd=nano_usd, why="the bill"))

    def sums(self, kind: str = "tenant", name: str = "", period: Period = "day") -> tuple[int, int]:
        tenant = "" if kind in ("global",) else "acme"
        slot = self.ledger.slot((kind, tenant, name), period, self.ledger.key(period, self.at))
        return slot.spent, slot.reserved


@pytest.fixture
def book() -> Book:
    return Book()


def at_rest(ledger: Ledger) -> bytes:
    return b"".join(packed(ledger.dump()))


def loaded(dump: bytes) -> Ledger:
    return Ledger(msgspec.msgpack.decode(dump, type=LedgerDump))


def test_what_is_held_is_spent_when_it_is_settled_and_free_again_when_it_is_released(book: Book) -> None:
    for kind, name in (("global", ""), ("tenant", ""), ("agent", "ci"), ("user", "ann"), ("tier", "cheap")):
        before = book.sums(kind, name)
        one, other = book.reserve(70), book.reserve(20)
        assert one
        assert other
        assert book.sums(kind, name) == (before[0], 90)
        book.settle(one, 50)
        book.release(other)
        assert book.sums(kind, name) == (before[0] + 50, 0)
        assert book.sums(kind, name, "month") == book.sums(kind, name)


@pytest.mark.parametrize(
    ("scope", "name"), [("global", ""), ("tenant", ""), ("model", "small"), ("agent", "ci"), ("user", "ann")]
)
@pytest.mark.parametrize("period", PERIODS)
def test_each_scope_and_period_can_be_limited_and_is_limited_alone(
    book: Book, scope: str, name: str, period: Period
) -> None:
    book.limit(scope, 100, period, name)
    assert book.reserve(101) is None
    assert book.reserve(100)
    assert book.reserve(1) is None
    elsewhere = Spender(model="big", tier="premium", purpose="chat", agent="other", user="bob")
    assert (book.reserve(1, elsewhere) is None) == (scope in ("global", "tenant"))
    book.at += 40 * DAY_S
    assert book.reserve(100), "another period has a limit of its own"


def test_a_limit_that_is_taken_away_binds_no_more(book: Book) -> None:
    book.limit("tenant", 0)
    assert book.reserve(1) is None
    book.limit("tenant", None)
    assert book.reserve(10**12)


def test_what_nobody_settled_is_charged_whole_and_can_be_corrected(book: Book) -> None:
    name = book.reserve(100)
    assert name
    book.settle(name, 100, "reservation")
    assert (book.sums(), list(book.ledger.unreconciled)) == ((100, 0), [name])
    book.at += DAY_S
    book.reconcile(name, 30)
    book.reconcile(name, 99)
    book.at -= DAY_S
    assert (book.sums(), list(book.ledger.unreconciled)) == ((30, 0), [])


def test_an_end_that_comes_after_it_was_given_up_is_believed_and_a_second_end_is_not(book: Book) -> None:
    lost, sure = book.reserve(100), book.reserve(100)
    assert lost
    assert sure
    book.settle(lost, 100, "reservation")
    book.settle(lost, 100, "reservation")
    book.settle(lost, 40)
    book.settle(sure, 10)
    book.settle(sure, 90)
    book.release(sure)
    assert (book.sums(), book.ledger.unreconciled) == ((50, 0), {})


def test_a_call_counts_in_the_period_in_which_it_was_reserved(book: Book) -> None:
    name = book.reserve(100)
    assert name
    book.at += DAY_S
    book.settle(name, 60)
    assert book.sums() == (0, 0)
    book.at -= DAY_S
    assert book.sums() == (60, 0)


def test_a_limit_is_told_to_be_near_once_when_four_fifths_are_spent(book: Book) -> None:
    book.limit("tenant", 100)
    for cost in (79, 1, 10):
        name = book.reserve(cost)
        assert name
        book.settle(name, cost)
    assert [(use.limit.place, use.spent) for use in book.near] == [(("tenant", "acme", ""), 80)]
    book.limit("tenant", 95)
    assert len(book.near) == 2, "a limit that is set below what is near it is told, too"


def test_what_other_tiers_would_have_cost_is_summed_where_both_are_known(book: Book) -> None:
    for instead in ({"if_cheap": 5, "if_premium": 50}, {"if_cheap": 5}, {}):
        name = book.reserve(20)
        assert name
        book.settle(name, 20, **instead)
    slot = book.ledger.slot(("tenant", "acme", ""), "day", book.ledger.key("day", book.at))
    assert (slot.spent, slot.calls) == (60, 3)
    assert (slot.compared, slot.if_cheap, slot.if_premium) == (20, 5, 50)


def test_names_are_bounded_and_one_with_a_limit_always_counts_by_itself(book: Book) -> None:
    book.limit("agent", 100, "day", "late")
    for number in range(MOST_NAMES + 20):
        assert book.reserve(1, Spender(model="m", tier="cheap", purpose="chat", agent=f"a{number}"))
    assert sum(kind == "agent" for kind, _, _ in book.ledger.accounts) <= MOST_NAMES + 2
    assert book.sums("agent", OTHERS) == (0, 20)
    late = Spender(model="m", tier="cheap", purpose="chat", agent="late")
    assert book.reserve(100, late)
    assert book.reserve(1, late) is None


def test_names_that_spent_nothing_this_month_make_room_and_nothing_is_lost(book: Book) -> None:
    for number in range(MOST_NAMES):
        name = book.reserve(2, Spender(model="m", tier="cheap", purpose="chat", agent=f"a{number}"))
        assert name
        book.settle(name, 2)
    book.at += 40 * DAY_S
    assert book.reserve(1, Spender(model="m", tier="cheap", purpose="chat", agent="new"))
    assert ("agent", "acme", "new") in book.ledger.accounts
    assert sum(of.total.spent for (kind, _, _), of in book.ledger.accounts.items() if kind == "agent") == 2 * MOST_NAMES


def test_old_periods_become_one_sum(book: Book) -> None:
    for _ in range(400):
        name = book.reserve(3)
        assert name
        book.settle(name, 3)
        book.at += DAY_S
    account = book.ledger.accounts["tenant", "acme", ""]
    assert {period: len(slots) for period, slots in account.slots.items()} == KEPT
    assert (account.total.spent, account.total.calls) == (1200, 400)


def test_unreconciled_calls_are_bounded_and_what_goes_stays_charged(book: Book) -> None:
    for _ in range(MOST_UNRECONCILED + 3):
        name = book.reserve(1)
        assert name
        book.settle(name, 1, "reservation")
    assert (len(book.ledger.unreconciled), book.ledger.forgotten) == (MOST_UNRECONCILED, 3)
    assert book.sums() == (MOST_UNRECONCILED + 3, 0)


SPENDERS = st.builds(
    Spender,
    model=st.sampled_from(("small", "big")),
    tier=st.sampled_from(("cheap", "premium")),
    purpose=st.just("chat"),
    agent=st.sampled_from(("", "ci")),
    user=st.sampled_from(("", "ann", "bob")),
)
LIMITS = (("global", ""), ("tenant", ""), ("model", "small"), ("agent", "ci"), ("user", "ann"))
ACTS = st.one_of(
    st.tuples(st.just("reserve"), SPENDERS, st.integers(0, 60)),
    st.tuples(st.sampled_from(("settle", "lose", "release", "reconcile")), st.integers(0, 30), st.integers(0, 60)),
    st.tuples(st.just("pass"), st.sampled_from((1, 3600, DAY_S, -DAY_S, 20 * DAY_S, -7 * DAY_S)), st.none()),
)


def act(book: Book, kind: str, what: Any, nano_usd: Any) -> None:
    """One step of a drawn life; what is settled or reconciled costs no more than was held."""
    ledger = book.ledger
    if kind == "pass":
        book.at += what
    elif kind == "reserve":
        book.reserve(nano_usd, what)
    else:
        known = ledger.unreconciled if kind == "reconcile" else ledger.held
        if not known:
            return
        held = list(known.values())[what % len(known)]
        cost = min(nano_usd, held.nano_usd)
        match kind:
            case "settle":
                book.settle(held.reservation_id, cost)
            case "lose":
                book.settle(held.reservation_id, held.nano_usd, "reservation")
            case "release":
                book.release(held.reservation_id)
            case _:
                book.reconcile(held.reservation_id, cost)


@DRAWN
@given(
    limits=st.lists(
        st.tuples(st.sampled_from(LIMITS), st.sampled_from(PERIODS), st.integers(0, 200)), min_size=1, max_size=4
    ),
    acts=st.lists(ACTS, max_size=60),
    cut=st.integers(0, 60),
)
def test_whatever_is_done_no_limit_is_exceeded_and_nothing_held_is_below_nothing(
    limits: list[Any], acts: list[Any], cut: int
) -> None:
    """And a ledger that was written down midway ends in the same bytes."""
    book, again = Book(), None
    for (scope, name), period, nano_usd in {(of, period): (of, period, nano) for of, period, nano in limits}.values():
        book.limit(scope, nano_usd, period, name)
    for number, step in enumerate(acts):
        if number == cut:
            again = Book()
            again.ledger, again.seq, again.at = loaded(at_rest(book.ledger)), book.seq, book.at
        for one in (book, *([again] if again else [])):
            act(one, *step)
        for place, account in book.ledger.accounts.items():
            for period, slots in account.slots.items():
                limit = book.ledger.limits.get((place, period))
                for slot in slots.values():
                    assert min(slot.spent, slot.reserved) >= 0
                    assert limit is None or slot.spent + slot.reserved <= limit.nano_usd
    if (everything := book.ledger.accounts.get(("global", "", ""))) is not None:
        assert everything.total.reserved == sum(held.nano_usd for held in book.ledger.held.values())
    assert again is None or at_rest(again.ledger) == at_rest(book.ledger)


@pytest.mark.parametrize("days", [15, 4000], ids=["within a month", "over years"])
@pytest.mark.parametrize("jumps", [2000, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_each_period_begins_once_however_the_clock_jumps(seed: int, jumps: int, days: int) -> None:
    """C4: after each jump as much is spent as is let in. No key is ever given its limit twice.

    As long as no period is folded away, that is also so by the calendar.
    """
    rng, book = random.Random(seed), Book()
    for period in PERIODS:
        book.limit("tenant", 10 * (1 + PERIODS.index(period)), period)
    by_key, by_calendar = Counter[tuple[Period, int]](), Counter[tuple[Period, int]]()
    for _ in range(jumps):
        book.at = (
            START + rng.uniform(-days, days) * DAY_S if rng.random() < 0.5 else book.at + rng.choice((-3600, 3600))
        )
        while (name := book.reserve(5)) is not None:
            by_key.update((period, key) for period, key in book.ledger.held[name].keys.items())
            by_calendar.update((period, key_of(period, book.at)) for period in PERIODS)
            book.settle(name, 5)
    limits = {period: 2 * (1 + PERIODS.index(period)) for period in PERIODS}
    assert len(by_key) > 3
    assert {of: calls for of, calls in by_key.items() if calls > limits[of[0]]} == {}
    if days < KEPT["day"] / 2:
        assert {of: calls for of, calls in by_calendar.items() if calls > limits[of[0]]} == {}
