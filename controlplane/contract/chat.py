"""Chatting as OpenAI's clients do: the fields that are read. All others pass to the provider as they came."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .wire import IDENTIFIES, FreeMap, Named

Key = Annotated[str, Meta(max_length=64)]
Label = Annotated[str, Meta(max_length=512)]


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message; `content` is a text, or parts of which some are texts."""

    role: Named
    content: Any = None


class ChatBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a model. `model` is a name of /v1/models, or pointsman/auto, which chooses among them."""

    model: Named
    messages: Annotated[tuple[ChatMessage, ...], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: FreeMap | None = None
    tools: Annotated[tuple[FreeMap, ...], Meta(max_length=1024)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    seed: int | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    user: Annotated[str, Meta(max_length=512, extra=IDENTIFIES)] | None = None
    metadata: Annotated[dict[Key, Label | int | float | bool | None], Meta(max_length=16)] | None = None

    @property
    def text(self) -> str:
        """Of the last message of the user's."""
        return next((text_of(said.content) for said in reversed(self.messages) if said.role == "user"), "")


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One of the models that may be named."""

    id: str
    owned_by: str
    object: Literal["model"] = "model"
    created: int = 0


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: tuple[ListedModel, ...]
    object: Literal["list"] = "list"


def text_of(content: Any) -> str:
    """The text of a message.

    >>> text_of([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}])
    'a b'
    """
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return " ".join([part for part in parts if isinstance(part, str)])
