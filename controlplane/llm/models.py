"""Everything a call of a language model needs but money: who can be asked, how, and with which prompts."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from ..clock import Clock
from ..settings import Settings
from ..telemetry import Metrics
from .addresses import Origin
from .catalogue import Catalogue, Model
from .endpoints import Endpoints
from .measuring import Measured
from .prompts.library import Prompts
from .resilience import Resilience
from .transport import Transport


class Models:
    """The models of the catalogue, and the providers that the settings name.

    Raises:
      BadSetting: the catalogue, a prompt or a base URL cannot be meant.
    """

    def __init__(
        self, settings: Settings, clock: Clock, metrics: Metrics, transport: Callable[[Origin], Transport]
    ) -> None:
        self.catalogue, self.prompts = Catalogue.load(settings.catalogue), Prompts.load(_path(settings.prompts))
        self._endpoints = Endpoints(settings, clock, transport)
        providers = self._endpoints.providers
        self._usable = [model for model in self.catalogue.models.values() if model.provider in providers]
        names = {name: [model.model for model in self._usable if model.provider == name] for name in providers}
        measured = {name: Measured(name, providers[name], metrics, clock, names[name]) for name in providers}
        self.resilience = Resilience(measured, clock, random.Random(settings.seed).random)

    def of(self, tier: Literal["cheap", "premium"]) -> list[Model]:
        """Those of a tier that can be asked, in the catalogue's order."""
        return [model for model in self._usable if model.tier == tier]

    async def close(self) -> None:
        """Wait for the calls under way, and let go of the connections."""
        await self._endpoints.close()


def _path(setting: str | None) -> Path | None:
    return Path(setting) if setting else None
