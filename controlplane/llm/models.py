"""Everything a call of a language model needs but money: who can be asked, how, and with which prompts."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ..clock import Clock
from ..settings import Settings
from ..telemetry import Metrics
from .aiohttp_transport import AiohttpTransport
from .catalogue import Catalogue, Model
from .endpoints import BASE_URLS, Endpoints
from .httpx_transport import HttpxTransport
from .measuring import Measured
from .prices import load_prices
from .prompts.library import Prompts
from .provider import Provider
from .resilience import Resilience


class Models:
    """The models of the catalogue, and the providers that the settings name; `others` stand in their place.

    Whoever waits for a chat is not to wait for what is done in the background, nor to be short of the tries that
    went there: each has connections, breakers and a retry budget of its own.

    Raises:
      BadSetting: the catalogue, a prompt or a base URL cannot be meant.
    """

    def __init__(
        self, settings: Settings, clock: Clock, metrics: Metrics, others: Mapping[str, Provider] | None = None
    ) -> None:
        elsewhere = [name for name in BASE_URLS if getattr(settings, f"{name}_base_url")]
        self.catalogue, self.prompts = Catalogue.load(settings.catalogue, elsewhere), _prompts(settings)
        ways = () if others is not None else (AiohttpTransport, HttpxTransport)
        self._endpoints = [Endpoints(settings, clock, way) for way in ways]
        chatting, reflecting = [each.providers for each in self._endpoints] or [dict(others or {})] * 2
        self.usable = {model.name: model for model in self.catalogue.models.values() if model.provider in chatting}
        if self.usable:
            load_prices()
        names = {model.model for model in self.usable.values()}

        def asked(providers: Mapping[str, Provider]) -> Resilience:
            measured = {name: Measured(name, of, metrics, clock, names) for name, of in providers.items()}
            return Resilience(measured, clock, random.Random(settings.seed).random)

        self.chatting, self.reflecting = asked(chatting), asked(reflecting)

    def of(self, tier: Literal["cheap", "premium"]) -> list[Model]:
        """Those of a tier that can be asked, in the catalogue's order."""
        return [model for model in self.usable.values() if model.tier == tier]

    async def close(self) -> None:
        """Wait for the calls under way, and let go of the connections."""
        for endpoints in self._endpoints:
            await endpoints.close()


def _prompts(settings: Settings) -> Prompts:
    return Prompts.load(Path(settings.prompts) if settings.prompts else None)
