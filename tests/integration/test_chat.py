"""OpenAI's own client at a real server of ours, and a fake provider behind it: every byte goes over sockets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from controlplane.http.shedding import refusal

from .conftest import Models, Running, Serve, catalogue_of, chosen

AUTO = "pointsman/auto"
TRACE_ID = "x-pointsman-trace-id"
Json = dict[str, Any]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALLED = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]


def said(text: str, **more: Any) -> Json:
    """A chat of one message."""
    return {"model": AUTO, "messages": [{"role": "user", "content": text}], **more}


class Chatting:
    """A server with two models, OpenAI's client at it, and what the server keeps of what is asked."""

    def __init__(self, running: Running, models: Models) -> None:
        self.running, self.models = running, models
        self.openai = OpenAI(base_url=f"{running.url}/v1", api_key="none is read", max_retries=0)

    def ask(self, text: str, status: int = 200, **more: Any) -> httpx.Response:
        answer = self.running.client.post("/v1/chat/completions", json=said(text, **more))
        assert answer.status_code == status, answer.text
        return answer

    def trace(self, trace_id: str) -> Json:
        found: Json = self.running.get(f"/v1/decisions/{trace_id}")
        return found

    def reported(self, trace_id: str, field: str = "feedback") -> Json:
        """The trace once the server's own report is in it, or what follows from it."""

        def found() -> Json | None:
            trace = self.trace(trace_id)
            return trace if trace[field] else None

        trace: Json = self.running.until(found)
        return trace


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatting]:
    models = Models(tmp_path_factory.mktemp("models"), "small", "large")
    with Running(chosen(tmp_path_factory.mktemp("data"), **models.settings)) as running:
        made = Chatting(running, models)
        yield made
        made.openai.close()
    models.close()


@pytest.fixture
def chatting(shared: Chatting) -> Chatting:
    """The server that most tests of this file share; its provider begins anew for each."""
    shared.models.script()
    return shared


@pytest.fixture
def fresh(serve: Serve, models: Models) -> Iterator[Chatting]:
    """A server of one's own, for what changes what all others see."""
    made = Chatting(serve(**models.settings), models)
    yield made
    made.openai.close()


def test_openais_client_is_answered_by_changing_its_base_url(chatting: Chatting) -> None:
    chatting.models.always(text="It is fine.")
    raw = chatting.openai.chat.completions.with_raw_response.create(**said("how are things"))
    completion = raw.parse()
    assert completion.choices[0].message.content == "It is fine."
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0
    trace = chatting.trace(raw.headers[TRACE_ID])
    assert (trace["point"], trace["action"] in ("small", "large")) == ("chat", True)
    assert chatting.models.asked[0]["model"] == f"{trace['action']}-1"


