"""One request to a running server, with the key the settings hold."""

from typing import Any

import httpx

from .. import settings
from ..addresses import address
from ..masking import without_secrets
from ..settings import Settings
from .program import UNREACHABLE, Failed

TIMEOUT_S, PROBE_S = 30.0, 2.0
OUT_OF_BOUNDS = (httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE)


class NotTaken(Failed):
    """What was sent is out of bounds: the server takes the rest."""


def call(method: str, path: str, body: dict[str, Any] | None, url: str | None) -> Any:
    """A tenant's request; an error answer becomes a message."""
    chosen = settings.load()
    return _ask(chosen, method, path, body, url, {"X-API-Key": chosen.api_key or ""})


def operate(method: str, path: str, body: dict[str, Any] | None, url: str | None) -> Any:
    """An operator's request."""
    chosen = settings.load()
    return _ask(chosen, method, path, body, url, {"X-Admin-API-Key": chosen.admin_api_key or ""})


def refusal(base: str, key: str) -> str | None:
    """Why the server there does not take this key; None where it does, and where nobody answers."""
    headers = {"X-API-Key": key}
    try:
        response = httpx.get(f"{base}/status", headers=headers, timeout=PROBE_S)
        answer = response.json()
    except httpx.HTTPError:
        return None
    except ValueError:
        return f"what answers at {base} is no Pointsman"
    return _told(answer, headers) if response.status_code in (401, 403) else None


def _ask(
    chosen: Settings, method: str, path: str, body: dict[str, Any] | None, url: str | None, headers: dict[str, str]
) -> Any:
    base = url or address(chosen.host, chosen.port)
    told = without_secrets(base)
    if not all(key.isascii() and key.isprintable() for key in headers.values()):
        raise Failed(f"the key in {_setting(headers)} has characters that no key has; set it again")
    try:
        response = httpx.request(method, f"{base}{path}", json=body, headers=headers, timeout=TIMEOUT_S)
        answer = response.json() if response.content else None
    except httpx.HTTPError as error:
        raise Failed(
            f"no server answers at {told} ({type(error).__name__}); start one with `pointsman serve`",
            UNREACHABLE,
        ) from error
    except ValueError as error:
        raise Failed(f"what answers at {told} is no Pointsman; check POINTSMAN_HOST and POINTSMAN_PORT") from error
    if response.is_error:
        kind = NotTaken if response.status_code in OUT_OF_BOUNDS else Failed
        raise kind(_told(answer, headers))
    return answer


def _told(answer: Any, headers: dict[str, str]) -> str:
    """Why the server refused; a key that was never set is named by its setting."""
    if answer.get("code") == "unauthorized" and not any(headers.values()):
        where = _setting(headers)
        return f"the server wants a key: set {where} to the one that its first start showed, or that you were given"
    return str(answer.get("detail", answer))


def _setting(headers: dict[str, str]) -> str:
    """Where the key comes from."""
    return "POINTSMAN_ADMIN_API_KEY" if "X-Admin-API-Key" in headers else "POINTSMAN_API_KEY"
