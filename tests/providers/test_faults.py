"""The fault table of providers: each fault ends in one error of a known kind, in time, with nothing left behind.

Rows P1 to P6; retries and fallbacks are in test_resilience.py.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.clock import SystemClock
from controlplane.errors import BadSetting
from controlplane.llm.addresses import Origin, Resolve
from controlplane.llm.aiohttp_transport import AiohttpTransport
from controlplane.llm.fake import FakeProvider
from controlplane.llm.httpx_transport import HttpxTransport
from controlplane.llm.openai import OpenAI
from controlplane.llm.provider import Kind, ProviderFailed
from controlplane.llm.transport import Exchanges

from .conftest import KEY, Upstream, call, until

WAYS = pytest.mark.parametrize("way", ["whole", "stream"])


async def failure(upstream: Upstream, way: str, deadline_s: float = 5.0) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as failed:
        await upstream.ask(way, deadline_s)
    assert KEY not in f"{failed.value!r} {failed.value}"
    return failed.value


STATUSES: list[tuple[int, dict[str, str], Kind, bool, bool]] = [
    (408, {}, "status", True, True),
    (429, {}, "rate_limit", True, False),
    (429, {"code": "insufficient_quota"}, "spend_limit", False, False),
    (429, {"type": "enforced_spend_limit_reached"}, "spend_limit", False, False),
    (429, {"message": "is insufficient_quota what I think it is?"}, "rate_limit", True, False),
    (400, {}, "bad_request", False, False),
    (400, {"message": "Your credit balance is too low to go on."}, "spend_limit", False, False),
    (401, {}, "auth", False, False),
    (402, {}, "spend_limit", False, False),
    (403, {}, "auth", False, False),
    (404, {}, "bad_request", False, False),
    (500, {}, "status", True, False),
    (502, {}, "status", True, False),
    (503, {}, "status", True, False),
    (504, {}, "status", True, True),
    (529, {}, "status", True, False),
]


@WAYS
async def test_p1_p2_a_status_says_whether_to_try_again_and_whether_it_cost(upstream: Upstream, way: str) -> None:
    for status, error, kind, retryable, billed in STATUSES:
        upstream.always(status=status, error=error)
        failed = await failure(upstream, way)
        told = (status, error, failed.kind, failed.retryable, failed.billed)
        assert told == (status, error, kind, retryable, billed)
        assert (failed.provider, failed.status, failed.retry_after_s) == ("acme", status, None)


async def test_p1_a_retry_after_is_read_and_an_absurd_one_is_not(upstream: Upstream) -> None:
    told = {"7": 7.0, "0": 0.0, "1e99": None, "-3": None, "nan": None, "soon": None}
    for said, pause_s in told.items():
        upstream.always(status=503, headers={"retry-after": said})
        assert (said, (await failure(upstream, "whole")).retry_after_s) == (said, pause_s)


INSIDE: list[tuple[dict[str, Any], Kind]] = [
    ({"code": 502, "message": "upstream"}, "status"),
    ({"code": 429}, "rate_limit"),
    ({"type": "overloaded_error"}, "status"),
    ({"type": "insufficient_quota"}, "spend_limit"),
    ({"code": 10**9, "message": ["?"]}, "status"),
]


@WAYS
async def test_p3_an_error_under_200_or_inside_a_stream_is_a_failure(upstream: Upstream, way: str) -> None:
    for error, kind in INSIDE:
        upstream.always(fault="error_inside", error=error, text="some words that are never all sent")
        failed = await failure(upstream, way)
        assert (error, failed.kind, failed.billed) == (error, kind, True), "work may have been done"


FAULTS: list[tuple[str, set[Kind]]] = [
    ("reset", {"connect"}),
    ("cut", {"cut_stream"}),
    ("no_done", {"garbled", "cut_stream"}),
    ("garbage", {"garbled"}),
    ("wrong_schema", {"garbled"}),
    ("huge", {"too_large"}),
    ("huge_head", {"garbled"}),
    ("gzip_bomb", {"garbled"}),
    ("hang", {"timeout"}),
    ("stall", {"timeout"}),
    ("drip", {"timeout"}),
    ("endless", {"timeout", "too_large"}),
]


@WAYS
async def test_p4_p5_what_is_no_answer_fails_in_time_and_may_have_cost(upstream: Upstream, way: str) -> None:
    for fault, kinds in FAULTS:
        upstream.always(fault=fault, text="so many words that half of them are some")
        async with asyncio.timeout(30):  # not for ever, as the fault itself
            failed = await failure(upstream, way, 0.1 if "timeout" in kinds else 30.0)
        assert failed.kind in kinds, (fault, failed.kind)
        assert failed.billed, fault
    async with asyncio.timeout(30):
        await upstream.exchanges.close()
    await until(lambda: not upstream.fake.connections)


@pytest.mark.parametrize(
    "behaviour",
    [{"model": "another"}, {"finish_reason": "error"}, {"fault": "duplicate_choices"}],
    ids=["another model", "ends in an error", "one choice twice"],
)
async def test_p5_an_answer_to_another_call_is_none(upstream: Upstream, behaviour: dict[str, Any]) -> None:
    if upstream.api == "anthropic" and "model" not in behaviour:
        behaviour = {"model": "m-2"}  # whose messages have one choice, and end in no error
    upstream.always(**behaviour)
    assert (await failure(upstream, "whole")).kind in ("garbled", "status")


async def test_p4_nobody_there_is_no_cost(fake: Any, transport: str) -> None:
    upstream = Upstream(*fake, "openai", transport)
    await upstream.fake.close()
    failed = await failure(upstream, "whole")
    assert (failed.kind, failed.retryable, failed.billed) == ("connect", True, False)
    await upstream.exchanges.close()


def level_memory() -> int:
    """The memory held now, in KiB; the peak starts anew from it."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """What the system says of this process's memory, in KiB."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1])


