"""A server as it is shipped, in front of a fake provider for each model that answers as was recorded: all processes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec

from .. import servers
from ..access import HEADERS
from ..models import catalogue_of
from .questions import ANSWER_TOKENS, MODELS, Questions

RIGHT, WRONG = "right", "wrong"
NANO = 10**9


class Station:
    """Makes tenants that weigh money as they are told, and says what was billed and what the ledger has of it."""

    def __init__(self, url: str, providers: list[str]) -> None:
        self.url, self._providers = url, providers
        self._client = httpx.Client(base_url=url, headers=HEADERS, timeout=60)

    def tenant(self, name: str, spent: float) -> str:
        """A key of a new tenant, to whom what is spent weighs so much."""
        self._told("POST", "/v1/admin/tenants", {"tenant": name, "tier": "local"})
        key: str = self._told("POST", "/v1/admin/keys", {"tenant": name})["key"]
        policy = {"version": 0, "why": "what a success may cost", "weights": {"spent": spent}}
        self._told("PATCH", "/v1/points/chat/policy", policy, {"X-API-Key": key})
        return key

    def spent(self, name: str) -> int:
        """What the ledger says that a tenant spent [nano-USD]."""
        told = self._told("GET", f"/v1/admin/budget?tenant={name}")
        if told["reserved_usd"] or told["unreconciled"]:
            raise RuntimeError(f"calls of {name} are not settled")
        return round(told["spent_usd"] * NANO)

    def billed(self) -> int:
        """What the providers billed [nano-USD]."""
        return sum(httpx.get(f"{url}/fake/bill").json()["billed_nano_usd"] for url in self._providers)

    def wait(self) -> None:
        """Until the server has its embedder, which must be the one that ships."""
        servers.wait_for_ready(self._client)
        if (embedder := self._told("GET", "/readyz")["embedder"]) != "ready":
            raise RuntimeError(f"the embedding model is {embedder}")

    def close(self) -> None:
        self._client.close()

    def _told(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        answer = self._client.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def station(questions: Questions, **settings: str) -> Iterator[Station]:
    """One whose providers know these questions."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="pointsman-bench-")))
        providers = [f"http://127.0.0.1:{stack.enter_context(servers.fake_provider())}" for _ in MODELS]
        for column, url in enumerate(providers):
            script = msgspec.json.encode(recorded(questions, column))
            httpx.put(f"{url}/fake/script", content=script, timeout=60).raise_for_status()
        settings["POINTSMAN_CATALOGUE"] = catalogue_of(folder, MODELS)
        for model, url in zip(MODELS, providers, strict=True):
            settings[f"POINTSMAN_{model.provider.upper()}_BASE_URL"] = f"{url}/v1"
        port, _ = stack.enter_context(servers.pointsman(**settings))
        made = Station(f"http://127.0.0.1:{port}", providers)
        stack.callback(made.close)
        made.wait()
        yield made


def recorded(questions: Questions, column: int) -> dict[str, Any]:
    """The script of a model's provider: each question's answer is as right as it was."""
    rules = [
        {
            "message": prompt,
            "then": {
                "text": RIGHT if right else WRONG,
                "prompt_tokens": int(tokens),
                "completion_tokens": ANSWER_TOKENS,
            },
        }
        for prompt, tokens, right in zip(questions.prompts, questions.tokens, questions.right[:, column], strict=True)
    ]
    nano_usd = MODELS[column].nano_usd
    return {"rules": rules, "prompt_nano_usd": nano_usd, "completion_nano_usd": nano_usd}
