"""What calls cost, by hand; and nothing unusable that a provider says makes a call cheaper."""

from datetime import UTC, datetime
from decimal import Decimal
from math import inf, nan
from typing import Any

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.errors import UnknownPrice
from controlplane.llm.catalogue import AnswerMs, Catalogue, Model, Price
from controlplane.llm.prices import (
    Usage,
    at_most,
    charge,
    cost_of,
    input_tokens_at_most,
    instead,
    nano,
)

NOW = 1_795_737_600.0  # 2026-11-27
DRAWN = settings(max_examples=60, derandomize=True, database=None, deadline=None)
SHIPPED = Catalogue.load().models


def model(**fields: Any) -> Model:
    whole = {"name": "m", "provider": "nobody", "model": "m", "tier": "cheap"}
    return Model(**{**whole, "context_tokens": 10_000, "output_tokens": 1_000, **fields})


STATED = model(price=Price(input=Decimal("0.25"), output=Decimal("2"), cached_input=Decimal("0.025")))
CAPPED, UNPRICED = model(call_cap_usd=Decimal("0.05")), model()


def used(input_tokens: Any = 1000, output_tokens: Any = 100, **more: Any) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, **more)


def test_a_stated_price_is_taken_to_the_nano_dollar() -> None:
    """1,000 x 0.25 / 1e6 + 100 x 2 / 1e6 = 0.00045 USD; of 400 cached ones each costs a tenth."""
    assert cost_of(STATED, used(), NOW) == 450_000
    assert cost_of(STATED, used(cached_tokens=400), NOW) == 360_000


def test_what_is_less_than_a_nano_dollar_is_rounded_up() -> None:
    tiny = model(price=Price(input=Decimal("0.0001"), output=Decimal("0")))
    assert cost_of(tiny, used(1, 0), NOW) == 1
    assert cost_of(tiny, used(11, 0), NOW) == 2


@pytest.mark.parametrize(
    ("name", "usage", "expected"),
    [
        ("gpt-4.1-mini", used(1_000_000, 0), 400_000_000),
        ("gpt-4.1-mini", used(1000, 100), 560_000),  # 1,000 x 0.4 + 100 x 1.6, in millionths of a dollar
        ("gpt-4.1", used(1000, 100), 2_800_000),  # x 2 and x 8
        ("claude-haiku-4-5", used(1000, 100), 1_500_000),  # x 1 and x 5
        ("claude-haiku-4-5", used(1000, 100, written_tokens=1000), 1_750_000),  # writing to the cache is 1.25
        ("claude-haiku-4-5", used(1000, 100, written_tokens=1000, kept_tokens=1000), 2_500_000),  # for an hour 2
    ],
)
def test_a_published_price_is_that_of_the_provider(name: str, usage: Usage, expected: int) -> None:
    assert cost_of(SHIPPED[name], usage, NOW) == expected


def test_an_operators_price_goes_before_a_published_one() -> None:
    own = model(provider="openai", model="gpt-4.1-mini", price=Price(input=Decimal(1), output=Decimal(1)))
    assert cost_of(own, used(1000, 0), NOW) == 1_000_000


@DRAWN
@given(
    tokens=st.one_of(st.integers(1, 1000), st.integers(1, 400_000)),
    answered=st.integers(0, 100_000),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    at=st.floats(NOW - 1e7, NOW + 1e7),
    name=st.sampled_from(sorted(SHIPPED)),
)
def test_a_published_price_is_to_the_nano_dollar_what_the_library_computes(
    tokens: int, answered: int, shares: tuple[float, float, float], at: float, name: str
) -> None:
    """Ours is computed with rates that are looked up once a minute, for the library takes as long as a decision."""
    cached = int(shares[0] * tokens)
    written = int(shares[1] * (tokens - cached))
    usage = used(tokens, answered, cached_tokens=cached, written_tokens=written, kept_tokens=int(shares[2] * written))
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=usage.written_tokens,
            cache_write_1h_tokens=usage.kept_tokens,
        ),
        SHIPPED[name].model,
        provider_id=SHIPPED[name].provider,
        genai_request_timestamp=datetime.fromtimestamp(at // 60 * 60, UTC),
    )
    assert cost_of(SHIPPED[name], usage, at) == nano(theirs.total_price)


def test_every_shipped_model_has_a_price() -> None:
    assert [name for name, of in SHIPPED.items() if not cost_of(of, used(), NOW)] == []


