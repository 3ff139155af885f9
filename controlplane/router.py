"""The downstream router of the Aurora seed: it scores what was chosen, and may be absent or down."""

import asyncio

import httpx
import msgspec
import structlog

from .contract import Candidate, DecisionRequest

log = structlog.get_logger()


class Score(msgspec.Struct):
    """What a router answers."""

    score: float


class Router:
    """POST {url}/route with {task_id, context, chosen}; a failure costs the score, not the decision."""

    def __init__(self, url: str | None, http: httpx.AsyncClient, *, deadline_s: float) -> None:
        self.errors = 0
        self._url, self._http, self._deadline_s = url, http, deadline_s

    @property
    def configured(self) -> bool:
        return self._url is not None

    async def score(self, request: DecisionRequest, chosen: Candidate) -> float | None:
        """The router's score, or None when it gave none in time."""
        if self._url is None:
            return None
        return await asyncio.shield(asyncio.create_task(self._ask(request, chosen), name="router"))

    async def _ask(self, request: DecisionRequest, chosen: Candidate) -> float | None:
        body = msgspec.json.encode({"task_id": request.task_id, "context": request.context, "chosen": chosen})
        try:
            response = await self._http.post(
                f"{self._url}/route",
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=self._deadline_s,
            )
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=Score).score
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError) as error:
            self.errors += 1
            log.warning("router_failed", error=f"{type(error).__name__}: {error}")
            return None
