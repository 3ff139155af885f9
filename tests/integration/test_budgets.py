"""The purse over a real journal: races, lost replies, a journal that refuses, callers that go away, restarts."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.ledger import Ledger
from auditor.money_events import Spender
from auditor.packing import packed
from auditor.periods import DAY_S
from controlplane import failpoints
from controlplane.budgets import LONGEST_S, Reservation
from controlplane.clock import FixedClock
from controlplane.contract import BudgetRequest, ReconcileRequest
from controlplane.errors import BudgetExhausted, JournalUnavailable, UnknownReservation, UnknownTenant, Unprocessable
from controlplane.llm.prices import Charge, Counterfactual
from controlplane.purse import Purse
from controlplane.service import Service

from .conftest import Running, Serve, chosen
from .test_access import Keyed

TENANT, CENT = "default", 10_000_000
CHEAP = Spender(model="small", tier="cheap", purpose="chat", agent="ci", user="ann")
PREMIUM = Spender(model="big", tier="premium", purpose="chat", agent="ci", user="ann")
Begin = Callable[..., Awaitable[Service]]


def limit(usd: float | None, scope: Any = "tenant", period: Any = "day", **whose: Any) -> BudgetRequest:
    tenant = {"tenant": TENANT} if scope in ("tenant", "agent", "user") else {}
    return BudgetRequest(scope=scope, period=period, limit_usd=usd, why="enough", **{**tenant, **whose})


def sums(service: Service) -> tuple[int, int]:
    """What the tenant spent today, and what is held, in nano-USD."""
    slot = Purse(service).spent_today(TENANT)
    return slot.spent, slot.reserved


async def folded(service: Service) -> None:
    await service.learner.passed(service.journal.last_seq)


def at_rest(ledger: Ledger) -> bytes:
    return b"".join(packed(ledger.dump()))


@pytest.fixture(autouse=True)
def _no_failpoints() -> Any:
    yield
    failpoints.arm("")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(1_795_737_600.0)


@pytest.fixture
async def begin(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Begin]:
    """Opens the service on this test's folder, after it closed the one before; `afresh` without recovery files."""
    running: list[Service] = []

    async def opened(*, afresh: bool = False) -> Service:
        while running:
            await running.pop().close()
        for file in (tmp_path / "data" / "recovery").glob("*" if afresh else "nothing"):
            file.unlink()
        running.append(await Service.open(chosen(tmp_path / "data"), clock))
        return running[-1]

    yield opened
    while running:
        await running.pop().close()


@pytest.fixture
async def service(begin: Begin) -> Service:
    return await begin()


async def test_of_a_thousand_calls_at_once_as_many_are_made_as_the_limit_holds(service: Service) -> None:
    """C1: a limit of a hundred calls, no nano-USD over, and nothing is held at the end."""
    billed, made = 0, 0
    await service.budgets.set("", limit(1.0))

    async def call() -> None:
        nonlocal billed, made
        try:
            held = await service.budgets.reserve(TENANT, CHEAP, CENT)
        except BudgetExhausted:
            return
        made += 1
        billed += CENT
        await asyncio.sleep(0)
        await service.budgets.settle(held, Charge(CENT, "usage"))

    await asyncio.gather(*(call() for _ in range(1000)))
    await folded(service)
    assert 99 <= made <= 100
    assert sums(service) == (billed, 0)
    assert billed <= 100 * CENT


@pytest.mark.parametrize("calls", [300, pytest.param(20_000, marks=pytest.mark.nightly)])
async def test_no_limit_of_any_scope_is_exceeded_at_any_moment_of_a_drawn_day(
    service: Service, clock: FixedClock, seed: int, calls: int
) -> None:
    """Calls of drawn sizes, models, agents and users at once; each is settled, lost, released or forgotten."""
    rng = random.Random(seed)
    for request in (
        limit(3.0, "global", "week"),
        limit(2.0),
        limit(1.0, "model", name="big"),
        limit(0.7, "agent", "month", name="a1"),
        limit(0.5, "user", name="u2"),
    ):
        await service.budgets.set("", request)

    async def call() -> None:
        spender = Spender(
            model=rng.choice(("small", "big")),
            tier=rng.choice(("cheap", "premium")),
            purpose="chat",
            agent=rng.choice(("", "a1", "a2")),
            user=rng.choice(("u1", "u2")),
        )
        await asyncio.sleep(rng.random() * 0.02)
        try:
            held = await service.budgets.reserve(TENANT, spender, rng.randrange(1, 2 * CENT))
        except BudgetExhausted:
            return
        await asyncio.sleep(rng.random() * 0.02)
        match rng.randrange(4):
            case 0:
                await service.budgets.lose(held)
            case 1:
                await service.budgets.release(held)
            case _:
                await service.budgets.settle(held, Charge(rng.randrange(held.nano_usd + 1), "usage"))

    async def watch() -> None:
        while True:
            over = [use for use in Purse(service).uses(None, clock.now()) if use.left < 0]
            assert over == []
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    for _ in range(0, calls, 100):
        await asyncio.gather(*(call() for _ in range(100)))
        clock.advance(rng.choice((60, DAY_S / 3)))
    assert not watching.done(), watching.exception()
    watching.cancel()
    await folded(service)
    assert service.learner.state.ledger.held == {}


