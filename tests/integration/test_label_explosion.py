"""However many names callers come up with, the metrics stay as many as there are kinds of things."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Running, chosen

MOST, CLIENTS = 2000, 16
Call = tuple[str, str, Any]


def named(number: int) -> Iterator[Call]:
    """Calls with names that nobody used before: paths, tenants, places, tools, models, tasks, errors, methods."""
    yield "GET", f"/nowhere/{number}?q={number}", None
    yield "POST", "/v1/admin/tenants", {"tenant": f"tenant-{number}", "tier": "pro"}
    places = [{"provider": f"provider{number}", "sku": f"model{n}-{number}"} for n in range(2)]
    yield "POST", "/v1/decisions", {"candidates": places, "task_id": f"t{number}", "context": {f"k{number}": number}}
    yield "POST", "/v1/decisions", {"planned_action": f"tool{number} --run", "tool": f"tool{number}"}
    error = f"Error{number}: nobody saw this before"
    capture = {"goal": f"goal {number}", "error_trace": error, "error_class": f"class{number}", "origin": f"o{number}"}
    yield "POST", "/v1/capture", {**capture, "namespace": f"n{number}", "license": f"l{number}"}
    yield "GET", f"/v1/points/point{number}/policy", None
    yield "POST", "/v1/search", {"goal": f"goal {number}", "filters": {f"filter{number}": 1}}
    yield "POST", f"/v1/decisions/tr_{number}", {f"field{number}": number}
    yield "POST", "/v1/feedback", {"trace_id": f"tr_{number}", "outcome": {"custom": {f"m{number}": number}}}


def series(running: Running) -> set[str]:
    """Every time series, by its name and labels."""
    text = running.service.metrics.text().decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def ask(url: str, numbers: range) -> None:
    """All the calls of these numbers, many at once."""
    calls = iter([call for number in numbers for call in named(number)])

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            for method, path, body in calls:
                content = None if body is None else json.dumps(body)
                answer = await http.request(method, path, content=content, headers={"Content-Type": "application/json"})
                assert answer.status_code < 500, answer.text

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


def names_in(number: int) -> set[str]:
    """What is new in the calls of one number."""
    return set(re.findall(rf"[\w/.-]*{number}", json.dumps(list(named(number)))))


@pytest.mark.parametrize("least", [2_000, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_new_names_make_no_new_series(tmp_path: Path, least: int) -> None:
    numbers = -(-least // len(names_in(7)))
    with Running(chosen(tmp_path / "data", epsilon=0.3)) as running:
        asyncio.run(ask(running.url, range(numbers // 6)))
        after_some = series(running)
        asyncio.run(ask(running.url, range(numbers // 6, numbers)))
        after_all = series(running)
    print(f"{numbers * len(names_in(7))} new names, {len(after_all)} series")
    assert any("pointsman_decisions_total" in one for one in after_all)
    assert after_all - after_some == set()
    assert len(after_all) <= MOST
