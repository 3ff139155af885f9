"""Commands about appeals: an agent contests a BLOCK, an operator rules."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from .client import call
from .output import lines, moment, show, table
from .program import Json, Url, app

appeals = cyclopts.App(name="appeals", help="List appeals that wait for a ruling, and rule on them.")
app.command(appeals)


@app.command
def appeal(trace_id: str, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Contest a BLOCK; an operator rules on it.

    Args:
      trace_id: The decision's id.
      reason: Why it was wrong.
    """
    answer = call("POST", f"/v1/decisions/{trace_id}/appeal", {"reason": reason}, url)
    show(answer, json, lambda: lines(f"contested; {_learnt(open_decision=answer['open_decision'])}"))


@appeals.command(name="list")
def appeals_list(*, url: Url = None, json: Json = False) -> None:
    """List the appeals without a ruling, the oldest first."""
    answer = call("GET", "/v1/appeals", None, url)
    rows = [{**one, "appealed_at": moment(one["appealed_at"])} for one in answer]
    show(answer, json, lambda: table(rows, ("trace_id", "appealed_at", "open_decision")))


@appeals.command(name="rule")
def appeals_rule(
    trace_id: str,
    *,
    upheld: Annotated[bool, Parameter(negative="--rejected")],
    reason: str,
    url: Url = None,
    json: Json = False,
) -> None:
    """Uphold an appeal, or reject it.

    Args:
      trace_id: The contested decision's id, as `pointsman appeals list` shows it.
      upheld: Whether the appeal is right.
      reason: Why.
    """
    answer = call("POST", f"/v1/decisions/{trace_id}/appeal/ruling", {"upheld": upheld, "why": reason}, url)
    show(answer, json, lambda: lines(f"{answer['status']}; {_learnt(open_decision=answer['open_decision'])}"))


def _learnt(*, open_decision: bool) -> str:
    return "the ruling is learnt" if open_decision else "the ruling is not learnt: the decision was closed before"
