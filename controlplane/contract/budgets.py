"""What operators send and see about money. Amounts are in USD, exact to a billionth; times in seconds since 1970."""

from typing import Annotated

from msgspec import Meta

from auditor.money_events import Scope
from auditor.periods import Period

from .wire import Answer, Identified, Identifier, Reason, Request

Usd = Annotated[float, Meta(ge=0, le=10**9)]


class BudgetRequest(Request, frozen=True, kw_only=True):
    """A limit to set, or with null to take away: what may be spent in each period."""

    scope: Scope
    tenant: Identifier | None = None
    name: Identified | None = None
    period: Period
    limit_usd: Usd | None
    why: Reason


class ReconcileRequest(Request, frozen=True, kw_only=True):
    """What a call really cost of which all that was held is charged."""

    cost_usd: Usd
    why: Reason


class ForecastAnswer(Answer, frozen=True, kw_only=True):
    """What will be spent by the end of the period; nine times in ten it is between `low_usd` and `high_usd`."""

    at_end_usd: float
    low_usd: float | None
    high_usd: float | None
    a_day_usd: float
    whole_days: int


class LimitAnswer(Answer, frozen=True, kw_only=True):
    """A limit, and what is used of it in the period that runs."""

    scope: Scope
    tenant: str | None
    name: str | None
    period: Period
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float
    near: bool
    ends_at: float
    forecast: ForecastAnswer
    set_at: float
    set_by: str
    why: str


class SpentAnswer(Answer, frozen=True, kw_only=True):
    """What was spent on one model, agent, user, tier or purpose of a tenant."""

    by: str
    tenant: str
    name: str
    spent_usd: float
    reserved_usd: float
    calls: int


class SavingsAnswer(Answer, frozen=True, kw_only=True):
    """What the calls of which both are known would have cost on one model always."""

    baseline: str
    model: str | None
    spent_usd: float
    would_have_cost_usd: float
    saved_usd: float


class RecommendationAnswer(Answer, frozen=True, kw_only=True):
    """What could be done, with the sum it follows from."""

    do: str
    arithmetic: str
    saves_usd: float


class UnreconciledAnswer(Answer, frozen=True, kw_only=True):
    """A call of which nobody knows what it cost: all that was held for it is charged."""

    reservation_id: str
    tenant: str
    model: str
    agent: str
    user: str
    at: float
    charged_usd: float


class BudgetAnswer(Answer, frozen=True, kw_only=True):
    """The purse in the period that runs."""

    tenant: str | None
    period: Period
    begins_at: float
    ends_at: float
    spent_usd: float
    reserved_usd: float
    calls: int
    forecast: ForecastAnswer
    limits: list[LimitAnswer]
    spent_by: list[SpentAnswer]
    savings: list[SavingsAnswer]
    recommendations: list[RecommendationAnswer]
    unreconciled: list[UnreconciledAnswer]
    forgotten: int
