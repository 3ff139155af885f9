"""The models of a setting, and what their calls cost."""

import json
from typing import Any

import pytest

from controlplane import settings
from controlplane.errors import BadSetting
from controlplane.llm.models import Models, models_of
from controlplane.llm.provider import Usage

SMALL = {"name": "small", "provider": "openai", "model": "s-1"}
PRICED = {**SMALL, "prompt_nano_usd": 150, "completion_nano_usd": 600}


def listed(*models: Any) -> Models:
    chosen = {"openai_base_url": "http://localhost:1", "chat_models": json.dumps(models)}
    return models_of(settings.load({}, overrides=chosen))


def test_no_list_is_no_model() -> None:
    assert models_of(settings.load({})) == {}


@pytest.mark.parametrize(
    ("models", "why"),
    [
        ([SMALL, {**SMALL, "model": "s-2"}], "twice"),
        ([SMALL, {**SMALL, "name": "other"}], "twice"),
        ([{**SMALL, "name": "pointsman/auto"}], "the choice among them"),
        ([{**SMALL, "provider": "anthropic"}], "needs anthropic"),
        ([{**SMALL, "provider": "nobody"}], "provider"),
        ([{**SMALL, "price": 1}], "unknown field `price`"),
        ([{**SMALL, "prompt_nano_usd": -1}], ">= 0"),
        ("small", "array"),
    ],
)
def test_a_list_that_cannot_be_meant_stops_the_start_and_says_why(models: Any, why: str) -> None:
    with pytest.raises(BadSetting, match=f"POINTSMAN_CHAT_MODELS.*{why}"):
        listed(*models) if isinstance(models, list) else models_of(
            settings.load({}, overrides={"chat_models": json.dumps(models)})
        )


def test_what_the_provider_says_a_call_cost_goes_before_the_prices() -> None:
    """1000 * 150 + 10 * 600 = 156,000 nano-USD."""
    model = listed(PRICED)["small"]
    assert model.cost_usd(Usage(prompt=1000, completion=10)) == pytest.approx(0.000156)
    assert model.cost_usd(Usage(prompt=1000, completion=10, cost_nano_usd=7)) == pytest.approx(7e-9)


@pytest.mark.parametrize("price", ["prompt_nano_usd", "completion_nano_usd"])
def test_a_price_that_is_not_known_is_not_nothing(price: str) -> None:
    half = {name: value for name, value in PRICED.items() if name != price}
    assert listed(half)["small"].cost_usd(Usage(prompt=1, completion=1)) is None
