"""An embedder that fails on a text, or never loads, costs what is found in memory, never a decision."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from controlplane.background import Background
from controlplane.embedding import BatchingEmbedder, Embedder, HashingEmbedder
from controlplane.memory.store import MemoryStore
from controlplane.memory.texts import plan_text
from controlplane.service import Service

Serve = Callable[..., Any]
FAILING = "unembeddable"


class Fussy(HashingEmbedder):
    """Fails on some texts, and takes every other batch in company with them down with it."""

    def __init__(self, name: str = "hashing-384") -> None:
        super().__init__()
        self.name = name

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any(FAILING in text for text in texts):
            raise ValueError("cannot embed this")
        return super().embed(texts)


def test_a_text_that_cannot_be_embedded_is_decided_without_memory_and_says_so(serve: Serve) -> None:
    server = serve()
    server.run(server.service.embedder.load(Fussy))
    server.post("/v1/capture", {"goal": "deploy", "planned_action": "make", "error_trace": "Error: x"}, 201)
    answer = server.post("/v1/decisions", {"goal": FAILING, "planned_action": "make"})
    assert (answer["action"], answer["abstained"], answer["degraded"]) == ("PROCEED", True, ["embedding"])
    assert "no judgement" in answer["reason"]
    assert server.metric("pointsman_degraded_total", part="embedding") == 1
    assert server.feedback(answer["trace_id"], success=True)["updated"] is True
    routed = server.route("a/1", goal=FAILING)
    assert routed["degraded"] == ["embedding"]
    assert server.post("/v1/decisions", {"goal": "deploy", "planned_action": "make"})["degraded"] == []


async def test_a_text_that_cannot_be_embedded_spoils_no_other(serve: Serve) -> None:
    server = serve()
    server.run(server.service.embedder.load(Fussy))
    goals = [FAILING if i % 5 == 0 else f"goal {i}" for i in range(40)]
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        responses = await asyncio.gather(
            *(
                client.post("/v1/decisions", json={"goal": f"{g} {i}", "planned_action": "ls"})
                for i, g in enumerate(goals)
            )
        )
    for goal, response in zip(goals, responses, strict=True):
        assert response.json()["degraded"] == (["embedding"] if goal == FAILING else []), goal


def test_memory_calls_say_that_the_text_cannot_be_embedded(serve: Serve) -> None:
    server = serve()
    server.run(server.service.embedder.load(Fussy))
    before = server.last_seq
    for path, body in (("/v1/capture", {"goal": FAILING}), ("/v1/search", {"goal": FAILING})):
        problem = server.post(path, body, 503)
        assert "failed on this text" in problem["detail"]
    assert server.last_seq == before, "nothing half-written"


def test_a_model_that_cannot_load_is_replaced_by_hashing_loudly(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "no-model").mkdir()
    server = serve(embedder=str(tmp_path / "no-model"))
    embedder = server.get("/status")["embedder"]
    assert (embedder["status"], embedder["name"]) == ("fallback", "hashing-384")
    assert embedder["reason"]
    asked = {"goal": "deploy", "planned_action": "make"}
    assert server.post("/v1/decisions", asked)["degraded"] == ["embedding_fallback"]
    server.post("/v1/capture", {**asked, "error_trace": "Error: x"}, 201)
    answer = server.post("/v1/decisions", asked)
    assert (answer["action"], answer["degraded"]) == ("HINT", ["embedding_fallback"])
    assert server.post("/v1/search", {"goal": "deploy"})["degraded"] == ["embedding_fallback"]
    assert server.metric("pointsman_degraded_total", part="embedding_fallback") == 2
    assert server.get("/readyz")["embedder"] == "fallback", "it works, and says how"


def test_a_model_that_cannot_load_is_replaced_by_its_equal_where_it_has_one(serve: Serve) -> None:
    server = serve()
    server.run(server.service.embedder.load(_broken, Fussy))
    embedder = server.get("/status")["embedder"]
    assert (embedder["status"], embedder["name"], embedder["reason"]) == ("ready", "hashing-384", "OSError: no export")
    assert server.post("/v1/decisions", {"goal": "deploy", "planned_action": "make"})["degraded"] == []


def _broken() -> Embedder:
    raise OSError("no export")


def test_memories_of_another_embedder_are_embedded_again_whatever_one_of_them_holds(serve: Serve) -> None:
    server = serve()
    for goal in ("alpha", FAILING, "beta"):
        server.post("/v1/capture", {"goal": goal, "planned_action": "make"}, 201)
    server.post("/v1/decisions", {"goal": "alpha", "planned_action": "make"})
    server.post("/v1/documents", {"documents": [{"key": "a.md", "text": "alpha"}]})
    assert server.run(_found_with_another_embedder(server.service, ["alpha", "beta"])) == ["alpha", "beta"]


async def _found_with_another_embedder(service: Service, goals: list[str]) -> list[str]:
    """Load the journal's memory as a start with another model does; what each goal finds first."""
    memory, embedder = MemoryStore(), BatchingEmbedder()
    await embedder.load(lambda: Fussy("fussy-384"))
    kept = (service.recovery, service.clock, service.outbox, service.metrics)
    background = Background(service.learner, service.journal, memory, embedder, *kept, service.budgets, (), None, 60.0)
    await background.load_memory()
    counted = {"episodes": 3, "set_aside": 0, "signatures": 1, "documents": 1, "passages": 1}
    assert memory.counts() == {**counted, "stale_vectors": 5}
    await background.tick()
    assert memory.counts()["stale_vectors"] == 0
    space = memory.space("default", "")
    assert len(space.episode_index) == 2, "all but the one that cannot be embedded"
    assert len(space.signature_index) == 1
    [passage] = await memory.passages.space("default", "").search(await embedder.embed("alpha"), "alpha", "document", 1)
    assert (passage.record.document.key, passage.similarity > 0.99) == ("a.md", True)
    vectors = [await embedder.embed(plan_text(goal, "make")) for goal in goals]
    embedder.close()
    found = [await space.episode_index.search(vector, 1) for vector in vectors]
    return [space.episodes[episode_id].episode.goal for [(episode_id, _)] in found]
