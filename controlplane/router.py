"""The downstream router of the Aurora seed: it scores what was chosen, and may be absent or down."""

import msgspec
import structlog

from .contract import Candidate, DecisionRequest
from .telemetry import Metrics
from .upstream import Upstream, UpstreamFailed

log = structlog.get_logger()


class Score(msgspec.Struct):
    """What a router answers."""

    score: float


class Router:
    """POST {url}/route with {task_id, context, chosen}; a failure costs the score, not the decision."""

    def __init__(self, url: str | None, upstream: Upstream, metrics: Metrics) -> None:
        self._url, self._upstream, self._metrics = url, upstream, metrics

    @property
    def configured(self) -> bool:
        return self._url is not None

    async def score(self, request: DecisionRequest, chosen: Candidate) -> float | None:
        """The router's score, or None when it gave none in time."""
        if self._url is None:
            return None
        body = msgspec.json.encode({"task_id": request.task_id, "context": request.context, "chosen": chosen})
        try:
            return (await self._upstream.ask("POST", f"{self._url}/route", Score, body)).score
        except UpstreamFailed as error:
            self._metrics.router_errors.inc()
            log.warning("router_failed", error=str(error))
            return None
