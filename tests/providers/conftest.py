"""The fake provider on a real socket, and each adapter over each transport to it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from controlplane.clock import SystemClock
from controlplane.llm.addresses import Origin
from controlplane.llm.aiohttp_transport import AiohttpTransport
from controlplane.llm.anthropic import Anthropic
from controlplane.llm.fake import FakeProvider
from controlplane.llm.fake_script import Playing, Script
from controlplane.llm.httpx_transport import HttpxTransport
from controlplane.llm.openai import OpenAI
from controlplane.llm.provider import Call, Json, Provider, Reply
from controlplane.llm.transport import Exchanges, Transport

TRANSPORTS: dict[str, Callable[[Origin], Transport]] = {"aiohttp": AiohttpTransport, "httpx": HttpxTransport}
DRAWN = settings(max_examples=100, derandomize=True, database=None, deadline=None, print_blob=True)
COMMAND = (sys.executable, "-m", "controlplane", "fake-provider")
KEY = "sk-cAnArYprovider0123456789"


class Upstream:
    """A fake provider, and one adapter that asks it."""

    def __init__(self, fake: FakeProvider, url: str, api: str, transport: str) -> None:
        self.fake, self.api = fake, api
        self.origin = Origin(f"{url}/v1" if api == "openai" else url, keyed=True)
        self.exchanges = Exchanges(TRANSPORTS[transport](self.origin), SystemClock())
        self.provider: Provider = (
            OpenAI("acme", self.exchanges, KEY)
            if api == "openai"
            else Anthropic("acme", self.exchanges, KEY, SystemClock())
        )

    def script(self, **script: Any) -> None:
        """Play another script from now on, and bill anew."""
        self.fake.playing = Playing(msgspec.convert(script, Script))

    def always(self, **behaviour: Any) -> None:
        self.script(otherwise=behaviour)

    async def complete(self, deadline_s: float = 5.0, model: str = "m-1", **body: Any) -> Reply:
        return await self.provider.complete(call(deadline_s, model, **body))

    async def stream(self, deadline_s: float = 5.0, **body: Any) -> tuple[list[Json], Reply]:
        """All chunks, and the reply at the end."""
        *chunks, reply = [piece async for piece in self.provider.stream(call(deadline_s, **body))]
        assert isinstance(reply, Reply)
        assert not any(isinstance(chunk, Reply) for chunk in chunks)
        return chunks, reply  # type: ignore[return-value]

    async def ask(self, way: str, deadline_s: float = 5.0) -> Reply:
        """Whole or streamed."""
        return await self.complete(deadline_s) if way == "whole" else (await self.stream(deadline_s))[1]


def call(deadline_s: float = 5.0, model: str = "m-1", **body: Any) -> Call:
    return Call(
        body={"messages": [{"role": "user", "content": "how are things"}], **body}, model=model, deadline_s=deadline_s
    )


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where a fake provider listens that was started as a user starts it, in a process of its own."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        yield found[0]
        process.terminate()


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeProvider, str]]:
    provider = FakeProvider(Script())
    url = await provider.start()
    yield provider, url
    await provider.close()


@pytest.fixture(params=list(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["openai", "anthropic"])
async def upstream(
    request: pytest.FixtureRequest, fake: tuple[FakeProvider, str], transport: str
) -> AsyncIterator[Upstream]:
    made = Upstream(*fake, request.param, transport)
    yield made
    await fake[0].close()  # hang up on whoever waits for ever
    await made.exchanges.close()


def text_of(chunks: list[Json]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that comes to be by itself."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to be")
