"""What is counted of every call to a provider: how it ended, how long it took, how fast it came, what it used."""

from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing, contextmanager

from ..clock import Clock
from ..telemetry import OTHER, Metrics
from .provider import Call, Json, Provider, ProviderFailed, Reply

ANSWERED, LEFT = "answered", "left"  # outcomes beside the kinds of failure


class Measured:
    """A provider, measured; only the models that are named get a label of their own."""

    def __init__(self, name: str, provider: Provider, metrics: Metrics, clock: Clock, models: Collection[str]) -> None:
        self._name, self._provider, self._metrics, self._clock = name, provider, metrics, clock
        self._models = frozenset(models)

    async def complete(self, call: Call) -> Reply:
        """The whole answer.

        Raises:
          ProviderFailed: there is none.
        """
        with self._timed(call) as replies:
            replies.append(await self._provider.complete(call))
        return replies[0]

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply.

        Raises:
          ProviderFailed: it ended before the answer did, or there is none.
        """
        with self._timed(call) as replies:
            async with aclosing(self._provider.stream(call)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Reply):
                        replies.append(piece)
                    yield piece

    @contextmanager
    def _timed(self, call: Call) -> Iterator[list[Reply]]:
        model = call.model if call.model in self._models else OTHER
        began, outcome, replies = self._clock.monotonic(), LEFT, list[Reply]()
        try:
            yield replies
            outcome = ANSWERED
        except ProviderFailed as failure:
            outcome = failure.kind
            raise
        finally:
            took_s = self._clock.monotonic() - began
            self._metrics.provider_calls.labels(self._name, model, outcome).inc()
            self._metrics.provider_latency.labels(self._name, model).observe(took_s)
            for reply in replies:
                self._count(reply, model, took_s)

    def _count(self, reply: Reply, model: str, took_s: float) -> None:
        if (usage := reply.usage) is None:
            self._metrics.provider_untold.labels(self._name, model).inc()
            return
        for kind in ("prompt", "completion", "cached"):
            self._metrics.provider_tokens.labels(self._name, model, kind).inc(getattr(usage, kind))
        if took_s > 0:
            self._metrics.provider_throughput.labels(self._name, model).observe(usage.completion / took_s)
