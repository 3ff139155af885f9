"""Who may call what: each route names the scope it needs, and no handler runs before its guard has let the call in."""

from collections.abc import Mapping
from typing import Literal, get_args
from urllib.parse import urlsplit

from litestar.openapi.spec import SecurityRequirement, SecurityScheme

from ..addresses import LOOPBACK
from ..contract import Scope
from ..errors import EmbedderLoading, Forbidden
from ..service import Service
from ..tenants import LOCAL, Call, Caller
from .admission import AdmittedRequest

Needs = Scope | Literal["operator", "nobody"]  # an admin key; no key at all
_ADMIN, _TENANT, _BEARER = b"x-admin-api-key", b"x-api-key", b"authorization"
_HOST, _ORIGIN = b"host", b"origin"
# As the OpenAPI document has it: the headers a key is sent in, and which of them opens a route.
SCHEMES = {
    "tenant": SecurityScheme(type="apiKey", security_scheme_in="header", name="X-API-Key"),
    "operator": SecurityScheme(type="apiKey", security_scheme_in="header", name="X-Admin-API-Key"),
    "tenant's bearer token": SecurityScheme(type="http", scheme="Bearer"),
    "operator's bearer token": SecurityScheme(type="http", scheme="Bearer"),
}
SECURITY: dict[Needs, list[SecurityRequirement] | None] = {
    **{scope: [{"tenant": []}] for scope in get_args(Scope)},
    "operator": [{"operator": []}, {"operator's bearer token": []}],
    "nobody": None,
}
OPENAI_SECURITY: list[SecurityRequirement] = [{"tenant": []}, {"tenant's bearer token": []}]


class Guard:
    """Finds the caller of a request by its key, counts the call, and lets it in or not."""

    def __init__(self, needs: Scope | Literal["operator"], counts_as: Call, *, bearer: bool, remembers: bool) -> None:
        self._needs, self._counts_as, self._bearer, self._remembers = needs, counts_as, bearer, remembers

    async def __call__(self, request: AdmittedRequest) -> None:
        """Give the request its caller, and what that has left.

        Raises:
          Unauthorized, Forbidden: the key is none of ours, or does not do; without keys, a stranger's page calls.
          RateLimited: its tenant calls more often than its tier allows.
          EmbedderLoading: the call is about all of memory, which is not loaded yet.
        """
        service: Service = request.service
        request.caller = request.scope["state"]["caller"] = caller = self._caller(request, service)
        request.left = await service.limiter.take(caller.tenant, caller.tier, self._counts_as)
        if self._remembers and not service.memory.live:
            raise EmbedderLoading("memory is still being loaded; /readyz turns green when it is there")

    def _caller(self, request: AdmittedRequest, service: Service) -> Caller:
        sent, now = request.sent, service.clock.now()
        if service.settings.insecure_local:
            _refuse_strangers_pages(sent)
            return LOCAL
        if self._needs == "operator":
            return service.registry.caller(_text(sent.get(_ADMIN)) or _bearer(sent.get(_BEARER)), "admin", now)
        token = _bearer(sent.get(_BEARER)) if self._bearer else None
        caller = service.registry.caller(_text(sent.get(_TENANT)) or token, "tenant", now)
        caller.may(self._needs)
        return caller


def _refuse_strangers_pages(sent: Mapping[bytes, bytes]) -> None:
    """Without keys a page in this machine's browser must not call: neither from its own site nor by a name led here.

    Raises:
      Forbidden: the call is addressed to, or comes from, another name than this machine's own.
    """
    for header in (_HOST, _ORIGIN):
        if header in sent and _host(sent[header].decode("latin-1")) not in LOOPBACK:
            raise Forbidden(
                f"without keys (--insecure-local) only calls to and from {', '.join(LOOPBACK)} are answered"
            )


def _host(named: str) -> str | None:
    """The host in a Host or an Origin, without its port; None where there is none."""
    try:
        return urlsplit(named if "//" in named else f"//{named}").hostname
    except ValueError:  # of brackets that are none of an address
        return None


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1").strip()


def _bearer(header: bytes | None) -> str | None:
    """The token of `Authorization: Bearer`, what metrics scrapers and OpenAI's clients send."""
    scheme, _, token = (_text(header) or "").partition(" ")
    return token if scheme.lower() == "bearer" else None
