"""What is counted of calls, and that no key is told anywhere: not in metrics, errors, logs or settings."""

import asyncio
from typing import Any

import pytest

from controlplane.clock import SystemClock
from controlplane.errors import BadSetting
from controlplane.llm.aiohttp_transport import AiohttpTransport
from controlplane.llm.endpoints import BASE_URLS, Endpoints
from controlplane.llm.fake import FakeProvider
from controlplane.llm.httpx_transport import HttpxTransport
from controlplane.llm.measuring import Measured
from controlplane.llm.provider import ProviderFailed
from controlplane.settings import PROVIDER_KEYS, Settings, load
from controlplane.telemetry import Metrics

from .conftest import KEY, Upstream, call


def measured(upstream: Upstream) -> tuple[Measured, Metrics]:
    metrics = Metrics()
    return Measured("acme", upstream.provider, metrics, SystemClock(), ["m-1"]), metrics


def counted(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"pointsman_provider_{name}", {"provider": "acme", **labels})


async def test_calls_are_counted_by_model_and_how_they_ended(upstream: Upstream) -> None:
    provider, metrics = measured(upstream)
    upstream.always(prompt_tokens=7, completion_tokens=2)
    await provider.complete(call())
    pieces = [piece async for piece in provider.stream(call())]
    assert len(pieces) > 2
    upstream.always(status=503)
    with pytest.raises(ProviderFailed):
        await provider.complete(call())
    upstream.always(usage=None)
    await provider.complete(call())
    assert counted(metrics, "calls_total", model="m-1", outcome="answered") == 3
    assert counted(metrics, "calls_total", model="m-1", outcome="status") == 1
    assert counted(metrics, "latency_seconds_count", model="m-1") == 4
    assert counted(metrics, "tokens_total", model="m-1", kind="prompt") == 14
    assert counted(metrics, "tokens_total", model="m-1", kind="completion") == 4
    assert counted(metrics, "tokens_per_second_count", model="m-1") == 2
    assert counted(metrics, "untold_total", model="m-1") == 1


async def test_a_caller_that_leaves_is_counted_as_that(upstream: Upstream) -> None:
    provider, metrics = measured(upstream)
    upstream.always(fault="hang")
    caller = asyncio.create_task(provider.complete(call(0.2)))
    await asyncio.sleep(0.05)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert counted(metrics, "calls_total", model="m-1", outcome="left") == 1


async def test_models_that_nobody_listed_make_no_series_of_their_own(upstream: Upstream) -> None:
    provider, metrics = measured(upstream)
    for number in range(5):
        await provider.complete(call(model=f"invented-{number}"))
    assert counted(metrics, "calls_total", model="other", outcome="answered") == 5
    assert "invented" not in metrics.text().decode()


@pytest.mark.parametrize("behaviour", [{"status": 401}, {"fault": "garbage"}, {"fault": "reset"}, {"fault": "hang"}])
async def test_no_key_is_told_by_a_failure(
    upstream: Upstream, behaviour: dict[str, Any], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    provider, metrics = measured(upstream)
    upstream.always(error={"message": f"wrong key {KEY}"}, **behaviour)
    with pytest.raises(ProviderFailed) as failed:
        await provider.complete(call(0.2))
    told = [str(failed.value), repr(failed.value), metrics.text().decode(), *capfd.readouterr(), caplog.text]
    assert not any("cAnArY" in text for text in told)


def test_provider_keys_are_settings_that_are_never_shown() -> None:
    assert {f"{name}_api_key" for name in BASE_URLS} == PROVIDER_KEYS
    chosen = load({f"POINTSMAN_{name.upper()}": f"{KEY}-{name}" for name in PROVIDER_KEYS})
    assert all(getattr(chosen, name) == f"{KEY}-{name}" for name in PROVIDER_KEYS)
    assert KEY not in repr(chosen) + str(chosen.shown())
    assert chosen.hash == Settings().hash, "a key shapes no decision"


async def test_no_provider_is_there_until_a_setting_names_one() -> None:
    assert Endpoints(Settings(), SystemClock(), HttpxTransport).providers == {}
    both = Settings(openai_api_key=KEY, anthropic_base_url="http://127.0.0.1:1")
    endpoints = Endpoints(both, SystemClock(), HttpxTransport)
    assert sorted(endpoints.providers) == ["anthropic", "openai"]
    await endpoints.close()


@pytest.mark.parametrize("transport", [AiohttpTransport, HttpxTransport])
async def test_each_key_goes_to_its_own_host_alone(fake: tuple[FakeProvider, str], transport: Any) -> None:
    """The two that have none send none, though another has one."""
    provider, url = fake
    chosen = Settings(openai_base_url=f"{url}/v1", openrouter_base_url=f"{url}/api/v1/", openrouter_api_key=KEY)
    endpoints = Endpoints(chosen, SystemClock(), transport)
    for name in ("openai", "openrouter"):
        await endpoints.providers[name].complete(call())
    assert [(asked.path, asked.keyed) for asked in provider.calls] == [
        ("/v1/chat/completions", False),
        ("/api/v1/chat/completions", True),
    ]
    await endpoints.close()


@pytest.mark.parametrize("url", ["ftp://x", "http://:80", "https://h:0/", "https://h:99999"])
def test_a_base_url_that_is_none_ends_the_start(url: str) -> None:
    with pytest.raises(BadSetting, match="OPENAI_BASE_URL"):
        load({"POINTSMAN_OPENAI_BASE_URL": url})