async def test_a_reply_that_was_lost_after_billing_stays_charged_until_an_operator_says_what_it_cost(
    service: Service,
) -> None:
    """C2: what is spent is never less than what was billed."""
    held = await service.budgets.reserve(TENANT, CHEAP, 5 * CENT)
    await service.budgets.lose(held)
    await folded(service)
    assert sums(service) == (5 * CENT, 0)
    told = Purse(service).describe(TENANT, "day")
    assert [(of.reservation_id, of.charged_usd) for of in told.unreconciled] == [(held.reservation_id, 0.05)]
    assert "0.05 USD" in told.recommendations[-1].arithmetic
    await service.budgets.reconcile("k1", held.reservation_id, ReconcileRequest(cost_usd=0.02, why="the bill"))
    assert sums(service) == (2 * CENT, 0)
    assert Purse(service).describe(TENANT, "day").unreconciled == []
    with pytest.raises(UnknownReservation):
        await service.budgets.reconcile("k1", held.reservation_id, ReconcileRequest(cost_usd=0.0, why="again"))


async def test_what_a_server_held_when_it_ended_is_charged_whole_by_the_next(begin: Begin) -> None:
    service = await begin()
    for _ in range(3):
        await service.budgets.reserve(TENANT, CHEAP, CENT)
    service = await begin()
    await service.budgets.set("", limit(0.035))
    assert sums(service) == (0, 3 * CENT), "it counts against the limit at once"
    with pytest.raises(BudgetExhausted, match=r"has 0\.005 USD left; this call may cost 0\.01 USD"):
        await service.budgets.reserve(TENANT, CHEAP, CENT)
    await service.budgets.follow_evidence()
    await folded(service)
    assert sums(service) == (3 * CENT, 0)
    assert len(service.learner.state.ledger.unreconciled) == 3


async def test_what_is_under_way_is_left_alone_and_given_up_after_an_hour(service: Service, clock: FixedClock) -> None:
    held = await service.budgets.reserve(TENANT, CHEAP, CENT)
    clock.advance(LONGEST_S - 1)
    await service.budgets.follow_evidence()
    await folded(service)
    assert sums(service) == (0, CENT)
    clock.advance(1)
    await service.budgets.follow_evidence()
    await folded(service)
    assert sums(service) == (CENT, 0)
    await service.budgets.settle(held, Charge(3, "reported"))
    await folded(service)
    assert (sums(service), service.learner.state.ledger.unreconciled) == ((3, 0), {})


async def test_a_refused_reservation_holds_nothing(service: Service) -> None:
    await service.budgets.set("", limit(0.01))
    failpoints.arm("journal.insert:error@1")
    with pytest.raises(JournalUnavailable):
        await service.budgets.reserve(TENANT, CHEAP, CENT)
    await service.budgets.release(await service.budgets.reserve(TENANT, CHEAP, CENT))
    await folded(service)
    assert sums(service) == (0, 0)


async def test_an_end_that_the_journal_refused_is_written_later_and_all_stays_held_until_then(
    service: Service,
) -> None:
    held = await service.budgets.reserve(TENANT, CHEAP, CENT)
    await folded(service)
    failpoints.arm("journal.insert:error@1")
    await service.budgets.settle(held, Charge(7, "usage"))
    await folded(service)
    assert sums(service) == (0, CENT)
    await service.budgets.follow_evidence()
    await folded(service)
    assert (sums(service), service.learner.state.ledger.unreconciled) == ((7, 0), {})


@pytest.mark.parametrize("turns", range(6))
async def test_a_caller_that_goes_away_while_it_reserves_leaves_nothing_held(service: Service, turns: int) -> None:
    await service.budgets.set("", limit(0.01))
    asking = asyncio.create_task(service.budgets.reserve(TENANT, CHEAP, CENT))
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await service.budgets.follow_evidence()
    await folded(service)
    assert (sums(service), service.learner.state.ledger.unreconciled) == ((0, 0), {})
    await service.budgets.reserve(TENANT, CHEAP, CENT)


