"""What operators see of money: limits, sums, where it went, where it leads, what could be done about it."""

from collections.abc import Iterable

from auditor.accounts import Place, Slot
from auditor.forecast import Forecast, forecast
from auditor.ledger import Held, Use
from auditor.periods import DAY_S, Period, begins

from .budgets import told, usd
from .contract import (
    BudgetAnswer,
    ForecastAnswer,
    LimitAnswer,
    RecommendationAnswer,
    SavingsAnswer,
    SpentAnswer,
    UnreconciledAnswer,
)
from .service import Service

KINDS = ("model", "agent", "user", "tier", "purpose")  # by which what was spent is told apart
MOST_ROWS = 100  # of each kind, the dearest
DAYS = 28  # whole ones that a forecast rests on, at most
NANO = 1e9


class Purse:
    """Looks at the ledger; one tenant's part of it, or all."""

    def __init__(self, service: Service) -> None:
        self._budgets, self._ledger = service.budgets, service.learner.state.ledger
        self._catalogue, self._clock = service.catalogue, service.clock

    def describe(self, tenant: str | None, period: Period) -> BudgetAnswer:
        """The period that runs, of one tenant or of all."""
        at = self._clock.now()
        place = ("global", "", "") if tenant is None else ("tenant", tenant, "")
        key = self._ledger.key(period, at)
        slot, uses = self._ledger.slot(place, period, key), self.uses(tenant, at)
        open_ends = [held for held in self._ledger.unreconciled.values() if tenant in (None, held.tenant)]
        return BudgetAnswer(
            tenant=tenant,
            period=period,
            begins_at=begins(period, key),
            ends_at=begins(period, key + 1),
            spent_usd=slot.spent / NANO,
            reserved_usd=slot.reserved / NANO,
            calls=slot.calls,
            forecast=_told(self._forecast(place, period, key, at)),
            limits=[self._limit(use, at) for use in uses],
            spent_by=self._spent_by(tenant, period, key),
            savings=self._savings(slot),
            recommendations=[*self._cheaper(tenant, period, key), *self._too_much(uses, at), *_unknown(open_ends)],
            unreconciled=[_unreconciled(held) for held in open_ends],
            forgotten=self._ledger.forgotten,
        )

    def uses(self, tenant: str | None, at: float) -> list[Use]:
        """Every limit there is, or those that are a tenant's own."""
        places = sorted({place for place, _ in self._ledger.limits if tenant in (None, place[1])})
        return self._budgets.uses(use for place in places for use in self._ledger.uses_at(place, at))

    def most_used(self) -> dict[tuple[str, Period], float]:
        """By scope and period, the share of the limit of which most is used."""
        found: dict[tuple[str, Period], float] = {}
        for use in self.uses(None, self._clock.now()):
            where = use.limit.place[0], use.limit.period
            share = (use.spent + use.reserved) / use.limit.nano_usd if use.limit.nano_usd else 1.0
            found[where] = max(found.get(where, 0.0), share)
        return found

    def near(self, tenant: str) -> list[str]:
        """The tenant's limits that are near, in words."""
        return [told(use) for use in self.uses(tenant, self._clock.now()) if use.near]

    def spent_today(self, tenant: str) -> Slot:
        """What the tenant spent since midnight (UTC)."""
        return self._ledger.slot(("tenant", tenant, ""), "day", self._ledger.key("day", self._clock.now()))

    def _forecast(self, place: Place, period: Period, key: int, at: float) -> Forecast:
        account, today = self._ledger.accounts.get(place), self._ledger.key("day", at)
        known = account.slots.get("day", {}) if account else {}
        first = max(min(known, default=today), today - DAYS)
        days = [known[day].spent if day in known else 0 for day in range(first, today)]
        return forecast(period, key, at, self._ledger.slot(place, period, key).spent, days)

    def _limit(self, use: Use, at: float) -> LimitAnswer:
        (scope, tenant, name), limit = use.limit.place, use.limit
        return LimitAnswer(
            scope=scope,  # type: ignore[arg-type]  # limits are set for scopes alone
            tenant=tenant or None,
            name=name or None,
            period=limit.period,
            limit_usd=limit.nano_usd / NANO,
            spent_usd=use.spent / NANO,
            reserved_usd=use.reserved / NANO,
            left_usd=max(use.left, 0) / NANO,
            near=use.near,
            ends_at=begins(limit.period, use.key + 1),
            forecast=_told(self._forecast(limit.place, limit.period, use.key, at)),
            set_at=limit.at,
            set_by=limit.by,
            why=limit.why,
        )

    def _spent_by(self, tenant: str | None, period: Period, key: int) -> list[SpentAnswer]:
        rows = []
        for kind in KINDS:
            found = [
                (place, slot)
                for place, account in self._ledger.accounts.items()
                if place[0] == kind and place[1] and tenant in (None, place[1])
                if (slot := account.slots.get(period, {}).get(key)) is not None
            ]
            found.sort(key=lambda of: (-of[1].spent, of[0]))
            rows += [_spent(place, slot) for place, slot in found[:MOST_ROWS]]
        return rows

    def _savings(self, slot: Slot) -> list[SavingsAnswer]:
        """Against always one model; below 0 where that one would have been cheaper."""
        would = {"always_premium": ("premium", slot.if_premium), "always_cheap": ("cheap", slot.if_cheap)}
        return [
            SavingsAnswer(
                baseline=baseline,
                model=self._named(tier),
                spent_usd=slot.compared / NANO,
                would_have_cost_usd=cost / NANO,
                saved_usd=(cost - slot.compared) / NANO,
            )
            for baseline, (tier, cost) in would.items()
        ]

    def _named(self, tier: str) -> str | None:
        model = self._catalogue.baseline(tier)  # type: ignore[arg-type]  # one of the two above
        return None if model is None else model.name

    def _cheaper(self, tenant: str | None, period: Period, key: int) -> Iterable[RecommendationAnswer]:
        total = Slot()
        for (kind, of, name), account in self._ledger.accounts.items():
            if (kind, name) == ("tier", "premium") and tenant in (None, of):
                total.add(account.slots.get(period, {}).get(key) or Slot())
        if (saves := total.compared - total.if_cheap) > 0:
            cheap = self._named("cheap")
            yield RecommendationAnswer(
                do=f"ask {cheap} where it is good enough",
                arithmetic=f"premium calls of this {period} cost {usd(total.compared)}; their tokens cost "
                f"{usd(total.if_cheap)} on {cheap}: {usd(total.compared)} - {usd(total.if_cheap)} = {usd(saves)}",
                saves_usd=saves / NANO,
            )

    def _too_much(self, uses: Iterable[Use], at: float) -> Iterable[RecommendationAnswer]:
        for use in uses:
            limit, key = use.limit, use.key
            known = self._forecast(limit.place, limit.period, key, at)
            days = max(0.0, begins(limit.period, key + 1) - at) / DAY_S
            if (over := known.at_end - limit.nano_usd) > 0 and days > 0:
                most = max(limit.nano_usd - use.spent, 0) / days
                yield RecommendationAnswer(
                    do=f"spend at most {usd(int(most))} a day from here on, or raise {told(use)} by {usd(over)}",
                    arithmetic=f"{usd(use.spent)} spent + {usd(known.rate)} a day x {days:.2f} days = "
                    f"{usd(known.at_end)}, and {usd(known.at_end)} - {usd(limit.nano_usd)} = {usd(over)}",
                    saves_usd=over / NANO,
                )


