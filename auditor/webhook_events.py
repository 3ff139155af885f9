"""Who outside is told of what happens to a tenant's memory, as events."""

from .event import Event


class WebhookSet(Event, frozen=True, kw_only=True, tag="webhook_set"):
    """An address is told of these kinds of news from here on; no kinds means all."""

    webhook_id: str
    url: str
    kinds: tuple[str, ...]
    by: str = ""

    @property
    def ref(self) -> str:
        return self.webhook_id


class WebhookRemoved(Event, frozen=True, kw_only=True, tag="webhook_removed"):
    """It is told of nothing any more."""

    webhook_id: str
    by: str = ""

    @property
    def ref(self) -> str:
        return self.webhook_id
