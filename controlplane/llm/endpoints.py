"""The providers that the settings name, each over a transport of its own that leads to its base URL alone."""

from collections.abc import Callable

from ..clock import Clock
from ..settings import Settings
from .addresses import Origin
from .anthropic import Anthropic
from .openai import OpenAI
from .provider import Provider
from .transport import Exchanges, Transport

BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "openrouter": "https://openrouter.ai/api/v1",
}


class Endpoints:
    """The configured providers by name: those with a key or a base URL. None is configured by default.

    Raises:
      BadSetting: a base URL is none that a key may be sent to.
    """

    def __init__(self, settings: Settings, clock: Clock, transport: Callable[[Origin], Transport]) -> None:
        self.providers = dict[str, Provider]()
        self._exchanges = list[Exchanges]()
        for name, usual in BASE_URLS.items():
            base_url, key = getattr(settings, f"{name}_base_url"), getattr(settings, f"{name}_api_key")
            if base_url or key:
                exchanges = Exchanges(transport(Origin(base_url or usual, keyed=bool(key))), clock)
                self._exchanges.append(exchanges)
                self.providers[name] = (
                    Anthropic(name, exchanges, key, clock) if name == "anthropic" else OpenAI(name, exchanges, key)
                )

    async def close(self) -> None:
        """Wait for the calls under way, and let go of the connections."""
        for exchanges in self._exchanges:
            await exchanges.close()
