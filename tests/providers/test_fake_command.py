"""`pointsman fake-provider`: a process that answers by its script, bills exactly and can be told otherwise."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import COMMAND

SCRIPT = {
    "rules": [
        {"message": "who are you", "model": "cheap", "then": {"text": "one two"}},
        {"contains": "twice", "times": 2, "then": {"status": 503, "headers": {"retry-after": "1"}}},
        {"message": "echo me", "then": {"echo": True}},
    ],
    "prompt_nano_usd": 150,
    "completion_nano_usd": 600,
    "tell_cost": True,
}


def ask(url: str, message: str, model: str = "cheap") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": message}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30)


def told(url: str, script: dict[str, Any]) -> httpx.Response:
    return httpx.put(f"{url}/fake/script", json=script, timeout=30)


def test_calls_are_answered_by_the_first_rule_that_fits(url: str) -> None:
    told(url, SCRIPT)
    assert ask(url, "who are you").json()["choices"][0]["message"]["content"] == "one two"
    assert ask(url, "who are you", "other").json()["choices"][0]["message"]["content"] == "All is well."
    assert ask(url, "echo me").json()["choices"][0]["message"]["content"] == "echo me"
    asked = [ask(url, "try me twice") for _ in range(3)]
    assert [(answer.status_code, answer.headers.get("retry-after")) for answer in asked] == [
        (503, "1"),
        (503, "1"),
        (200, None),
    ]


def test_what_is_billed_is_what_was_told_to_the_last_nano_usd(url: str) -> None:
    told(url, SCRIPT)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: ask(url, f"who are you {'x ' * number}"), range(40)))
    usages = [answer.json()["usage"] for answer in answers]
    bill = httpx.get(f"{url}/fake/bill").json()
    each = [150 * usage["prompt_tokens"] + 600 * usage["completion_tokens"] for usage in usages]
    assert [usage["prompt_tokens"] for usage in usages] == [3 + number for number in range(40)]
    assert [round(usage["cost"] * 10**9) for usage in usages] == each
    assert bill["billed_nano_usd"] == sum(each)
    assert (bill["calls"], bill["billed_calls"]) == (40, 40)
    assert bill["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in usages)


def test_a_call_that_was_refused_costs_nothing_and_one_that_was_cut_off_does(url: str) -> None:
    told(url, {"otherwise": {"status": 500}, "completion_nano_usd": 7})
    ask(url, "x")
    assert httpx.get(f"{url}/fake/bill").json()["billed_nano_usd"] == 0
    told(url, {"otherwise": {"fault": "cut", "completion_tokens": 3}, "completion_nano_usd": 7})
    with pytest.raises(httpx.RemoteProtocolError):
        ask(url, "x")
    assert httpx.get(f"{url}/fake/bill").json()["billed_nano_usd"] == 21


def test_it_tells_what_it_was_asked(url: str) -> None:
    told(url, {})
    ask(url, "hello")
    [asked] = httpx.get(f"{url}/fake/calls").json()
    assert asked["path"] == "/v1/chat/completions"
    assert asked["body"]["messages"] == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    "script", [{"rulez": []}, {"otherwise": {"fault": "explode"}}, {"prompt_nano_usd": 1.5}], ids=str
)
def test_a_script_with_a_mistake_is_refused_and_the_old_one_goes_on(url: str, script: dict[str, Any]) -> None:
    told(url, {"otherwise": {"text": "old"}})
    assert told(url, script).status_code == 400
    assert ask(url, "x").json()["choices"][0]["message"]["content"] == "old"


def test_bytes_that_are_no_call_are_refused(url: str) -> None:
    for body in (b"{", b"[]", b'{"model": 1}', b'{"messages": [1], "model": "m"}'):
        assert httpx.post(f"{url}/v1/chat/completions", content=body).status_code == 400
    assert httpx.get(f"{url}/fake/nothing").status_code == 404


def test_a_script_that_cannot_be_played_and_a_port_that_is_taken_end_the_command(url: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"otherwise": {"fault": "explode"}}', "utf-8")
    for arguments in (
        ("--script", str(wrong)),
        ("--port", url.rpartition(":")[2]),
    ):
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr.startswith("pointsman:")) == (1, True), done.stderr
