"""The calls about documents: each takes the request apart, asks the service, and hands the answer back."""

from typing import Annotated

from litestar.params import JSONBody, QueryParameter

from ..contract import (
    DocumentList,
    DocumentOriginAnswer,
    DocumentsAnswer,
    DocumentSearchAnswer,
    DocumentSearchRequest,
    DocumentsRequest,
    OriginRequest,
)
from .admission import AdmittedRequest

Origin = Annotated[str, QueryParameter(min_length=1, max_length=256)]
Namespace = Annotated[str, QueryParameter(max_length=256)]


async def keep(request: AdmittedRequest, data: JSONBody[DocumentsRequest]) -> DocumentsAnswer:
    """Keep documents, cut into passages."""
    return await request.service.library.keep(request.caller, data)


async def search(request: AdmittedRequest, data: JSONBody[DocumentSearchRequest]) -> DocumentSearchAnswer:
    """Find passages."""
    return await request.service.library.search(request.caller, data)


async def documents(
    request: AdmittedRequest,
    origin: Origin,
    namespace: Namespace = "",
    after: Annotated[str, QueryParameter(max_length=256)] = "",
) -> DocumentList:
    """The documents of an origin, a page at a time."""
    return request.service.library.listed(request.caller.tenant, origin, namespace, after)


async def drop(
    request: AdmittedRequest,
    origin: Origin,
    namespace: Namespace = "",
    key: Annotated[str | None, QueryParameter(min_length=1, max_length=256)] = None,
) -> None:
    """Let go of a document, or of all of an origin: the contents are overwritten."""
    await request.service.library.drop(request.caller, origin, namespace, key)


async def origins(request: AdmittedRequest) -> list[DocumentOriginAnswer]:
    """Where documents come from."""
    return request.service.library.origins(request.caller.tenant)


async def register(request: AdmittedRequest, data: JSONBody[OriginRequest]) -> DocumentOriginAnswer:
    """Say what an origin is, and under which licence its documents are."""
    return await request.service.library.register(request.caller, data)