async def test_premium_goes_before_cheap_as_a_limit_nears(service: Service) -> None:
    await service.budgets.set("", limit(1.0))
    offers: Any = {"cached": (CHEAP, 0), "cheap": (CHEAP, CENT), "premium": (PREMIUM, 10 * CENT)}
    seen = []
    for _ in range(10):
        seen.append(sorted(service.budgets.masked(TENANT, offers)))
        await service.budgets.reserve(TENANT, CHEAP, 10 * CENT)
    assert seen == [[]] * 8 + [["premium"]] * 2
    masked = service.budgets.masked(TENANT, offers)
    assert sorted(masked) == ["cheap", "premium"]
    assert (
        masked["cheap"]
        == "the limit of 1 USD a day of the tenant default has 0 USD left, and cheap may use 100 % of it"
    )


async def test_a_settlement_is_never_more_than_what_was_held_nor_below_nothing(service: Service) -> None:
    for charged in (5 * CENT, -3):
        held = await service.budgets.reserve(TENANT, CHEAP, CENT)
        await service.budgets.settle(held, Charge(charged, "reported"))
    await folded(service)
    assert sums(service) == (CENT, 0)


async def test_what_is_told_of_money_outlives_restarts_and_folds_again_bit_for_bit(begin: Begin, seed: int) -> None:
    service, rng = await begin(), random.Random(seed)
    await service.budgets.set("", limit(1.0))
    for _ in range(40):
        held = await service.budgets.reserve(TENANT, rng.choice((CHEAP, PREMIUM)), rng.randrange(1, CENT))
        await rng.choice((service.budgets.lose, service.budgets.release, _settled(service, rng)))(held)
    await folded(service)
    before, told = at_rest(service.learner.state.ledger), Purse(service).describe(None, "month")
    for afresh in (False, True):
        service = await begin(afresh=afresh)
        assert at_rest(service.learner.state.ledger) == before
        assert Purse(service).describe(None, "month") == told


def _settled(service: Service, rng: random.Random) -> Callable[[Reservation], Awaitable[None]]:
    async def settle(held: Reservation) -> None:
        cost = rng.randrange(held.nano_usd + 1)
        await service.budgets.settle(held, Charge(cost, "usage"), Counterfactual(cost // 2, cost * 3))

    return settle


async def test_the_purse_shows_where_money_went_where_it_leads_and_what_could_be_done(
    service: Service, clock: FixedClock
) -> None:
    """Four days of one premium call each, 0.08 USD where cheap is 0.01: by hand."""
    await service.budgets.set("k1", limit(0.5, period="month"))
    for _ in range(4):
        held = await service.budgets.reserve(TENANT, PREMIUM, 10 * CENT)
        await service.budgets.settle(held, Charge(8 * CENT, "usage"), Counterfactual(CENT, 8 * CENT))
        clock.advance(DAY_S)
    clock.advance(-2 * DAY_S)  # 2026-11-29, and the month has two days left
    await folded(service)
    told = Purse(service).describe(TENANT, "month")
    assert (told.spent_usd, told.calls, told.reserved_usd) == (0.32, 4, 0.0)
    assert [(of.by, of.name, of.spent_usd) for of in told.spent_by] == [
        ("model", "big", 0.32),
        ("agent", "ci", 0.32),
        ("user", "ann", 0.32),
        ("tier", "premium", 0.32),
        ("purpose", "chat", 0.32),
    ]
    [of] = told.limits
    assert (of.limit_usd, of.left_usd, of.near, of.set_by, of.why) == (0.5, 0.18, False, "k1", "enough")
    assert (of.forecast.a_day_usd, of.forecast.whole_days, of.forecast.at_end_usd) == (0.08, 2, 0.48)
    saved = {of.baseline: (of.model, of.would_have_cost_usd, of.saved_usd) for of in told.savings}
    assert saved == {"always_premium": ("gpt-4.1", 0.32, 0.0), "always_cheap": ("gpt-4.1-mini", 0.04, -0.28)}
    assert [(of.do, of.saves_usd) for of in told.recommendations] == [
        ("ask gpt-4.1-mini where it is good enough", 0.28)
    ]
    assert told.recommendations[0].arithmetic.endswith("0.32 USD - 0.04 USD = 0.28 USD")
    await service.budgets.set("k1", limit(0.4, period="month"))
    [_, less] = Purse(service).describe(TENANT, "month").recommendations
    assert less.do.startswith("spend at most 0.04 USD a day from here on, or raise the limit of 0.4 USD a month")
    assert less.arithmetic == (
        "0.32 USD spent + 0.08 USD a day x 2.00 days = 0.48 USD, and 0.48 USD - 0.4 USD = 0.08 USD"
    )


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (limit(1.0, "global", tenant="default"), Unprocessable),
        (limit(1.0, "tenant", tenant=None), Unprocessable),
        (limit(1.0, "tenant", name="x"), Unprocessable),
        (limit(1.0, "agent"), Unprocessable),
        (limit(1.0, "model", name="m", tenant="default"), Unprocessable),
        (limit(1.0, "tenant", tenant="nobody"), UnknownTenant),
    ],
    ids=repr,
)
async def test_a_limit_that_cannot_be_meant_is_refused(service: Service, request_: BudgetRequest, refused: Any) -> None:
    with pytest.raises(refused):
        await service.budgets.set("", request_)


