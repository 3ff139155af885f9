"""The models that chats are answered by, and what is known of each before it is asked."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..errors import BadSetting
from ..settings import Settings
from .provider import Route, Usage

AUTO = "pointsman/auto"  # the model that a caller names to have one chosen
Word = Annotated[str, Meta(min_length=1, max_length=256)]
Nano = Annotated[int, Meta(ge=0, le=10**9)]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model by the name callers know it by, and its provider's name of it.

    Prices are in nano-USD a token; what is not said is not known, and nothing is masked or computed by it.
    """

    name: Word
    provider: Literal["openai", "anthropic", "openrouter"]
    model: Word
    tier: Literal["cheap", "premium"] = "cheap"
    context_tokens: Annotated[int, Meta(ge=1)] | None = None
    tools: bool = True
    prompt_nano_usd: Nano | None = None
    completion_nano_usd: Nano | None = None

    @property
    def route(self) -> Route:
        return Route(self.provider, self.model)

    def cost_usd(self, usage: Usage) -> float | None:
        """What a call cost: as the provider says, else by the prices; None where neither is known."""
        nano = usage.cost_nano_usd
        if nano is None and self.prompt_nano_usd is not None and self.completion_nano_usd is not None:
            nano = usage.prompt * self.prompt_nano_usd + usage.completion * self.completion_nano_usd
        return None if nano is None else nano / 1e9


Models = dict[str, Model]  # by name


def models_of(settings: Settings) -> Models:
    """The models that the settings name.

    Raises:
      BadSetting: the list is none, names one twice, or names a provider that is not configured.
    """
    try:
        listed = msgspec.json.decode(settings.chat_models or "[]", type=tuple[Model, ...])
    except msgspec.MsgspecError as error:
        raise BadSetting(f"POINTSMAN_CHAT_MODELS: {error}") from error
    models = {model.name: model for model in listed}
    if len(models) < len(listed) or len({model.route for model in listed}) < len(listed) or AUTO in models:
        raise BadSetting(f"POINTSMAN_CHAT_MODELS names a model twice, or one {AUTO!r}, which is the choice among them")
    for model in listed:
        configured = [getattr(settings, f"{model.provider}_{what}") for what in ("base_url", "api_key")]
        if not any(configured):
            raise BadSetting(f"POINTSMAN_CHAT_MODELS: {model.name!r} needs {model.provider}; set its key or base URL")
    return models
