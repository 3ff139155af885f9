"""What stands between an agent and its commands: nothing, or a Pointsman asked over HTTP."""

import time
from collections import Counter
from threading import Event
from typing import Any, Protocol, Self

import httpx
import msgspec

from .servers import POLL_S, Server

TIMEOUT_S = 30.0
PROCEED = "PROCEED"
OWED_S = 60.0  # for which what is owed after the last task is waited for


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent tells before it acts."""

    task_id: str
    goal: str
    planned_action: str
    environment: dict[str, str]


class Advice(msgspec.Struct, frozen=True):
    """A command that helped before, and the episode it comes from (None when the answer does not cite it)."""

    command: str
    episode_id: int | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent makes of a gate's answer."""

    verdict: str
    trace_id: str | None = None
    advice: Advice | None = None
    said: dict[str, Any] = {}


class Gate(Protocol):
    """Asked before a command, told afterwards."""

    def ask(self, question: Question) -> Answer: ...

    def report(self, answer: Answer, outcome: dict[str, Any]) -> None: ...

    def capture(self, answer: Answer, failure: dict[str, Any]) -> int | None:
        """Remember a failure; the episode it became."""
        ...

    def validate(self, episode_id: int, answer: Answer, *, worked: bool) -> None: ...


class NoGate:
    """Everything goes through and nothing is remembered."""

    def ask(self, question: Question) -> Answer:
        return Answer(verdict=PROCEED)

    def report(self, answer: Answer, outcome: dict[str, Any]) -> None:
        pass

    def capture(self, answer: Answer, failure: dict[str, Any]) -> int | None:
        return None

    def validate(self, episode_id: int, answer: Answer, *, worked: bool) -> None:
        pass


class HttpGate:
    """A Pointsman, as any agent would call it."""

    def __init__(self, server: Server, url: str) -> None:
        self.latencies_ms: list[float] = []
        self.tiers = Counter[str]()  # of language models that reflect on what was captured
        self._episodes = dict[int, None]()  # that it was told of, in the order it was
        self._server = server
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def ask(self, question: Question) -> Answer:
        begun = time.perf_counter()
        said = self.call("POST", "/v1/decisions", msgspec.to_builtins(question))
        self.latencies_ms.append((time.perf_counter() - begun) * 1000.0)
        return Answer(verdict=said["action"], trace_id=said["trace_id"], advice=_advice(said), said=said)

    def report(self, answer: Answer, outcome: dict[str, Any]) -> None:
        self.call("POST", "/v1/feedback", {"trace_id": answer.trace_id, "outcome": outcome})

    def capture(self, answer: Answer, failure: dict[str, Any]) -> int | None:
        said = self.call("POST", "/v1/capture", {**failure, "trace_id": answer.trace_id})
        self.tiers.update([tier] if (tier := said["reflection"]["tier"]) else [])
        self._episodes[said["episode_id"]] = None
        return int(said["episode_id"])

    def validate(self, episode_id: int, answer: Answer, *, worked: bool) -> None:
        outcome = "success" if worked else "failure"
        body = {"episode_id": episode_id, "trace_id": answer.trace_id, "outcome": outcome}
        self.call("POST", "/v1/validate_fix", body)

    def explored(self) -> int:
        """Interventions that came from exploration, as the server counts them."""
        return int(self.call("GET", "/status")["points"]["gate"]["interventions_by_exploration"])

    def money(self, over: Event) -> dict[str, Any]:
        """What the server spent, once nothing that it owes is left to be asked."""
        until = time.monotonic() + OWED_S
        while self.call("GET", "/status")["outbox"]["open"] and time.monotonic() < until and not over.wait(POLL_S):
            pass
        return dict(self.call("GET", "/v1/admin/budget"))

    def memories(self) -> list[dict[str, Any]]:
        """What the server remembers, each with its worth."""
        return [dict(self.call("GET", f"/v1/episodes/{episode_id}")) for episode_id in self._episodes]

    def embedder(self) -> dict[str, Any]:
        """Which embedder answers, and whether it stands in for another."""
        return dict(self.call("GET", "/status")["embedder"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call.

        Raises:
          CannotPlay: the server is gone or refuses.
        """
        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise self._server.failure(f"a server does not answer {path} ({type(error).__name__})") from error
        if response.is_error:
            raise self._server.failure(f"a server refused {path} with {response.status_code}: {response.text[:500]}")
        return response.json()


def _advice(said: dict[str, Any]) -> Advice | None:
    """The command to run instead: the suggested action of a REWRITE, else the resolution that is quoted."""
    command = said["suggested_action"] or said["reflection"]["resolution"]
    if not command:
        return None
    sources = (*said["supporting_episodes"], *said["skills"])
    cited = next((source["episode_id"] for source in sources if source["resolution"] == command), None)
    return Advice(command, cited)
