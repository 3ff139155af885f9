"""The models that can be asked: what each is called, where it is, its tier, its limits. One file, and an operator's."""

import tomllib
from collections.abc import Collection
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from ..errors import BadSetting
from .provider import Route

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}$")]
Tokens = Annotated[int, Meta(ge=1, le=10**8)]
MOST_USD = 10**6
SETTING = "POINTSMAN_CATALOGUE"
SHIPPED = "catalogue.toml"
AUTO = "pointsman/auto"  # the model that a caller names to have one chosen


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD for a million tokens; what was cached costs as other input where it has no price of its own."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            _refuse_absurd(field, getattr(self, field))


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that can be asked."""

    name: Name
    provider: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,39}$")]
    model: Name
    tier: Literal["cheap", "premium"]
    context_tokens: Tokens
    output_tokens: Tokens
    tools: bool = True
    price: Price | None = None
    call_cap_usd: Decimal | None = None

    def __post_init__(self) -> None:
        _refuse_absurd("call_cap_usd", self.call_cap_usd)
        if self.call_cap_usd == 0:
            raise ValueError("call_cap_usd is 0; what costs nothing has the price 0")
        if self.output_tokens > self.context_tokens:
            raise ValueError(f"output_tokens of {self.name} is more than its context_tokens")
        if self.name == AUTO:
            raise ValueError(f"{AUTO} is the choice among all models; no model can be called so")

    @property
    def route(self) -> Route:
        return Route(self.provider, self.model)


def _refuse_absurd(field: str, usd: Decimal | None) -> None:
    if usd is not None and not (usd.is_finite() and 0 <= usd <= MOST_USD):
        raise ValueError(f"{field} is {usd}; it takes USD from 0 to {MOST_USD}")


class AnswerMs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Milliseconds that a reflection of a tier is thought to take before one was measured."""

    cheap: Annotated[int, Meta(ge=1, le=600_000)]
    premium: Annotated[int, Meta(ge=1, le=600_000)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: list[Model]
    answer_ms: AnswerMs | None = None

    @property
    def named(self) -> dict[str, Model]:
        return {model.name: model for model in self.models}


class Catalogue:
    """All models by name; an operator's come first."""

    def __init__(self, models: dict[str, Model], answer_ms: AnswerMs) -> None:
        self.models, self.answer_ms = models, answer_ms
        self._at = {model.route: model for model in models.values()}

    def at(self, route: Route) -> Model:
        """The model that is asked there."""
        return self._at[route]

    @classmethod
    def load(cls, path: str | None = None, elsewhere: Collection[str] = ()) -> Self:
        """The shipped models, and those of an operator's file in their place or beside them.

        A provider that is `elsewhere` than usual is not expected to have the shipped ones.

        Raises:
          BadSetting: the file cannot be read, or a field of it cannot be meant; the message names it.
        """
        shipped = _read((resources.files(__package__) / SHIPPED).read_text("utf-8"), SHIPPED)
        assert shipped.answer_ms is not None, "what ships says how long answers take"
        own = _File(models=[]) if path is None else _read(_text(Path(path)), Path(path).name)
        taken = {model.route for model in own.models}
        left = [model for model in shipped.models if model.name not in own.named and model.route not in taken]
        beside = {model.name: model for model in left if model.provider not in elsewhere}
        return cls(own.named | beside, own.answer_ms or shipped.answer_ms)

    def baseline(self, tier: Literal["cheap", "premium"]) -> Model | None:
        """The model that stands for its tier: the first."""
        return next((model for model in self.models.values() if model.tier == tier), None)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise BadSetting(f"{SETTING}: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"{SETTING}: {file} is not UTF-8") from error


def _read(text: str, file: str) -> _File:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
        read = msgspec.convert(document, _File)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{SETTING}: {file} is no TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadSetting(f"{SETTING}: {file}: {_placed(str(error), document)}") from error
    seen, routes = set[str](), set[Route]()
    for model in read.models:
        if model.name in seen:
            raise BadSetting(f"{SETTING}: {file}: the name {model.name!r} is there twice")
        if model.route in routes:
            raise BadSetting(f"{SETTING}: {file}: {model.name!r} is a model that is there under another name")
        seen.add(model.name)
        routes.add(model.route)
    return read


def _placed(error: str, document: Any) -> str:
    """The error with the name of the model it is in, where it has one."""
    _, _, place = error.partition("$.models[")
    number = place.partition("]")[0]
    if not number.isdigit():
        return error
    model = document["models"][int(number)]
    name = model.get("name") if isinstance(model, dict) else None
    return f"{error} (model {name!r})" if name is not None else error
