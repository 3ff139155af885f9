"""Who outside is told of what happens to memory."""

from typing import Annotated

from msgspec import Meta

from .wire import Answer, Identified, Request

Url = Annotated[str, Meta(min_length=1, max_length=2048)]


class WebhookRequest(Request, frozen=True, kw_only=True):
    """An address that is told, and of which kinds of news; without any, of all."""

    url: Url
    kinds: Annotated[tuple[Identified, ...], Meta(max_length=64)] = ()


class WebhookAnswer(Answer, frozen=True, kw_only=True):
    """A webhook; `waiting` pieces of news are not taken yet, and `failing` is why the last try was not."""

    webhook_id: str
    url: str
    kinds: tuple[str, ...]
    created_at: float
    by: str
    waiting: int
    failing: str | None


class NewWebhookAnswer(WebhookAnswer, frozen=True, kw_only=True):
    """A webhook with the secret that its messages are signed with, which is told this once."""

    secret: str