def test_a_published_price_of_nothing_is_no_price_and_a_stated_one_is() -> None:
    published = model(provider="google", model="gemma-3")
    assert cost_of(published, used(), NOW) is None
    with pytest.raises(UnknownPrice):
        at_most(published, 1000, 100, NOW)
    stated = model(provider="google", model="gemma-3", price=Price(input=Decimal(0), output=Decimal(0)))
    assert at_most(stated, 1000, 100, NOW) == 0


def test_what_is_held_is_enough_for_a_call_that_writes_all_of_it_to_a_cache() -> None:
    """1,000 x 2 + 100 x 5, in millionths: twice the price of input, for an hour."""
    assert at_most(SHIPPED["claude-haiku-4-5"], 1000, 100, NOW) == 2_500_000


def test_an_unknown_price_is_refused_or_charged_its_cap_and_never_free() -> None:
    with pytest.raises(UnknownPrice, match="no price of m is known"):
        at_most(UNPRICED, 1000, 100, NOW)
    assert at_most(CAPPED, 1000, 100, NOW) == 50_000_000
    assert charge(CAPPED, 50_000_000, None, used(), NOW) == (50_000_000, "cap")
    assert charge(CAPPED, 50_000_000, 0.01, used(), NOW) == (10_000_000, "reported")


def test_what_a_call_may_cost_is_what_its_limits_hold_where_nothing_is_said() -> None:
    """10,000 x 0.25 + 1,000 x 2, in millionths."""
    assert at_most(STATED, None, None, NOW) == at_most(STATED, 10**9, 10**9, NOW) == 4_500_000
    assert at_most(STATED, 1000, 100, NOW) == 450_000
    assert at_most(STATED, None, 10**9, NOW, choices=3) == 8_500_000


def test_tokens_are_at_most_the_bytes_of_the_texts_and_what_is_put_around_them() -> None:
    assert input_tokens_at_most([], 0) == 64
    assert input_tokens_at_most(["abc", "für"], 2) == 3 + 4 + 2 * 16 + 64
    assert input_tokens_at_most(["\ud800"], 0) == 67


@pytest.mark.parametrize("reported", [0.0003, "0.0003", None, nan, inf, -inf, -0.1, 0, 0.0, True, 1e300, 10, [], {}])
@pytest.mark.parametrize(
    "usage",
    [
        used(),
        Usage(),
        used(None, 100),
        used(-1, 100),
        used(1000, -1),
        used(nan, 100),
        used(inf, 1),
        used(999.5, 100),
        used("1000", 100),
        used(True, 100),
        used(0, 0),
        used(10**15, 100),
        used(10**8, 100),
        used(1000, 100, cached_tokens=2000),
        used(1000, 100, kept_tokens=5),
    ],
    ids=repr,
)
def test_nothing_absurd_makes_a_call_cheaper(reported: Any, usage: Usage) -> None:
    """C3: only a plausible word of the provider, or plausible tokens, cost less than all that was held."""
    held = at_most(STATED, 2000, 1000, NOW)
    charged = charge(STATED, held, reported, usage, NOW)
    if reported == 0.0003 and isinstance(reported, float):
        assert charged == (300_000, "reported")
    elif usage == used():
        assert charged == (450_000, "usage")
    else:
        assert charged == (held, "reservation")


@DRAWN
@given(
    tokens=st.integers(1, 10_000),
    answered=st.integers(0, 1000),
    cached=st.floats(0, 1),
    written=st.floats(0, 1),
    name=st.sampled_from(sorted(SHIPPED)),
)
def test_no_call_within_its_bounds_costs_more_than_was_held(
    tokens: int, answered: int, cached: float, written: float, name: str
) -> None:
    of, first = SHIPPED[name], int(cached * tokens)
    second = int(written * (tokens - first))
    usage = used(tokens, answered, cached_tokens=first, written_tokens=second, kept_tokens=second // 2)
    held = at_most(of, tokens, answered, NOW)
    charged = charge(of, held, None, usage, NOW)
    assert charged.basis == "usage"
    assert 0 < charged.nano_usd <= held


def test_other_tiers_are_priced_by_the_models_that_stand_for_them() -> None:
    """The shipped ones: 0.56 and 2.8 thousandths of a dollar."""
    assert instead(Catalogue.load(), used(), NOW) == (560_000, 2_800_000)
    assert instead(Catalogue({}, AnswerMs(cheap=1, premium=1)), used(), NOW) == (None, None)
    assert instead(Catalogue.load(), Usage(), NOW) == (None, None)


def test_money_is_exact() -> None:
    assert nano(Decimal("1000000.000000001")) == 10**15 + 1
