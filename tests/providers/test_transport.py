"""What both transports keep to: names of certificates, no proxy that nobody asked for, a bound on what is under way."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.clock import SystemClock
from controlplane.llm.addresses import Origin
from controlplane.llm.aiohttp_transport import AiohttpTransport
from controlplane.llm.httpx_transport import HttpxTransport
from controlplane.llm.openai import OpenAI
from controlplane.llm.provider import ProviderFailed
from controlplane.llm.transport import MOST_UNDER_WAY, PLAIN, Exchanges, Request, Sink

from .conftest import Upstream, call, until

BOTH = pytest.mark.parametrize("kind", [AiohttpTransport, HttpxTransport])


async def at_home(host: str, port: int) -> list[str]:
    """Every name is this machine's."""
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for acme.local that vouches for itself, with its key in one file."""
    file = tmp_path_factory.mktemp("tls") / "acme.pem"
    subject = ["-subj", "/CN=acme.local", "-addext", "subjectAltName=DNS:acme.local"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", f"{file}.key", "-out", str(file)], check=True, capture_output=True)
    return file


@pytest.fixture
async def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server that answers by that certificate, which this machine trusts; its port."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    body = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@BOTH
@pytest.mark.parametrize("host", ["acme.local", "other.local"])
async def test_a_certificate_has_to_be_the_names_though_the_address_is_connected_to(
    tls: int, kind: Any, host: str
) -> None:
    exchanges = Exchanges(kind(Origin(f"https://{host}:{tls}/v1", keyed=True), at_home), SystemClock())
    provider = OpenAI("acme", exchanges, "a key")
    if host == "acme.local":
        assert (await provider.complete(call())).finish_reason == "stop"
    else:
        with pytest.raises(ProviderFailed) as failed:
            await provider.complete(call())
        assert (failed.value.kind, failed.value.billed) == ("connect", False)
    await exchanges.close()


async def test_a_proxy_that_the_environment_names_is_not_used(
    fake: Any, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    upstream = Upstream(*fake, "openai", transport)
    assert (await upstream.complete()).finish_reason == "stop"
    await upstream.exchanges.close()


class Silent:
    """A transport whose exchanges end when they are told to."""

    def __init__(self) -> None:
        self.begun, self.end = 0, asyncio.Event()

    async def exchange(self, request: Request, sink: Sink) -> None:
        self.begun += 1
        await self.end.wait()
        sink.head(200, {})

    async def close(self) -> None:
        """Nothing is held."""


async def test_more_calls_than_may_be_under_way_wait_and_what_never_left_cost_nothing() -> None:
    transport, request = Silent(), Request(path="/", body=b"", headers=PLAIN)
    exchanges = Exchanges(transport, SystemClock())
    waiting = [asyncio.create_task(exchanges.open(request, 60.0)) for _ in range(MOST_UNDER_WAY)]
    await until(lambda: transport.begun == MOST_UNDER_WAY)
    with pytest.raises(ProviderFailed) as late:
        await exchanges.open(request, 0.05)
    assert (late.value.kind, late.value.billed, transport.begun) == ("timeout", False, MOST_UNDER_WAY)
    transport.end.set()
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert (await exchanges.open(request, 60.0)).status == 200
    await exchanges.close()
