"""Calls about memory as a whole: what a key captured is set aside or deleted; all of it is carried elsewhere."""

from typing import Annotated

from litestar.params import JSONBody, PathParameter, QueryParameter

from ..contract import (
    AsideAnswer,
    CarriedAnswer,
    CarryAnswer,
    CarryRequest,
    EpisodeAnswer,
    PurgeAnswer,
    PurgeRequest,
    QuarantineAnswer,
    QuarantineRequest,
)
from .admission import AdmittedRequest

Id = Annotated[int, PathParameter(ge=1, le=2**53)]


async def quarantines(request: AdmittedRequest) -> list[QuarantineAnswer]:
    """All quarantines that hold."""
    return request.service.hygiene.quarantines()


async def quarantine(request: AdmittedRequest, data: JSONBody[QuarantineRequest]) -> QuarantineAnswer:
    """Set aside what a key captured."""
    return await request.service.hygiene.quarantine(request.caller.key_id, data, request.receipt)


async def lift(request: AdmittedRequest, quarantine_id: Id) -> None:
    """End a quarantine: what it set aside is in use again."""
    await request.service.hygiene.lift(request.caller.key_id, quarantine_id)


async def purge(request: AdmittedRequest, data: JSONBody[PurgeRequest]) -> PurgeAnswer:
    """Delete for good what a key captured, or say what that would be."""
    return await request.service.hygiene.purge(request.caller.key_id, data)


async def aside(request: AdmittedRequest, after: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0) -> AsideAnswer:
    """A page of the episodes that are kept and not in use."""
    return request.service.hygiene.aside(request.caller.tenant, after)


async def bring_back(request: AdmittedRequest, episode_id: Id) -> EpisodeAnswer:
    """Use an archived episode again."""
    await request.service.hygiene.bring_back(request.caller, episode_id)
    return request.service.remembering.episode(request.caller.tenant, episode_id)


async def carried(request: AdmittedRequest, after: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0) -> CarriedAnswer:
    """A page of the tenant's memory, to be taken in elsewhere."""
    return request.service.carrying.page(request.caller.tenant, after)


async def carry(request: AdmittedRequest, data: JSONBody[CarryRequest]) -> CarryAnswer:
    """Take in what was captured elsewhere."""
    return await request.service.carrying.take(request.caller, data)
