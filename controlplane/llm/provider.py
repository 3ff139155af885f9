"""The port behind which language models stand: a call, its reply whole or in pieces, and one error.

Everything is shaped as OpenAI's chat completions; a provider that speaks otherwise is translated. Fields that
nobody here knows pass through untouched, both ways.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import msgspec

Json = dict[str, Any]
Kind = Literal[
    "timeout",
    "connect",
    "status",
    "rate_limit",
    "spend_limit",
    "auth",
    "bad_request",
    "garbled",
    "too_large",
    "cut_stream",
    "breaker_open",
]
SAID: Mapping[Kind, str] = {
    "timeout": "gave no whole answer within the deadline",
    "connect": "could not be reached, or hung up before it answered",
    "status": "answered with an error of its own",
    "rate_limit": "takes no more calls for now",
    "spend_limit": "takes no more calls: its spending limit is reached",
    "auth": "refused the key or what it may do",
    "bad_request": "cannot take this call",
    "garbled": "answered what is no reply to the call",
    "too_large": "answered more than is read",
    "cut_stream": "stopped in the middle of its answer",
    "breaker_open": "failed too often and is left alone for a while",
}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a model: OpenAI's body, the provider's own name of the model, and seconds from now."""

    body: Json
    model: str
    deadline_s: float


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider counts them; `cached` and `cache_written` are part of `prompt`."""

    prompt: int
    completion: int
    cached: int = 0
    cache_written: int = 0
    cost_nano_usd: int | None = None


class Route(msgspec.Struct, frozen=True):
    """A provider by name, and its name of the model."""

    provider: str
    model: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, or the end of a streamed one, whose `body` is then the chunk that holds the usage.

    `usage` is None where the provider told none that can be trusted.
    """

    body: Json
    usage: Usage | None
    finish_reason: str
    provider: str
    model: str


class ProviderFailed(Exception):
    """A call brought no usable reply; the text names no key, no address and nothing of a body."""

    def __init__(
        self,
        kind: Kind,
        provider: str = "",
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        billed: bool = False,
    ) -> None:
        self.kind, self.provider, self.status = kind, provider, status
        self.retryable, self.retry_after_s = retryable, retry_after_s
        self.billed = billed  # whether it may have been

    def __str__(self) -> str:
        answered = f" ({self.status})" if self.status else ""
        return f"{self.provider or 'the provider'} {SAID[self.kind]}{answered}"


@contextmanager
def named(provider: str) -> Iterator[None]:
    """What fails inside says whose failure it is."""
    try:
        yield
    except ProviderFailed as failure:
        failure.provider = provider
        raise


class Provider(Protocol):
    """Somebody who answers calls."""

    async def complete(self, call: Call) -> Reply:
        """The whole answer.

        Raises:
          ProviderFailed: there is none.
        """
        ...

    def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply.

        Raises:
          ProviderFailed: it ended before the answer did, or there is none.
        """
        ...
