"""The header `Idempotency-Key`: a writing call that comes again under its key has its effect once."""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from ..errors import InvalidRequest
from ..idempotency import Asked, Receipt
from ..service import Service
from .admission import AdmittedRequest
from .screening import refuse_secret

Repeats = Literal["once", "refused", "harmless"]  # what a POST does that may come again: see `repeatable`
Handler = Callable[..., Awaitable[Any]]
_HEADER = b"idempotency-key"
MOST, VISIBLE = 255, "^[!-~]+$"


def repeatable(call: Handler, route: str, repeats: Repeats) -> Handler:
    """The call under its key: `once` has its effect once; `refused` takes no key; `harmless` reads none."""
    if repeats == "harmless":
        return call

    @functools.wraps(call)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        request: AdmittedRequest = kwargs["request"]
        if _HEADER not in request.sent:
            return await call(*args, **kwargs)
        if repeats == "refused":
            raise InvalidRequest("this answer shows a secret once and cannot be repeated; leave Idempotency-Key out")
        keys = {value for name, value in request.scope["headers"] if name == _HEADER}
        if len(keys) > 1:
            raise InvalidRequest("Idempotency-Key came twice with different values; send one")

        async def receipted(receipt: Receipt) -> Any:
            request.receipt = receipt
            return await call(*args, **kwargs)

        service: Service = request.service
        return await service.idempotency.once(await _asked(request, route, *keys), receipted)

    wrapped.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]
    return wrapped


async def _asked(request: AdmittedRequest, route: str, sent: bytes) -> Asked:
    key = sent.decode("latin-1").strip()
    if len(key) > MOST or not re.fullmatch(VISIBLE, key):
        raise InvalidRequest(f"Idempotency-Key takes 1 to {MOST} visible ASCII characters")
    refuse_secret("Idempotency-Key", key)
    parameters = msgspec.json.encode(request.scope["path_params"], order="sorted")
    fingerprint = blake2b(parameters + b"\n" + await request.body(), digest_size=16).digest()
    caller = request.caller
    return Asked(tenant=caller.tenant, by=caller.key_id, route=route, key=key, fingerprint=fingerprint)
