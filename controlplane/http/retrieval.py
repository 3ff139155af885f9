"""The calls about contexts, patches and sessions: each asks the service, and hands the answer back."""

from typing import Annotated

from litestar.params import JSONBody, PathParameter

from ..contract import (
    ContextAnswer,
    ContextRequest,
    PatchAnswer,
    PatchRequest,
    RankerAnswer,
    SessionAnswer,
    SessionRequest,
    SessionsAnswer,
)
from .admission import AdmittedRequest

SessionId = Annotated[str, PathParameter(pattern="^se_[0-9a-f]{32}$")]  # it is kept, whether or not it was ever given


async def context(request: AdmittedRequest, data: JSONBody[ContextRequest]) -> ContextAnswer:
    """The best memories about something, within a budget of tokens."""
    return await request.service.retrieving.context(request.caller, data)


async def patches(request: AdmittedRequest, data: JSONBody[PatchRequest]) -> PatchAnswer:
    """Patches that did something like this."""
    return await request.service.retrieving.patches(request.caller, data)


async def report(request: AdmittedRequest, session_id: SessionId, data: JSONBody[SessionRequest]) -> SessionAnswer:
    """What came of a context, or of patches."""
    return await request.service.retrieving.report(request.caller, session_id, data, request.receipt)


async def sessions(request: AdmittedRequest) -> SessionsAnswer:
    """What sessions returned, by the origins of the memories they used."""
    return request.service.retrieving.sessions(request.caller.tenant)


async def reload(request: AdmittedRequest) -> RankerAnswer:
    """Refit how search weighs its terms, now."""
    return await request.service.ranker.reload(request.caller)


async def reset(request: AdmittedRequest) -> RankerAnswer:
    """Weigh the terms of search as shipped again, and forget what sessions said of that."""
    return await request.service.ranker.reset(request.caller)
