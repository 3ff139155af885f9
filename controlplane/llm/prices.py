"""What calls cost, in whole nano-USD and rounded up: before they are made at most, and after them.

Prices are those an operator states, else those that genai-prices brings with it; nothing is asked of the network. What
cannot be known is charged as the most it could be, so that no more is ever spent than was said.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple

import msgspec

from auditor.money_events import Basis

from ..errors import UnknownPrice
from .catalogue import Catalogue, Model, Price
from .provider import Usage as TokenUsage

NANO, MILLION = Decimal(10**9), Decimal(10**6)
PER_PART_TOKENS, PER_CALL_TOKENS = 16, 64  # that a provider puts around each message or tool, and around all of them
MOST_TOKENS = 10**9  # what no call uses
MINUTE_S = 60


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call as its provider counts them, believed or not."""

    input_tokens: Any = None
    output_tokens: Any = None
    cached_tokens: Any = 0  # of the input, read from the provider's cache
    written_tokens: Any = 0  # of the input, written to it
    kept_tokens: Any = 0  # of those, for an hour

    @property
    def believed(self) -> bool:
        """Whether it can be what a call used: whole numbers, some input, and no more of it cached than there is."""
        counts = [getattr(self, field) for field in self.__struct_fields__]
        if not all(type(count) is int and 0 <= count <= MOST_TOKENS for count in counts):
            return False
        whole, _, cached, written, kept = counts
        return bool(0 < whole >= cached + written >= cached + kept)


class Charge(NamedTuple):
    """What a call is charged, and where that is from."""

    nano_usd: int
    basis: Basis


class Counterfactual(NamedTuple):
    """What the same tokens would have cost on the models that stand for their tiers; None where nobody knows."""

    cheap: int | None
    premium: int | None


def input_tokens_at_most(texts: Iterable[str], parts: int) -> int:
    """More tokens than any tokenizer that works on bytes makes of the texts: one a byte, and what is put around them.

    >>> input_tokens_at_most(["né"], 1)
    83
    """
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + parts * PER_PART_TOKENS + PER_CALL_TOKENS


def at_most(model: Model, input_tokens: int | None, output_tokens: int | None, at: float, choices: int = 1) -> int:
    """What a call may cost [nano-USD]: None stands for what the model can hold (images have no characters to count).

    Tokens of output are those of each of the choices.

    Raises:
      UnknownPrice: nobody knows, and the catalogue states no cap.
    """
    given = model.context_tokens if input_tokens is None else min(input_tokens, model.context_tokens)
    answered = model.output_tokens if output_tokens is None else min(output_tokens, model.output_tokens)
    plain = Usage(input_tokens=max(given, 1), output_tokens=choices * answered)
    written = msgspec.structs.replace(plain, written_tokens=plain.input_tokens)
    kept = msgspec.structs.replace(written, kept_tokens=plain.input_tokens)
    costs = [cost for usage in (plain, written, kept) if (cost := cost_of(model, usage, at)) is not None]
    if costs:
        return max(costs)
    if model.call_cap_usd is None:
        raise UnknownPrice(f"no price of {model.name} is known; give it a price or a call_cap_usd in the catalogue")
    return nano(model.call_cap_usd)


def charge(model: Model, reserved: int, reported_usd: Any, usage: Usage, at: float) -> Charge:
    """What a call that was reserved for is charged.

    The provider's word goes first, then its count of tokens; neither is believed where it says nothing, that the call
    was free though it has a price, or more than it could cost: then the whole reservation is charged.
    """
    said = _said(reported_usd)
    if said is not None and 0 < said <= reserved:
        return Charge(said, "reported")
    if usage.believed:
        cost = cost_of(model, usage, at)
        if cost is None and model.call_cap_usd is not None:
            return Charge(min(nano(model.call_cap_usd), reserved), "cap")
        if cost is not None and cost <= reserved:
            return Charge(cost, "usage")
    return Charge(reserved, "reservation")


def cost_of(model: Model, usage: Usage, at: float) -> int | None:
    """What so many tokens cost at a moment [nano-USD]; None where no price is known."""
    if model.price is not None:
        return _stated(model.price, usage)
    return _published(model, usage, at)


