"""What a call used, as the provider tells it: believed where it can be true, else taken for not told."""

from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .provider import Usage

MOST_TOKENS = 10_000_000  # of one call
MOST_USD = 10_000
NANO = 10**9
Tokens = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
Usd = Annotated[float, Meta(ge=0, le=MOST_USD)]


class _Details(msgspec.Struct):
    cached_tokens: Tokens | None = None


class _OpenAI(msgspec.Struct):
    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens | None = None
    prompt_tokens_details: _Details | None = None
    cost: Usd | UnsetType | None = UNSET


class _Anthropic(msgspec.Struct):
    input_tokens: Tokens
    output_tokens: Tokens
    cache_read_input_tokens: Tokens | None = None
    cache_creation_input_tokens: Tokens | None = None


def openai_usage(told: Any) -> Usage | None:
    """Usage in OpenAI's form, a provider's own cost in USD included; None when it cannot be trusted.

    Some count what a model thought in the total alone; it is billed as what it answered.

    >>> openai_usage({"prompt_tokens": 12, "completion_tokens": 3, "cost": 0.0000015}).cost_nano_usd
    1500
    >>> openai_usage({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 40}).completion
    28
    >>> openai_usage({"prompt_tokens": -1, "completion_tokens": 3})
    """
    try:
        used = msgspec.convert(told, _OpenAI)
    except msgspec.ValidationError:
        return None
    cached = used.prompt_tokens_details.cached_tokens if used.prompt_tokens_details else None
    if not (cached or 0) <= used.prompt_tokens > 0:
        return None
    cost = _nano_usd(used.cost) if isinstance(used.cost, float) else None
    answered = max(used.completion_tokens, (used.total_tokens or 0) - used.prompt_tokens)
    return Usage(prompt=used.prompt_tokens, completion=answered, cached=cached or 0, cost_nano_usd=cost)


def anthropic_usage(told: Any) -> Usage | None:
    """Usage in Anthropic's form, whose input leaves out what a cache gave or took; None when it cannot be trusted."""
    try:
        used = msgspec.convert(told, _Anthropic)
    except msgspec.ValidationError:
        return None
    read, written = used.cache_read_input_tokens or 0, used.cache_creation_input_tokens or 0
    prompt = used.input_tokens + read + written
    return Usage(prompt=prompt, completion=used.output_tokens, cached=read, cache_written=written) if prompt else None


def as_openai(usage: Usage) -> dict[str, Any]:
    """Usage as OpenAI's clients read it."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def _nano_usd(usd: float) -> int:
    """Rounded up: what is below a nano-USD is not free."""
    return int((Decimal(repr(usd)) * NANO).to_integral_value(ROUND_CEILING))
