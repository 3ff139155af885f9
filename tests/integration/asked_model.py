"""A fake provider in a process of its own, what it answers, and the settings of a server that asks it."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

PATIENCE_S = 30.0
Json = dict[str, Any]
COMMAND = (sys.executable, "-m", "controlplane", "fake-provider")
INSIGHT: Json = {
    "root_cause": "The registry has no such tag.",
    "preconditions": ["the tag was never pushed"],
    "resolution_strategy": "Push the image before deploying it.",
    "environment_factors": ["a private registry"],
    "confidence": 0.8,
}
MODEL = """
[[models]]
name = "{tier}"
provider = "openai"
model = "m-{tier}"
tier = "{tier}"
context_tokens = 20000
output_tokens = 4000
price = {{ input = {price}, output = {price} }}
"""


class Provider:
    """A fake provider in a process of its own."""

    def __init__(self, client: httpx.Client) -> None:
        self.url, self._client = str(client.base_url).rstrip("/"), client

    def script(self, *rules: Json, otherwise: Json | None = None) -> None:
        """Play this from now on, and forget what was asked."""
        script = {"rules": list(rules), "otherwise": otherwise or {"text": said()}, "prompt_nano_usd": 1000}
        script["completion_nano_usd"] = 1000
        self._client.put("/fake/script", json=script).raise_for_status()

    @property
    def calls(self) -> list[Json]:
        found: list[Json] = self._client.get("/fake/calls").json()
        return found

    def until_asked(self, times: int) -> None:
        """Wait until so many calls came in."""
        until = time.monotonic() + PATIENCE_S
        while len(self.calls) < times:
            assert time.monotonic() < until, "nobody asked"
            time.sleep(0.01)

    @property
    def billed_usd(self) -> float:
        return float(self._client.get("/fake/bill").json()["billed_nano_usd"] / 1e9)


def texts_of(insight: Json) -> list[str]:
    """Its sentences, those in lists too; its numbers may stand in any log."""
    listed = [text for value in insight.values() if isinstance(value, list) for text in value]
    return listed + [value for value in insight.values() if isinstance(value, str)]


def said(**changed: Any) -> str:
    return msgspec.json.encode(INSIGHT | changed).decode()


@contextmanager
def started() -> Iterator[str]:
    """Where a fake provider listens that was started as a user starts it."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", running.stdout.readline())
        assert found
        yield found[0]
        running.terminate()


def chosen_for(url: str, folder: Path) -> Json:
    """Settings with a cheap and a premium model at 1000 nano-USD a token."""
    catalogue = folder / "models.toml"
    catalogue.write_text("".join(MODEL.format(tier=tier, price=1.0) for tier in ("cheap", "premium")), "utf-8")
    return {"openai_base_url": f"{url}/v1", "catalogue": str(catalogue), "epsilon": 0.0}
