"""What a provider's refusal means: by its status, and by the code in its body where the status says too little."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from .provider import Kind, ProviderFailed

LONGEST_PAUSE_S = 86_400.0  # a Retry-After beyond a day, or before now, is nobody's wish
LATE = {408, 504, 524}  # somebody gave up waiting; the work may have been done and billed
SAYING_MORE = {400, 429}  # statuses that a spending limit may stand behind
NO_RETRY = {"spend_limit", "auth", "bad_request"}
_SPENT = {"insufficient_quota", "enforced_spend_limit_reached", "billing_hard_limit_reached", "billing_error"}
_BROKE = "your credit balance is too low"  # how Anthropic begins to say it, under 400
_NAMED = {  # of errors that come without a status of their own
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def refusal(status: int, headers: Mapping[str, str], body: bytes, now: float) -> ProviderFailed:
    """What an answer that is not 200 means; `now` is wall time."""
    return _failed(status, _spent(_error_in(body)), pause_s(headers.get("retry-after"), now), billed=status in LATE)


def error_inside(error: Any) -> ProviderFailed:
    """What an error means that came under the status 200, as whole body or in a stream; work may have been done."""
    details = error if isinstance(error, dict) else {}
    named = [_NAMED[value] for value in details.values() if isinstance(value, str) and value in _NAMED]
    code = details.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else [*named, 500][0]
    return _failed(status, _spent(error), None, billed=True)


def pause_s(retry_after: str | None, now: float) -> float | None:
    """Seconds that a Retry-After asks for, written as seconds or as a date; None for none, and for absurd ones.

    >>> pause_s("2.5", 0), pause_s("Thu, 01 Jan 1970 00:00:07 GMT", 0), pause_s("1e99", 0), pause_s("soon", 0)
    (2.5, 7.0, None, None)
    """
    if retry_after is None:
        return None
    try:
        pause = float(retry_after)
    except ValueError:
        pause = _until(retry_after) - now
    return pause if 0 <= pause <= LONGEST_PAUSE_S else None


def _until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _failed(status: int, spent: bool, pause: float | None, *, billed: bool) -> ProviderFailed:
    kind = _kind(status, spent)
    retryable = kind not in NO_RETRY and status >= 400
    return ProviderFailed(kind, status=status, retryable=retryable, retry_after_s=pause, billed=billed)


def _kind(status: int, spent: bool) -> Kind:
    match status:
        case 402:
            return "spend_limit"
        case 401 | 403:
            return "auth"
        case 400 | 429 if spent:
            return "spend_limit"
        case 429:
            return "rate_limit"
        case 408 | 425:
            return "status"
        case _ if 400 <= status < 500:
            return "bad_request"
    return "status"


def _error_in(body: bytes) -> Any:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return told.get("error", told) if isinstance(told, dict) else None


def _spent(error: Any) -> bool:
    """Whether an error says that money is the matter; a message may quote the caller, so only its start counts."""
    if not isinstance(error, dict):
        return False
    said = str(error.get("message")).lower()
    return said.startswith(_BROKE) or not _SPENT.isdisjoint(v for v in error.values() if isinstance(v, str))
