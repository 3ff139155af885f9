"""The catalogue: what ships with it, what an operator's file replaces and adds, and how a wrong one is told."""

from pathlib import Path

import pytest

from controlplane.errors import BadSetting
from controlplane.llm.catalogue import Catalogue

MODEL = """
[[models]]
name = "own"
provider = "local"
model = "llama"
tier = "cheap"
context_tokens = 8192
output_tokens = 1024
"""


def load(folder: Path, text: str) -> Catalogue:
    file = folder / "models.toml"
    file.write_text(text, "utf-8")
    return Catalogue.load(str(file))


def test_what_ships_has_both_tiers() -> None:
    shipped = Catalogue.load()
    assert {model.tier for model in shipped.models.values()} == {"cheap", "premium"}
    assert {name for name, model in shipped.models.items() if model.name != name} == set()


def test_an_operators_models_are_added_replace_those_of_their_name_and_stand_for_their_tier(tmp_path: Path) -> None:
    named = MODEL.replace('"own"', '"gpt-4.1"').replace('"llama"', '"llama-large"')
    twice = MODEL + named.replace('"cheap"', '"premium"')
    found, shipped = load(tmp_path, twice), Catalogue.load()
    assert set(found.models) == {*shipped.models, "own"}
    assert found.models["gpt-4.1"].provider == "local"
    assert [found.baseline(tier).name for tier in ("cheap", "premium")] == ["own", "gpt-4.1"]  # type: ignore[union-attr]


def test_a_shipped_model_that_an_operator_calls_otherwise_is_there_once(tmp_path: Path) -> None:
    found = load(tmp_path, MODEL.replace('"local"', '"openai"').replace('"llama"', '"gpt-4.1"')).models
    assert [name for name, model in found.items() if model.model == "gpt-4.1"] == ["own"]


def test_a_provider_that_is_elsewhere_has_only_the_models_that_an_operator_names() -> None:
    found = Catalogue.load(elsewhere=["openai"]).models
    assert {model.provider for model in found.values()} == {"anthropic", "openrouter"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MODEL.replace('"cheap"', '"chaep"'), r"models.toml: Invalid enum value 'chaep' - at `\$.models\[0\].tier`"),
        (MODEL.replace("8192", '"many"'), r"Expected `int`, got `str` - at `\$.models\[0\].context_tokens`"),
        (MODEL.replace("8192", "0"), r"models\[0\].context_tokens"),
        (MODEL.replace("8192", "10"), "output_tokens of own is more than its context_tokens"),
        (MODEL.replace('"llama"', '"ll ama"'), r"models\[0\].model"),
        (MODEL + "colour = 1", "unknown field `colour`.*own"),
        (MODEL + MODEL, "the name 'own' is there twice"),
        (MODEL + MODEL.replace("own", "other"), "'other' is a model that is there under another name"),
        (MODEL.replace("own", "pointsman/auto"), "pointsman/auto is the choice among all models"),
        (MODEL + "price = { input = 1 }", "missing required field `output`"),
        (MODEL + "price = { input = -0.1, output = 1 }", "input is -0.1; it takes USD from 0 to 1000000.*own"),
        (MODEL + "price = { input = nan, output = 1 }", "input is NaN"),
        (MODEL + "call_cap_usd = 0", "call_cap_usd is 0"),
        ("models = 3", r"Expected `array`, got `int` - at `\$.models`"),
        ("models = [", "is no TOML"),
    ],
)
def test_a_wrong_file_is_told_with_its_field(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadSetting, match=said) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith("POINTSMAN_CATALOGUE: ")


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read: No such file"):
        Catalogue.load(str(tmp_path / "nothing"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match="is not UTF-8"):
        Catalogue.load(str(tmp_path / "bytes"))