def instead(catalogue: Catalogue, usage: Usage, at: float) -> Counterfactual:
    """What the call would have cost on either tier."""
    stand_ins = [catalogue.baseline("cheap"), catalogue.baseline("premium")]
    known = [cost_of(model, usage, at) if model and usage.believed else None for model in stand_ins]
    return Counterfactual(*known)


def nano(usd: Decimal) -> int:
    """USD in whole nano-USD, rounded up.

    >>> nano(Decimal("0.0000000011"))
    2
    """
    return int((usd * NANO).to_integral_value(ROUND_CEILING))


def _stated(price: Price, usage: Usage) -> int:
    cached = price.input if price.cached_input is None else price.cached_input
    paid = price.input * (usage.input_tokens - usage.cached_tokens) + cached * usage.cached_tokens
    return nano((paid + price.output * usage.output_tokens) / MILLION)


def _published(model: Model, usage: Usage, at: float) -> int | None:
    """By the data of genai-prices; a price of nothing is none, for there whoever is not known costs nothing either."""
    rates = _rates(model.provider, model.model, int(at // MINUTE_S))
    if rates is None:
        return None
    if usage.input_tokens >= rates.until:
        return nano(_looked_up(model.provider, model.model, usage, at).total_price) or None
    return nano(rates.paid(usage)) or None


class _Rates(NamedTuple):
    """What a token costs [USD] by what became of it, while a call has fewer tokens of input than `until`."""

    plain: Decimal
    answered: Decimal
    cached: Decimal
    written: Decimal
    kept: Decimal
    until: float

    def paid(self, usage: Usage) -> Decimal:
        written, plain = usage.written_tokens - usage.kept_tokens, usage.input_tokens - usage.cached_tokens
        counts = (plain - usage.written_tokens, usage.output_tokens, usage.cached_tokens, written, usage.kept_tokens)
        return sum((price * count for price, count in zip(self, counts, strict=False)), Decimal(0))


@lru_cache(512)
def _rates(provider: str, model: str, minute: int) -> _Rates | None:
    """Looked up once a minute, for that takes as long as a small decision; None where nobody knows."""

    def of_a_token(**tokens: int) -> Decimal:  # of input, and what is said
        usage = Usage(**{"input_tokens": 1, "output_tokens": 0} | tokens)
        found: Decimal = _looked_up(provider, model, usage, at).total_price
        return found

    at = minute * MINUTE_S
    try:
        plain = of_a_token()
    except LookupError:
        return None
    prices = vars(_looked_up(provider, model, Usage(input_tokens=1, output_tokens=1), at).model_price).values()
    return _Rates(
        plain=plain,
        answered=of_a_token(output_tokens=1) - plain,
        cached=of_a_token(cached_tokens=1),
        written=of_a_token(written_tokens=1),
        kept=of_a_token(written_tokens=1, kept_tokens=1),
        until=min([tier.start for price in prices for tier in getattr(price, "tiers", ())], default=inf),
    )


def load_prices() -> None:
    """Have the published prices at hand: half a second, which no call has to wait then."""
    import genai_prices  # noqa: F401


def _looked_up(provider: str, model: str, usage: Usage, at: float) -> Any:
    """Raises LookupError where nobody knows."""
    from genai_prices import Usage as Tokens  # here, for only who spends money has to wait for it
    from genai_prices import calc_price

    tokens = Tokens(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.written_tokens,
        cache_write_1h_tokens=usage.kept_tokens,
    )
    return calc_price(tokens, model, provider_id=provider, genai_request_timestamp=datetime.fromtimestamp(at, UTC))


def used(told: TokenUsage | None) -> tuple[Usage, Decimal | None]:
    """Tokens of a reply, and the provider's own cost [USD], as far as they are told."""
    if told is None:
        return Usage(), None
    usage = Usage(
        input_tokens=told.prompt,
        output_tokens=told.completion,
        cached_tokens=told.cached,
        written_tokens=told.cache_written,
    )
    return usage, None if told.cost_nano_usd is None else Decimal(told.cost_nano_usd) / NANO


def _said(reported_usd: Any) -> int | None:
    """What a provider says that a call cost [nano-USD], if that is a number."""
    if isinstance(reported_usd, bool) or not isinstance(reported_usd, int | float | Decimal):
        return None
    usd = Decimal(str(reported_usd))
    return nano(usd) if usd.is_finite() and abs(usd) < MILLION else None
