"""Every model that is configured, and the one way to ask it: measured, tried again, left alone while it is out."""

import random
from collections.abc import Mapping

from ..clock import Clock
from ..settings import Settings
from ..telemetry import Metrics
from .aiohttp_transport import AiohttpTransport
from .endpoints import Endpoints
from .measuring import Measured
from .models import models_of
from .provider import Provider
from .resilience import Resilience


class Upstreams:
    """The models and their providers; `others` stand in the place of those that the settings lead to."""

    def __init__(
        self, settings: Settings, clock: Clock, metrics: Metrics, others: Mapping[str, Provider] | None = None
    ) -> None:
        self.models = models_of(settings)
        self._endpoints = Endpoints(settings, clock, AiohttpTransport) if others is None else None
        found = self._endpoints.providers if self._endpoints is not None else others or {}
        known = [model.model for model in self.models.values()]
        providers = {name: Measured(name, provider, metrics, clock, known) for name, provider in found.items()}
        self.resilience = Resilience(providers, clock, random.Random(settings.seed).random)

    async def close(self) -> None:
        """Wait for the calls under way, and let go of the connections."""
        if self._endpoints is not None:
            await self._endpoints.close()
