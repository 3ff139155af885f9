"""Commands about money: what is spent, held and allowed, and where it went. They ask a running server."""

import sys
from csv import DictWriter
from typing import Annotated, Any
from urllib.parse import urlencode

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from auditor.money_events import Scope
from auditor.periods import Period

from .client import operate
from .output import lines, moment, show, table
from .program import Failed, Flag, Json, Url, app

PATH = "/v1/admin/budget"
Usd = Annotated[float, Parameter(validator=Number(gte=0))]
LIMITS = ("scope", "tenant", "name", "period", "limit_usd", "spent_usd", "reserved_usd", "left_usd", "near", "why")
SPENT = ("by", "tenant", "name", "spent_usd", "reserved_usd", "calls")

budget = cyclopts.App(name="budget", help="See and limit what is spent on language models.")
app.command(budget)


@budget.command(name="show")
def budget_show(*, tenant: str | None = None, period: Period = "month", url: Url = None, json: Json = False) -> None:
    """Show what is spent, held and allowed, where it leads, and what could be done about it.

    Args:
      tenant: Only what is this one's; by default everybody's.
      period: The day, the week or the month (UTC) that runs.
    """
    answer = _asked(tenant, period, url)
    show(answer, json, lambda: _print(answer))


@budget.command(name="set")
def budget_set(
    scope: Scope,
    limit_usd: Usd | None = None,
    *,
    period: Period,
    reason: str,
    tenant: str | None = None,
    name: str | None = None,
    none: Flag = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Set what may be spent in each period, or take the limit away.

    Args:
      scope: Whose spending: `global`, `tenant`, `model`, `agent` or `user`.
      limit_usd: The limit; give it, or `--none`.
      period: In each day, week or month (UTC).
      reason: Why, for the audit.
      tenant: The tenant, where the scope is one or is in one.
      name: The model, the agent (the id of its key) or the user.
      none: Take the limit away.
    """
    if none == (limit_usd is not None):
        raise Failed("give LIMIT-USD, or --none to take the limit away")
    body = {"scope": scope, "tenant": tenant, "name": name, "period": period, "limit_usd": limit_usd, "why": reason}
    answer = operate("PUT", PATH, body, url)
    show(answer, json, lambda: _print(answer))


@budget.command(name="reconcile")
def budget_reconcile(reservation_id: str, cost_usd: Usd, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Say what a call really cost of which all that was held is charged.

    Args:
      reservation_id: As `pointsman budget show` lists it.
      cost_usd: What the provider's bill says.
      reason: Why, for the audit.
    """
    body = {"cost_usd": cost_usd, "why": reason}
    answer = operate("PUT", f"{PATH}/reservations/{reservation_id}", body, url)
    show(answer, json, lambda: lines(f"{reservation_id} cost {cost_usd:g} USD"))


@budget.command(name="export")
def budget_export(
    *, tenant: str | None = None, period: Period = "month", csv: Flag = False, url: Url = None, json: Json = False
) -> None:
    """Write where the money of a period went, as CSV (by default) or JSON.

    Args:
      tenant: Only what is this one's; by default everybody's.
      period: The day, the week or the month (UTC) that runs.
      csv: CSV, a row for each model, agent, user, tier and purpose.
    """
    if csv and json:
        raise Failed("give --csv or --json, not both")
    answer = _asked(tenant, period, url)
    show(answer, json, lambda: _write_csv(answer))


def _asked(tenant: str | None, period: Period, url: str | None) -> Any:
    asked = {"tenant": tenant, "period": period}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return operate("GET", f"{PATH}?{query}", None, url)


def _print(answer: Any) -> None:
    known = answer["forecast"]
    span = "" if known["low_usd"] is None else f" ({known['low_usd']:.6g} to {known['high_usd']:.6g})"
    lines(
        f"{answer['spent_usd']:.9g} USD spent in {answer['calls']} call(s), {answer['reserved_usd']:.9g} USD held, "
        f"in the {answer['period']} from {moment(answer['begins_at'])} to {moment(answer['ends_at'])}",
        f"{known['at_end_usd']:.6g} USD at its end{span}, by {known['whole_days']} whole day(s)",
    )
    table(answer["limits"], LIMITS)
    table(answer["spent_by"], SPENT)
    lines(*(f"{of['baseline']} ({of['model']}): {of['saved_usd']:.9g} USD saved" for of in answer["savings"]))
    lines(*(f"{of['do']}\n  {of['arithmetic']}" for of in answer["recommendations"]))
    if answer["unreconciled"]:
        table(answer["unreconciled"], ("reservation_id", "tenant", "model", "agent", "user", "charged_usd"))


def _write_csv(answer: Any) -> None:
    """Names are a caller's words: one that a spreadsheet would take for a formula is quoted."""
    writer = DictWriter(sys.stdout, ("begins_at", *SPENT), lineterminator="\n")
    writer.writeheader()
    for row in answer["spent_by"]:
        told = {column: _unarmed(row[column]) for column in SPENT}
        writer.writerow({"begins_at": moment(answer["begins_at"]), **told})


def _unarmed(value: Any) -> Any:
    """A text that no spreadsheet runs.

    >>> _unarmed("=1+1"), _unarmed("ci"), _unarmed(-2.5)
    ("'=1+1", 'ci', -2.5)
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
