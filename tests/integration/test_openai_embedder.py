"""Vectors of a provider, over real sockets: in batches, under a deadline, without which the service goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.clock import SystemClock
from controlplane.embedders import Embedders
from controlplane.errors import BadSetting
from controlplane.telemetry import Metrics

from .conftest import Models, Running, chosen

Serve = Callable[..., Running]
KEY = "sk-cAnArYembedder0123456789"
MODEL = "text-embedding-3-small"


def served(serve: Serve, models: Models, **more: Any) -> Running:
    return serve(embedder="openai", openai_api_key=KEY, **models.settings, **more)


def texts(models: Models) -> list[str]:
    return [text for body in models.asked for text in body["input"]]


def test_memory_is_found_by_a_providers_vectors(serve: Serve, models: Models) -> None:
    server = served(serve, models)
    near = server.capture(goal="deploy the billing service", error_trace="Error: no such tag")
    server.capture(goal="bake a loaf of bread", planned_action="oven", error_trace="Error: burnt")
    found = server.post("/v1/search", {"goal": "deploy the billing service", "planned_action": "make deploy"})
    assert [result["episode_id"] for result in found["results"]] == [near["episode_id"]]
    assert server.get("/status")["embedder"]["name"] == f"openai:{MODEL}"
    assert {body["model"] for body in models.asked} == {MODEL}
    assert all(call.keyed and call.path == "/v1/embeddings" for call in models.fake.calls)


def test_what_was_embedded_is_counted_as_every_call_of_a_provider(serve: Serve, models: Models) -> None:
    server = served(serve, models)
    models.always()
    server.capture(goal="one two", planned_action="three")
    assert server.metric("pointsman_provider_calls_total", provider="openai", model=MODEL, outcome="answered") == 1
    assert server.metric("pointsman_provider_tokens_total", provider="openai", model=MODEL, kind="prompt") == 3
    assert models.fake.playing.bill.prompt_tokens == 3


def test_another_model_is_asked_where_it_is_named(serve: Serve, models: Models) -> None:
    server = serve(embedder="openai:nomic-embed-text", **models.settings)
    server.capture()
    assert models.asked[0]["model"] == "nomic-embed-text"
    assert server.get("/status")["embedder"]["name"] == "openai:nomic-embed-text"


def test_no_text_is_sent_empty_or_longer_than_a_model_reads(serve: Serve, models: Models) -> None:
    server = served(serve, models)
    for text in ("", "ü" * 20_000):
        server.run(server.service.embedder.embed(text))
    assert sorted(len(text.encode()) for text in texts(models)) == [1, 8_000]


def test_a_failure_that_passes_is_tried_again_and_nobody_hears_of_it(serve: Serve, models: Models) -> None:
    server = served(serve, models)
    models.script(rules=[{"times": 1, "then": {"status": 503}}])
    assert server.gate()["degraded"] == []
    assert len(models.asked) == 2


@pytest.mark.parametrize("behaviour", [{"status": 401}, {"fault": "garbage"}, {"fault": "wrong_schema"}])
def test_without_its_vectors_decisions_go_on_and_memory_says_why(
    serve: Serve, models: Models, behaviour: dict[str, Any]
) -> None:
    server = served(serve, models)
    models.always(**behaviour)
    assert server.gate()["degraded"] == ["embedding"]
    problem = server.post("/v1/capture", {"goal": "a secret plan"}, 503)
    assert "openai" in problem["detail"]
    assert KEY not in str(problem)
    assert server.get("/readyz")["status"] == "ready"


def test_memories_wait_for_a_provider_that_is_away_and_are_found_when_it_is_back(serve: Serve, models: Models) -> None:
    first = serve()
    episode = first.capture(goal="deploy the billing service")["episode_id"]
    first.stop()
    models.always(status=429, headers={"retry-after": "60"})
    server = served(serve, models)
    server.until(lambda: len(models.asked) > 1 and server.get("/status")["memory"]["stale_vectors"] == 1)
    models.always()
    server.until(lambda: server.get("/status")["memory"]["stale_vectors"] == 0)
    found = server.post("/v1/search", {"goal": "deploy the billing service", "planned_action": "make deploy"})
    assert [result["episode_id"] for result in found["results"]] == [episode]


def test_documents_wait_for_a_provider_that_is_away_too_and_none_is_refused_for_it(
    serve: Serve, models: Models
) -> None:
    page = {"documents": [{"key": "deploy", "text": "Push the image before you deploy."}]}
    first = serve()
    first.post("/v1/documents", page)
    first.stop()
    models.always(status=429, headers={"retry-after": "60"})
    server = served(serve, models)
    server.until(lambda: models.asked)
    problem = server.post("/v1/documents", {"documents": [{"key": "roll back", "text": "Keep the tag before."}]}, 503)
    assert "openai" in problem["detail"]
    models.always()
    server.until(lambda: server.get("/status")["memory"]["stale_vectors"] == 0)
    found = server.post("/v1/documents/search", {"query": "Push the image before you deploy.", "min_similarity": 0.9})
    assert [result["key"] for result in found["results"]] == ["deploy"]


def test_an_embedder_that_is_nowhere_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="POINTSMAN_OPENAI_API_KEY"):
        Embedders(chosen(tmp_path, embedder="openai"), SystemClock(), Metrics())
