"""Commands of operators: tenants, keys, and what was done. They ask a running server, with an admin key."""

from typing import Annotated
from urllib.parse import urlencode

import cyclopts
from cyclopts import Parameter

from auditor.events import FailMode

from ..contract import Scope, Tier
from .client import operate
from .output import lines, moment, show, table
from .program import Json, Url, app

tenants = cyclopts.App(name="tenants", help="List, make and change tenants.")
keys = cyclopts.App(name="keys", help="List, make, replace and revoke API keys.")
app.command(tenants)
app.command(keys)


@tenants.command(name="list")
def tenants_list(*, url: Url = None, json: Json = False) -> None:
    """List the tenants."""
    answer = operate("GET", "/v1/admin/tenants", None, url)
    show(answer, json, lambda: table(answer, ("tenant", "tier", "fail_mode", "active_keys")))


@tenants.command(name="set")
def tenants_set(
    tenant: str, *, tier: Tier | None = None, fail_mode: FailMode | None = None, url: Url = None, json: Json = False
) -> None:
    """Make a tenant, or change it.

    Args:
      tenant: Its name: small letters, digits and hyphens.
      tier: What its limits are taken from; at first `free`.
      fail_mode: What it is answered while decisions cannot be journalled: `closed` (at first), `open` or `last_good`.
    """
    answer = operate("POST", "/v1/admin/tenants", {"tenant": tenant, "tier": tier, "fail_mode": fail_mode}, url)
    said = f"tenant {answer['tenant']} has the tier {answer['tier']} and the fail mode {answer['fail_mode']}"
    show(answer, json, lambda: lines(said))


@keys.command(name="list")
def keys_list(*, url: Url = None, json: Json = False) -> None:
    """List all keys, without their secrets."""
    answer = operate("GET", "/v1/admin/keys", None, url)
    show(answer, json, lambda: table(answer, ("key_id", "kind", "tenant", "name", "scopes", "active")))


@keys.command(name="create")
def keys_create(
    tenant: str | None = None,
    *,
    name: str = "",
    scope: Annotated[list[Scope] | None, Parameter(negative="")] = None,
    expires_in_s: float | None = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Make a key for a tenant, or without one for an operator. It is shown this once.

    Args:
      tenant: Whose key it is.
      name: What to call it.
      scope: What it may do, once for each; by default everything a tenant may.
      expires_in_s: Seconds after which it ends; by default never.
    """
    stated = {"tenant": tenant, "scopes": scope, "expires_in_s": expires_in_s}
    body = {"name": name, **{field: value for field, value in stated.items() if value is not None}}
    answer = operate("POST", "/v1/admin/keys", body, url)
    show(answer, json, lambda: lines(answer["key"]))


@keys.command(name="rotate")
def keys_rotate(key_id: str, *, overlap_s: float = 86_400.0, url: Url = None, json: Json = False) -> None:
    """Replace a key by one that may do the same. The new one is shown this once.

    Args:
      key_id: As `pointsman keys list` shows it.
      overlap_s: Seconds for which the old one goes on working.
    """
    answer = operate("POST", f"/v1/admin/keys/{key_id}/rotate", {"overlap_s": overlap_s}, url)
    show(answer, json, lambda: lines(answer["key"]))


@keys.command(name="revoke")
def keys_revoke(key_id: str, *, url: Url = None, json: Json = False) -> None:
    """End a key now.

    Args:
      key_id: As `pointsman keys list` shows it.
    """
    operate("DELETE", f"/v1/admin/keys/{key_id}", None, url)
    show({"key_id": key_id, "revoked": True}, json, lambda: lines(f"key {key_id} is revoked"))


@app.command
def audit(
    *, tenant: str | None = None, before: int | None = None, limit: int = 100, url: Url = None, json: Json = False
) -> None:
    """Show what operators did, newest first.

    Args:
      tenant: Only what was done to this one.
      before: Only acts before this event; the last number of a page leads to the next.
      limit: At most so many.
    """
    asked = {"tenant": tenant, "before": before, "limit": limit}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    answer = operate("GET", f"/v1/admin/audit?{query}", None, url)
    rows = [{**act, "at": moment(act["at"])} for act in answer]
    show(answer, json, lambda: table(rows, ("seq", "at", "act", "tenant", "about", "by", "details")))
