"""The operators' calls, a tree of their own: an admin key opens these, and a tenant's key none of them."""

from typing import Annotated

from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from auditor.periods import Period

from ..administration import Administration
from ..audit import MOST, acts
from ..contract import (
    ActAnswer,
    BudgetAnswer,
    BudgetRequest,
    KeyAnswer,
    KeyRequest,
    NewKeyAnswer,
    ReconcileRequest,
    RotateRequest,
    TenantAnswer,
    TenantRequest,
)
from ..contract.operators import TENANT
from ..purse import Purse
from .admission import AdmittedRequest

ReservationId = Annotated[str, PathParameter(max_length=64)]
Tenant = Annotated[str | None, QueryParameter(pattern=TENANT)]
KeyId = Annotated[str, PathParameter(max_length=64)]


def administration(request: AdmittedRequest) -> Administration:
    return request.service.administration


async def tenants(request: AdmittedRequest) -> list[TenantAnswer]:
    """All tenants."""
    return administration(request).tenants()


async def set_tenant(request: AdmittedRequest, data: JSONBody[TenantRequest]) -> TenantAnswer:
    """Make a tenant, or give it another tier."""
    return await administration(request).set_tenant(request.caller.key_id, data, request.receipt)


async def keys(request: AdmittedRequest) -> list[KeyAnswer]:
    """All keys, without their secrets."""
    return administration(request).keys()


async def issue_key(request: AdmittedRequest, data: JSONBody[KeyRequest]) -> NewKeyAnswer:
    """Make a key; its text is in this answer and nowhere else."""
    return await administration(request).issue(request.caller.key_id, data)


async def rotate_key(
    request: AdmittedRequest, key_id: KeyId, data: JSONBody[RotateRequest | None] = None
) -> NewKeyAnswer:
    """Replace a key; both work until the overlap is over."""
    return await administration(request).rotate(request.caller.key_id, key_id, data or RotateRequest())


async def revoke_key(request: AdmittedRequest, key_id: KeyId) -> None:
    """End a key now."""
    await administration(request).revoke(request.caller.key_id, key_id)


async def audit(
    request: AdmittedRequest,
    before: Annotated[int, QueryParameter(ge=1, le=2**53)] = 2**53,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST)] = 100,
    tenant: Tenant = None,
) -> list[ActAnswer]:
    """What operators did, newest first."""
    return await acts(request.service.journal, tenant, before, limit)


async def budget(request: AdmittedRequest, tenant: Tenant = None, period: FromQuery[Period] = "month") -> BudgetAnswer:
    """What is spent, held and allowed in the period that runs, of one tenant or of all."""
    return Purse(request.service).describe(tenant, period)


async def set_budget(request: AdmittedRequest, data: JSONBody[BudgetRequest]) -> BudgetAnswer:
    """Set a limit on what is spent in each period, or take it away."""
    await request.service.budgets.set(request.caller.key_id, data)
    return Purse(request.service).describe(data.tenant, data.period)


async def reconcile(
    request: AdmittedRequest, reservation_id: ReservationId, data: JSONBody[ReconcileRequest]
) -> BudgetAnswer:
    """Say what a call really cost of which all that was held is charged."""
    await request.service.budgets.reconcile(request.caller.key_id, reservation_id, data)
    return Purse(request.service).describe(None, "month")
