"""Calls about who outside is told of what happens to memory."""

from litestar.params import FromPath, JSONBody

from ..contract import NewWebhookAnswer, WebhookAnswer, WebhookRequest
from .admission import AdmittedRequest


async def all_of(request: AdmittedRequest) -> list[WebhookAnswer]:
    """The tenant's webhooks."""
    service = request.service
    return service.webhooks.all(request.caller.tenant, service.outbox)


async def set_one(request: AdmittedRequest, data: JSONBody[WebhookRequest]) -> NewWebhookAnswer:
    """Have an address told what happens; its secret is in this answer and nowhere else."""
    service = request.service
    return await service.webhooks.set(request.caller, data, service.outbox)


async def remove(request: AdmittedRequest, webhook_id: FromPath[str]) -> None:
    """Tell it nothing any more."""
    await request.service.webhooks.remove(request.caller, webhook_id)
