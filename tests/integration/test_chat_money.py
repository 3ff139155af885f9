"""What chats cost, and what answers them where a model fails: over sockets, with a provider that bills exactly."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai import OpenAI

from controlplane.contract import BudgetRequest

from .conftest import Models, Running, catalogue_of, chosen

AUTO, TRACE_ID = "pointsman/auto", "x-pointsman-trace-id"
NANO = 10**9
ANSWER = 100  # tokens, of which each costs 1,000 nano-USD, and nothing else does
CALL = ANSWER * 1000
PRICED = {"price": {"input": 0.0, "output": 1.0}}
Json = dict[str, Any]


class Paying:
    """A server with a cheap and a premium model whose calls cost the same, and what is kept of them."""

    def __init__(self, running: Running, models: Models) -> None:
        self.running, self.models = running, models

    def ask(self, text: str, status: int = 200, **more: Any) -> Any:
        body = {"model": AUTO, "messages": [{"role": "user", "content": text}], "max_tokens": ANSWER, **more}
        answer = self.running.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == status, answer.text
        return answer

    def limit(self, calls: float | None) -> None:
        limit_usd = None if calls is None else calls * CALL / NANO
        request = BudgetRequest(scope="global", period="month", limit_usd=limit_usd, why="a test")
        self.running.run(self.running.service.budgets.set("", request))

    def trace(self, trace_id: str) -> Json:
        found: Json = self.running.get(f"/v1/decisions/{trace_id}")
        return found

    @property
    def slot(self) -> Any:
        """Of this month, once nothing is held any more."""
        return self.running.until(lambda: None if (found := self._slot).reserved else found)

    @property
    def _slot(self) -> Any:
        ledger = self.running.service.learner.state.ledger
        at = self.running.service.clock.now()
        return ledger.slot(("global", "", ""), "month", ledger.key("month", at))


@pytest.fixture
def paying(tmp_path: Path) -> Iterator[Paying]:
    models = Models(tmp_path, "small", "large")
    catalogue_of(tmp_path, "small", "large", small=PRICED, large=PRICED)
    models.always(completion_tokens=ANSWER)
    with Running(chosen(tmp_path / "data", **models.settings)) as running:
        yield Paying(running, models)
    models.close()


def test_what_the_provider_bills_is_what_is_spent(paying: Paying) -> None:
    """Streams too, calls that fail at first, and calls whose usage is not told, which are charged whole."""
    fails = {"contains": "odd", "times": 2, "then": {"status": 503}}
    quiet = {"contains": "quiet", "then": {"completion_tokens": ANSWER, "usage": None}}
    paying.models.script(
        rules=[fails, quiet], otherwise={"completion_tokens": ANSWER}, completion_nano_usd=1000, prompt_nano_usd=0
    )
    for n in range(12):
        paying.ask(f"{'odd' if n % 2 else 'even'} {n} {'quiet' if n % 5 == 0 else ''}", stream=n % 3 == 0)
    assert paying.slot.spent == 12 * CALL == paying.models.fake.playing.bill.billed_nano_usd


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ({"n": 8, "max_tokens": 100_000}, 800_000),
        ({"n": 8, "max_tokens": None}, 800_000),
        ({"max_completion_tokens": 1, "max_tokens": 4000}, 4000),
        ({"max_completion_tokens": 4000, "max_tokens": 1}, 4000),
    ],
)
def test_all_choices_and_the_larger_of_two_bounds_are_held_and_charged(
    paying: Paying, asked: Json, tokens: int
) -> None:
    paying.models.script(otherwise={"completion_tokens": tokens}, completion_nano_usd=1000, prompt_nano_usd=0)
    paying.ask("hello", model="small", **asked)
    assert paying.slot.spent == tokens * 1000 == paying.models.fake.playing.bill.billed_nano_usd


def test_what_a_providers_own_tool_reads_is_held_and_charged(tmp_path: Path) -> None:
    """A search brings in more than was sent."""
    models = Models(tmp_path, "reader", "large")
    catalogue_of(tmp_path, "reader", "large", reader={"price": {"input": 1.0, "output": 0.0}})
    models.script(otherwise={"prompt_tokens": 50_000}, completion_nano_usd=0, prompt_nano_usd=1000)
    with Running(chosen(tmp_path / "data", **models.settings)) as running:
        paying = Paying(running, models)
        paying.ask("hello", model="reader", tools=[{"type": "web_search", "name": "search"}])
        assert paying.slot.spent == 50_000 * 1000 == models.fake.playing.bill.billed_nano_usd
    models.close()


def test_a_chat_that_the_purse_has_no_room_for_is_refused_as_openai_would(paying: Paying) -> None:
    paying.limit(1)
    paying.ask("one", model="small")
    with (
        OpenAI(base_url=f"{paying.running.url}/v1", api_key="none is read", max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(model=AUTO, max_tokens=ANSWER, messages=[{"role": "user", "content": "two"}])
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exhausted")
    assert "the limit of 0.0001 USD a month of everybody has 0 USD left" in caught.value.message
    paying.limit(None)
    paying.ask("two")


def test_near_a_limit_the_premium_model_is_masked_and_the_cheap_one_answers(paying: Paying) -> None:
    paying.limit(10)
    for n in range(8):
        paying.ask(str(n), model="small")
    trace = paying.trace(paying.ask("the ninth").headers[TRACE_ID])
    [head] = trace["heads"]
    assert (head["action"], list(head["masked"])) == ("small", ["large"])
    assert "premium may use 80 % of it" in head["masked"]["large"]


def test_a_model_without_a_price_is_masked_and_never_free(tmp_path: Path) -> None:
    models = Models(tmp_path, "small", "large")
    file = catalogue_of(tmp_path, "small", "large")
    text = file.read_text("utf-8")
    file.write_text(text.replace("price = { input = 0.1, output = 1.0 }\n", "", 1), "utf-8")
    with Running(chosen(tmp_path / "data", **models.settings)) as running:
        paying = Paying(running, models)
        [head] = paying.trace(paying.ask("hello").headers[TRACE_ID])["heads"]
        assert head["masked"] == {
            "small": "no price of small is known; give it a price or a call_cap_usd in the catalogue"
        }
        assert paying.ask("hello", 422, model="small").json()["error"]["code"] == "unknown_price"
    models.close()


@pytest.mark.parametrize("stream", [False, True])
def test_where_a_model_fails_another_one_answers_by_a_decision_of_its_own(paying: Paying, stream: bool) -> None:
    [first, second] = _in_order(paying)
    paying.models.script(
        rules=[{"model": f"{first}-1", "then": {"status": 503}}], otherwise={"text": "Here.", "completion_tokens": 9}
    )
    answer = paying.ask("hello", stream=stream)
    assert "Here." in answer.text
    trace = paying.trace(answer.headers[TRACE_ID])
    assert (trace["action"], trace["heads"][0]["masked"]) == (second, {first: "it is not among the candidates"})
    failed = paying.trace(trace["previous_trace_id"])
    assert (failed["action"], failed["feedback"][0]["outcome"]["failures"]) == (first, 1)
    assert [body["model"] for body in paying.models.asked] == [f"{first}-1"] * 2 + [f"{second}-1"]
    reported = paying.running.until(lambda: paying.trace(answer.headers[TRACE_ID])["feedback"])
    assert reported[0]["outcome"]["failures"] == 0


def test_what_a_failed_model_took_is_not_that_of_the_one_that_answered(paying: Paying) -> None:
    [first, second] = _in_order(paying)
    paying.models.script(rules=[{"model": f"{first}-1", "then": {"status": 503, "latency_s": 0.5}}])
    answer = paying.ask("hello")
    trace = paying.running.until(lambda: _reported(paying, answer.headers[TRACE_ID]))
    failed = paying.trace(trace["previous_trace_id"])
    assert (failed["action"], trace["action"]) == (first, second)
    took = [of["feedback"][0]["outcome"]["latency_ms"] for of in (failed, trace)]
    assert took[0] > took[1], "the second one's is its own, and not all that the caller waited"


def test_of_calls_that_are_one_the_failure_is_learnt_once(paying: Paying) -> None:
    """Who waited for the same answer asked no model."""
    paying.models.always(status=400, latency_s=0.5)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(paying.ask, "hello", 400, model="small", temperature=0) for _ in range(4)]
    traces = [one.result().headers[TRACE_ID] for one in asked]
    assert len(paying.models.asked) == 1
    found = [paying.running.until(lambda of=of: _reported(paying, of)) for of in traces]
    outcomes = [trace["feedback"][0]["outcome"] for trace in found]
    assert sorted(outcome["failures"] or 0 for outcome in outcomes) == [0, 0, 0, 1]
    assert sorted(outcome["executed"] for outcome in outcomes) == [False, False, False, True]


def test_a_model_that_is_named_is_tried_three_times_and_no_other_in_its_place(paying: Paying) -> None:
    paying.models.always(status=503)
    answer = paying.ask("hello", 502, model="small")
    assert answer.json()["error"]["code"] == "provider_failed"
    assert [body["model"] for body in paying.models.asked] == ["small-1"] * 3


def test_a_call_that_is_wrong_is_wrong_for_every_model(paying: Paying) -> None:
    paying.models.always(status=400)
    assert paying.ask("hello", 400).json()["error"]["code"] == "call_refused"
    assert len(paying.models.asked) == 1


def test_all_models_together_are_tried_three_times(paying: Paying) -> None:
    paying.models.always(status=503)
    paying.ask("hello", 502)
    assert len(paying.models.asked) == 3


def test_of_a_thousand_chats_at_once_as_many_are_asked_as_the_limit_holds(paying: Paying) -> None:
    """C1 over HTTP."""
    paying.limit(100)
    paying.models.script(
        otherwise={"completion_tokens": ANSWER, "latency_s": 0.2}, completion_nano_usd=1000, prompt_nano_usd=0
    )
    statuses = asyncio.run(_storm(paying.running.url, 1000))
    slot = paying.slot
    assert set(statuses) <= {200, 402}
    assert 99 <= statuses.count(200) <= 100
    assert slot.spent == paying.models.fake.playing.bill.billed_nano_usd == statuses.count(200) * CALL <= 100 * CALL


async def _storm(url: str, count: int) -> list[int]:
    async def ask(client: aiohttp.ClientSession, number: int) -> int:
        said = [{"role": "user", "content": f"number {number}"}]
        body = {"model": "small", "messages": said, "max_tokens": ANSWER}
        while True:
            async with client.post(f"{url}/v1/chat/completions", json=body) as answer:
                await answer.read()
            if answer.status != 503:  # more came in than can be answered at once: whoever is told so comes again
                return answer.status
            await asyncio.sleep(0.1)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as client:
        return list(await asyncio.gather(*(ask(client, number) for number in range(count))))


def _reported(paying: Paying, trace_id: str) -> Json | None:
    """The trace, once what the server saw is in it."""
    trace = paying.trace(trace_id)
    return trace if trace["feedback"] else None


def _in_order(paying: Paying) -> list[str]:
    """The model that is chosen now, greedily, and the other."""
    chosen = paying.trace(paying.ask("hello").headers[TRACE_ID])["action"]
    return [chosen, "small" if chosen == "large" else "large"]