def test_openais_client_is_streamed_to(chatting: Chatting) -> None:
    chatting.models.always(text="Roses are red and violets are blue")
    with chatting.openai.chat.completions.create(
        **said("a poem"), stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "Roses are red and violets are blue"
    assert len(chunks) > 3
    assert chunks[-1].usage is not None
    with chatting.openai.chat.completions.create(**said("a poem"), stream=True) as stream:
        assert [chunk.usage for chunk in stream if chunk.usage] == [], "who did not ask for the usage is not told"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_and_fields_that_nobody_knows_pass_through_untouched(chatting: Chatting, stream: bool) -> None:
    chatting.models.always(tool_calls=CALLED, finish_reason="tool_calls")
    extra = {"reasoning": {"effort": "low", "deep": [1, {"x": None}]}, "top_k": 7}
    asked = said("the weather", tools=[TOOL], tool_choice="auto", parallel_tool_calls=False)
    answer = chatting.openai.chat.completions.create(**asked, stream=stream, extra_body=extra)
    if stream:
        calls = [c for chunk in answer for choice in chunk.choices for c in choice.delta.tool_calls or ()]
        assert "".join(call.function.name or "" for call in calls) == "weather"
    else:
        assert answer.choices[0].message.tool_calls[0].function.name == "weather"
        assert answer.choices[0].finish_reason == "tool_calls"
    came = chatting.models.asked[0]
    assert {name: came[name] for name in (*extra, "tools", "tool_choice", "parallel_tool_calls", "messages")} == {
        **extra, "tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False, "messages": asked["messages"],
    }  # fmt: skip


def test_openais_client_lists_the_models_and_the_choice_among_them(chatting: Chatting) -> None:
    assert [model.id for model in chatting.openai.models.list()] == [AUTO, "small", "large"]


def test_a_decision_is_journalled_before_its_provider_is_asked(fresh: Chatting) -> None:
    """The provider looks: when a call comes in, the journal has its decision, and what it may cost."""
    seen: list[int] = []
    playing, last_seq = fresh.models.fake.playing, lambda: fresh.running.service.journal.last_seq
    before, plays = last_seq(), playing.behaviour

    def behaviour(message: str, model: str) -> Any:
        seen.append(last_seq() - before)
        return plays(message, model)

    playing.behaviour = behaviour  # type: ignore[method-assign]
    fresh.ask("look")
    assert seen == [2]


def test_a_model_that_is_named_is_asked_and_the_decision_says_it_was_none(chatting: Chatting) -> None:
    for name in ("small", "large"):
        trace = chatting.trace(chatting.ask("hello", model=name).headers[TRACE_ID])
        assert (trace["action"], trace["propensity"], trace["heads"][0]["exploration"]) == (name, 1.0, "only")
        assert set(trace["heads"][0]["masked"].values()) == {"it is not among the candidates"}
    assert [body["model"] for body in chatting.models.asked] == ["small-1", "large-1"]


def test_what_a_call_took_and_cost_is_reported_without_being_asked_for(chatting: Chatting) -> None:
    chatting.models.always(prompt_tokens=1000, completion_tokens=100)
    trace = chatting.reported(chatting.ask("hello").headers[TRACE_ID])
    [report] = [one["outcome"] for one in trace["feedback"]]
    assert (report["cost"], report["failures"]) == (pytest.approx(0.0002), 0)
    assert report["latency_ms"] > 0
    assert trace["pending"] == "window", "what it was worth may be told yet"


def test_feedback_by_trace_id_joins_what_was_seen(chatting: Chatting) -> None:
    chatting.models.always(prompt_tokens=10_000, completion_tokens=9000)
    trace_id = chatting.ask("hello").headers[TRACE_ID]
    chatting.reported(trace_id)
    answer = chatting.running.feedback(trace_id, success=True)
    terms = {term["name"]: term["value"] for term in answer["explanation"]["terms"]}
    assert answer["updated"]
    assert (terms["success"], terms["unanswered"], terms["spent"]) == (1.0, 0.0, pytest.approx(-0.5))
    assert answer["explanation"]["missing"] == []
    assert 0.5 < answer["reward"] < 0.9


def test_a_call_that_failed_is_learnt_at_once_and_told_as_openai_tells_it(fresh: Chatting) -> None:
    fresh.models.always(status=500)
    with pytest.raises(openai.InternalServerError) as caught:
        fresh.openai.chat.completions.create(**said("hello"))
    assert caught.value.status_code == 502
    assert caught.value.code == "provider_failed"
    trace = fresh.reported(caught.value.response.headers[TRACE_ID], "update")
    assert trace["reward"]["total_reward"] < -0.9
    assert trace["update"] is not None
    assert len(fresh.models.asked) == 3, "it was tried again here"
    assert caught.value.response.headers["x-should-retry"] == "false", "and is not to be by the client"


def test_a_stream_that_breaks_off_is_told_in_the_stream_and_learnt(fresh: Chatting) -> None:
    fresh.models.always(text="one two three four five six", fault="cut")
    raw = fresh.openai.chat.completions.with_raw_response.create(**said("hello"), stream=True)
    stream, trace_id = raw.parse(), raw.headers[TRACE_ID]
    assert next(iter(stream)).choices
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "provider_failed"
    assert fresh.reported(trace_id, "update")["reward"]["total_reward"] < -0.9


def test_a_client_that_hangs_up_leaves_the_call_to_end_and_the_decision_with_its_report(chatting: Chatting) -> None:
    chatting.models.always(text="one two three four five six", between_s=0.05, completion_tokens=9000)
    with chatting.running.client.stream("POST", "/v1/chat/completions", json=said("hi", stream=True)) as answer:
        trace_id = answer.headers[TRACE_ID]
        next(answer.iter_raw())
    trace = chatting.reported(trace_id)
    [report] = [one["outcome"] for one in trace["feedback"]]
    assert (report["failures"], report["cost"] > 0.008) == (0, True), "it came whole, and what it cost is known"
    assert chatting.running.metric(
        "pointsman_provider_calls_total", model=f"{trace['action']}-1", outcome="answered", provider="openai"
    )


def test_a_conversation_stays_with_its_model_unless_another_is_worth_the_switch(fresh: Chatting) -> None:
    first = fresh.trace(fresh.ask("hello", metadata={"conversation_id": "c"}).headers[TRACE_ID])
    other = next(name for name in ("small", "large") if name != first["action"])
    for _ in range(5):
        trace = fresh.trace(fresh.ask("go on", metadata={"conversation_id": "c"}).headers[TRACE_ID])
        assert (trace["action"], trace["propensity"]) == (first["action"], 1.0)
        assert "not worth the switch" in trace["heads"][0]["masked"][other]
        assert trace["facts"]["last"] == first["action"]
        assert trace["task_id"] == first["task_id"]
    for n in range(30):  # it fails from now on, the other does not
        for name, success in ((first["action"], False), (other, True)):
            taught = fresh.ask("go on", model=name, metadata={"conversation_id": f"{name} {n}"})
            fresh.running.feedback(taught.headers[TRACE_ID], success=success)
    fresh.ask("go on", model=first["action"], metadata={"conversation_id": "c"})
    trace = fresh.trace(fresh.ask("go on", metadata={"conversation_id": "c"}).headers[TRACE_ID])
    assert trace["action"] == other


def test_what_cannot_take_a_call_is_masked_with_the_reason(serve: Serve, models: Models, tmp_path: Path) -> None:
    few = {"context_tokens": 1000, "output_tokens": 1000}
    catalogue_of(tmp_path, "small", "large", small=few, large={"tools": False})
    chatting = Chatting(serve(**models.settings), models)
    tools = chatting.trace(chatting.ask("hello", tools=[TOOL]).headers[TRACE_ID])
    assert (tools["action"], tools["heads"][0]["masked"]) == ("small", {"large": "it takes no tools"})
    long = chatting.trace(chatting.ask("word " * 2000).headers[TRACE_ID])
    assert (long["action"], list(long["heads"][0]["masked"])) == ("large", ["small"])
    refused = chatting.ask("word " * 2000, 422, tools=[TOOL]).json()
    assert refused["error"]["code"] == "unprocessable"
    chatting.openai.close()


def test_a_repeatable_call_is_answered_from_the_cache_for_free_and_says_so(fresh: Chatting) -> None:
    fresh.models.always(echo=True)
    asked = {"model": "small", "temperature": 0}
    first, second = fresh.ask("the same", **asked), fresh.ask("the same", **asked)
    assert (first.headers.get("x-pointsman-cache"), second.headers["x-pointsman-cache"]) == (None, "hit")
    assert first.json() == second.json()
    assert len(fresh.models.asked) == 1
    fresh.ask("another", **asked)
    fresh.ask("the same", model="large", temperature=0)
    fresh.ask("the same", model="small")
    assert len(fresh.models.asked) == 4
    trace = fresh.reported(second.headers[TRACE_ID], "not_learnt")
    assert trace["not_learnt"] == "not executed: the decision is cancelled, unscored"
    assert fresh.running.metric("pointsman_completion_cache_hits_total") == 1
    assert fresh.running.metric("pointsman_completion_cache_misses_total") == 3
    assert fresh.running.metric("pointsman_completion_cache_bytes") > 0


def test_errors_have_openais_shape_on_these_two_paths_alone(chatting: Chatting) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        chatting.openai.chat.completions.create(**said("hello", model="nobody"))
    assert (caught.value.code, caught.value.type) == ("unknown_model", "invalid_request_error")
    client = chatting.running.client
    for method, path, code in (
        ("POST", "/v1/chat/completions", "invalid_request"),
        ("POST", "/api/v1/chat/completions", "invalid_request"),
        ("PUT", "/v1/models", "method_not_allowed"),
    ):
        answer = client.request(method, path, json={"messages": []})
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]["code"] == code
    assert client.post("/v1/decisions", json={}).headers["content-type"] == "application/problem+json"