def _unknown(open_ends: list[Held]) -> Iterable[RecommendationAnswer]:
    if open_ends:
        total = sum(held.nano_usd for held in open_ends)
        parts = " + ".join(usd(held.nano_usd) for held in open_ends[:3]) + (" + ..." if len(open_ends) > 3 else "")
        yield RecommendationAnswer(
            do=f"reconcile {len(open_ends)} call(s) with the provider's bill",
            arithmetic=f"all that was held is charged: {parts} = {usd(total)}; what they cost less is free again",
            saves_usd=total / NANO,
        )


def _told(known: Forecast) -> ForecastAnswer:
    return ForecastAnswer(
        at_end_usd=known.at_end / NANO,
        low_usd=None if known.low is None else known.low / NANO,
        high_usd=None if known.high is None else known.high / NANO,
        a_day_usd=known.rate / NANO,
        whole_days=known.days,
    )


def _spent(place: Place, slot: Slot) -> SpentAnswer:
    by, tenant, name = place
    return SpentAnswer(
        by=by,
        tenant=tenant,
        name=name,
        spent_usd=slot.spent / NANO,
        reserved_usd=slot.reserved / NANO,
        calls=slot.calls,
    )


def _unreconciled(held: Held) -> UnreconciledAnswer:
    return UnreconciledAnswer(
        reservation_id=held.reservation_id,
        tenant=held.tenant,
        model=held.spender.model,
        agent=held.spender.agent,
        user=held.spender.user,
        at=held.at,
        charged_usd=held.nano_usd / NANO,
    )