@pytest.mark.parametrize("times", [8, pytest.param(1000, marks=pytest.mark.nightly)], ids=["few", "many"])
async def test_p4_descriptors_and_memory_stay_level_under_faults(
    fake: tuple[FakeProvider, str], transport: str, url: str, times: int
) -> None:
    """The provider is a process of its own, so that what grows here is the client's."""
    upstream = Upstream(fake[0], url, "openai", transport)
    faults = ("hang", "reset", "cut", "huge", "gzip_bomb", "huge_head", "drip", "stall")

    async def each(times: int) -> None:
        for number in range(times):
            script = {"otherwise": {"fault": faults[number % len(faults)]}}
            await asyncio.to_thread(httpx.put, f"{url}/fake/script", json=script, timeout=30)
            await failure(upstream, "whole", 0.05)
        await until(lambda: not upstream.exchanges.under_way)

    await each(len(faults))
    descriptors, before = len(os.listdir("/proc/self/fd")), level_memory()
    await each(times)
    grown = memory("VmHWM") - before
    print(f"{times} faults over {transport}: {grown} KiB more")
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert grown < 20 * 1024
    await upstream.exchanges.close()


@pytest.fixture
async def trap() -> AsyncIterator[tuple[int, list[str]]]:
    """A listener nobody may connect to: its port, and who did."""
    seen: list[str] = []

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(str(writer.get_extra_info("peername")))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], seen
    server.close()


@WAYS
async def test_p6_a_redirect_leads_nowhere(upstream: Upstream, trap: tuple[int, list[str]], way: str) -> None:
    port, seen = trap
    for status in (301, 302, 303, 307, 308):
        upstream.always(status=status, headers={"location": f"http://127.0.0.1:{port}/latest/meta-data"})
        failed = await failure(upstream, way)
        assert (failed.kind, failed.status, failed.retryable) == ("status", status, False)
    assert seen == []


@pytest.mark.parametrize("kind", [AiohttpTransport, HttpxTransport])
@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["::1"], []],
    ids=str,
)
async def test_p6_a_public_name_that_leads_into_a_private_network_is_not_connected_to(
    trap: tuple[int, list[str]], kind: Any, addresses: list[str]
) -> None:
    port, seen = trap

    async def resolve(host: str, port: int) -> list[str]:
        assert host == "api.acme.example"
        return addresses

    given: Resolve = resolve
    exchanges = Exchanges(kind(Origin(f"http://api.acme.example:{port}", keyed=False), given), SystemClock())
    with pytest.raises(ProviderFailed) as failed:
        await OpenAI("acme", exchanges, None).complete(call())
    assert (failed.value.kind, failed.value.billed) == ("connect", False)
    assert seen == []
    await exchanges.close()


@pytest.mark.parametrize("kind", [AiohttpTransport, HttpxTransport])
async def test_p6_a_private_name_of_the_operators_is_connected_to(fake: Any, kind: Any) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    port = fake[1].rpartition(":")[2]
    exchanges = Exchanges(kind(Origin(f"http://ollama:{port}/v1", keyed=True), resolve), SystemClock())
    assert (await OpenAI("local", exchanges, KEY).complete(call())).finish_reason == "stop"
    await exchanges.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://api.acme.example/v1",
        "https://ann:pw@api.acme.example",
        "https://api.acme.example/?key=1",
        "http://169.254.169.254/v1",
        "http://[fe80::1]/v1",
        "ftp://acme.example",
        "https:///v1",
    ],
)
def test_p6_a_base_url_that_a_key_cannot_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(BadSetting) as refused:
        Origin(url, keyed=True)
    assert "pw" not in str(refused.value)