def test_without_a_provider_a_chat_is_refused_and_no_model_is_listed(serve: Serve) -> None:
    running = serve()
    answer = running.client.post("/v1/chat/completions", json=said("hello"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_provider")
    assert running.get("/v1/models") == {"object": "list", "data": []}


def test_a_bearer_token_is_the_same_key_on_these_two_paths_alone(serve: Serve, models: Models) -> None:
    running = serve(**models.settings, insecure_local=False)
    keys = running.service.first_keys
    assert keys is not None
    with OpenAI(base_url=f"{running.url}/v1", api_key=keys.tenant, max_retries=0) as client:
        assert client.chat.completions.create(**said("hello")).choices
        assert len(list(client.models.list())) == 3
    for wrong in ("pm_live_nobody", keys.admin):
        with OpenAI(base_url=f"{running.url}/v1", api_key=wrong, max_retries=0) as client:
            refused = running.client.get("/v1/models", headers=client.auth_headers)
            assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    elsewhere = running.client.get("/v1/points", headers={"Authorization": f"Bearer {keys.tenant}"})
    assert elsewhere.status_code == 401


def test_one_tenants_answers_are_kept_for_no_other(serve: Serve, models: Models) -> None:
    running = serve(**models.settings, insecure_local=False)
    first = running.service.first_keys
    assert first is not None
    admin = {"X-Admin-API-Key": first.admin}
    running.client.post("/v1/admin/tenants", json={"tenant": "acme", "tier": "local"}, headers=admin)
    other = running.client.post("/v1/admin/keys", json={"tenant": "acme"}, headers=admin).json()["key"]
    asked = said("the same", model="small", temperature=0)
    for key in (first.tenant, other, first.tenant, other):
        answer = running.client.post("/v1/chat/completions", json=asked, headers={"X-API-Key": key})
        assert answer.status_code == 200
    assert len(models.asked) == 2


def test_the_point_learns_which_model_answers_such_a_chat_well(fresh: Chatting) -> None:
    """One model does well, the other not: after some reports the good one is asked nearly always."""
    for n in range(60):
        answer = fresh.ask("summarise this", metadata={"conversation_id": str(n)})
        action = fresh.trace(answer.headers[TRACE_ID])["action"]
        fresh.running.feedback(answer.headers[TRACE_ID], success=action == "large")
    asked = [body["model"] for body in fresh.models.asked][-20:]
    assert asked.count("large-1") >= 18


def test_feedback_that_is_sent_at_once_comes_after_what_the_server_saw(chatting: Chatting) -> None:
    """The server's own report is handed in before the answer goes out, so it is the earlier one, streamed or not."""
    for n in range(20):
        answer = chatting.ask(f"number {n}", stream=n % 2 == 1)
        told = chatting.running.feedback(answer.headers[TRACE_ID], success=True)
        assert (told["updated"], told["explanation"]["missing"]) == (True, [])


def test_a_chat_is_explained_in_sentences_like_any_decision(chatting: Chatting) -> None:
    trace_id = chatting.ask("hello", model="small").headers[TRACE_ID]
    chatting.reported(trace_id)
    told = chatting.running.get(f"/v1/decisions/{trace_id}/why")
    assert "small" in " ".join(told["sentences"])


def test_the_point_by_name_chooses_a_model_and_asks_none(chatting: Chatting) -> None:
    asked = {"point": "chat", "goal": "hello", "context": {"tools": False, "turn": 1}}
    answer = chatting.running.post("/v1/decisions", asked)
    assert answer["chosen"]["provider"] == "openai"
    assert answer["action"] in ("small", "large")
    assert chatting.models.asked == []


def test_what_a_model_costs_is_computed_with_and_not_learnt(fresh: Chatting) -> None:
    """Prices are known before anything was tried, so the values differ by them alone: here not at all."""
    trace = fresh.trace(fresh.ask("hello").headers[TRACE_ID])
    [head] = trace["heads"]
    assert head["known"] == head["q_values"]
    assert len(set(head["known"])) == 1
    assert head["known"][0] < 0


def test_a_short_answer_is_reckoned_to_cost_as_little_as_it_may_cost_at_most(chatting: Chatting) -> None:
    def reckoned(text: str, **more: Any) -> float:
        chosen = chatting.trace(chatting.ask(text, **more).headers[TRACE_ID])["execution"]["chosen"]
        return float(chosen["expected_cost"])

    word, of_input, of_output = "word" * 100, 100 * 0.1e-6, 1e-6  # USD of its tokens, and of one of the answer's
    assert reckoned(word, max_tokens=1) == pytest.approx(of_input + of_output)
    assert reckoned(word) == pytest.approx(of_input + 500 * of_output)
    assert reckoned(word, max_tokens=9000) == pytest.approx(of_input + 500 * of_output)


def test_a_provider_that_is_out_is_masked_and_where_all_are_a_chat_is_refused_at_once(fresh: Chatting) -> None:
    fresh.models.always(status=401)
    assert fresh.ask("hello", 502).json()["error"]["code"] == "provider_failed"
    before = len(fresh.models.asked)
    refused = fresh.ask("hello", 503)
    assert refused.json()["error"]["code"] == "provider_busy"
    assert refused.headers["retry-after"] == "1"
    assert len(fresh.models.asked) == before


def test_a_server_that_stops_reports_what_was_asked_before(serve: Serve, models: Models) -> None:
    running = serve(**models.settings)
    models.always(text="one two three four", between_s=0.05)
    with running.client.stream("POST", "/v1/chat/completions", json=said("hi", stream=True)) as answer:
        trace_id = answer.headers[TRACE_ID]
        next(answer.iter_raw())
    running.stop()
    again = serve(**models.settings)
    [report] = again.get(f"/v1/decisions/{trace_id}")["feedback"]
    assert report["outcome"]["failures"] == 0


def test_an_overloaded_server_refuses_a_chat_as_openai_would(fresh: Chatting) -> None:
    service = fresh.running.service
    asked = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    service.intake.admit = lambda who: False  # type: ignore[method-assign]
    with pytest.raises(openai.InternalServerError) as caught:
        fresh.openai.chat.completions.create(**said("hello"))
    told = refusal(service, asked)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    assert told is not None
    head, _, body = told.answer.partition(b"\r\n\r\n")
    assert int(head.partition(b"Content-Length: ")[2]) == len(body)


def test_a_long_chat_is_taken_whole_and_one_beyond_its_bound_is_refused(chatting: Chatting) -> None:
    chatting.models.always(echo=True)
    text = "word " * 150_000
    assert chatting.ask(text).json()["choices"][0]["message"]["content"] == text
    assert chatting.ask(text * 2, 413).json()["error"]["code"] == "too_large"
    kept = chatting.trace(chatting.ask(text).headers[TRACE_ID])["request"]["goal"]
    assert len(kept) == 8192, "the journal keeps the beginning"