def spent(server: Running, nano_usd: int, spender: Spender = CHEAP, tenant: str = TENANT) -> str:
    """A call that cost so much; the id of its reservation."""

    async def call() -> str:
        held = await server.service.budgets.reserve(tenant, spender, nano_usd)
        await server.service.budgets.settle(held, Charge(nano_usd, "usage"))
        await folded(server.service)
        return held.reservation_id

    return str(server.run(call()))


def test_operators_set_see_and_take_away_limits_and_reconcile_over_http(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        keyed, body = Keyed(running), {"scope": "tenant", "tenant": "default", "period": "day", "why": "enough"}
        told = keyed.operate("PUT", "/v1/admin/budget", {**body, "limit_usd": 0.1})
        assert [(of["scope"], of["tenant"], of["limit_usd"]) for of in told["limits"]] == [("tenant", "default", 0.1)]
        spent(running, 5 * CENT)
        told = keyed.operate("GET", "/admin/budget?tenant=default&period=day")
        assert (told["spent_usd"], told["limits"][0]["left_usd"]) == (0.05, 0.05)
        again = keyed.operate("GET", "/v1/admin/budget?tenant=default&period=day")
        assert (again["spent_by"], again["begins_at"]) == (told["spent_by"], told["begins_at"])
        lost = running.run(running.service.budgets.reserve("default", CHEAP, CENT))
        running.run(running.service.budgets.lose(lost))
        path = f"/v1/admin/budget/reservations/{lost.reservation_id}"
        running.until(lambda: keyed.operate("GET", "/v1/admin/budget")["unreconciled"])
        keyed.operate("PUT", path, {"cost_usd": 0.001, "why": "the bill"})
        assert keyed.operate("PUT", path, {"cost_usd": 0.0, "why": "again"}, 404)["code"] == "unknown_reservation"
        assert keyed.operate("GET", "/v1/admin/budget")["spent_usd"] == 0.051
        refused = keyed.operate("GET", "/v1/admin/budget?period=year", status=400)
        assert refused["detail"] == "period: Invalid enum value 'year'; it takes day, month, week"
        told = keyed.operate("PUT", "/v1/admin/budget", {**body, "limit_usd": None})
        assert told["limits"] == []
        acts = keyed.operate("GET", "/v1/admin/audit")
        assert [(act["act"], act["about"]) for act in acts[:3]] == [
            ("budget_set", "tenant"),
            ("reconciled", lost.reservation_id),
            ("budget_set", "tenant"),
        ]
        assert {act["by"] for act in acts[:3]} == {keyed.admin.split("_")[2]}


def test_a_limit_that_nears_is_an_alarm_a_word_in_the_status_and_a_metric(serve: Serve, upstream: Any) -> None:
    heard: list[bytes] = []

    def answer(handler: Any, n: int) -> None:
        heard.append(receiver.asked[n - 1][1])
        handler.send_response(204)
        handler.end_headers()

    receiver = upstream(answer)
    server = serve(alarm_url=receiver.url)
    server.run(server.service.budgets.set("", limit(1.0)))
    spent(server, 79 * CENT)
    assert server.get("/status")["budget"]["near"] == []
    spent(server, CENT)
    spent(server, CENT)
    server.until(lambda: heard)
    [alarm] = heard
    assert b'"alarm":"budget_near"' in alarm
    assert b'"limit_usd":1.0,"spent_usd":0.8' in alarm
    status = server.get("/status")["budget"]
    assert status == {
        "spent_today_usd": 0.81,
        "reserved_usd": 0.0,
        "near": ["the limit of 1 USD a day of the tenant default"],
        "unreconciled": 0,
    }
    assert server.metric("pointsman_budget_used_ratio", scope="tenant", period="day") == 0.81
    assert server.metric("pointsman_spent_usd", tier="cheap") == 0.81


def test_a_wrong_catalogue_ends_the_start_with_its_field(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[models]]\nname = "x"\n', "utf-8")
    with pytest.raises(Exception, match=r"POINTSMAN_CATALOGUE: models.toml: .*models\[0\]"):
        asyncio.run(Service.open(chosen(tmp_path / "data", catalogue=str(tmp_path / "models.toml"))))
