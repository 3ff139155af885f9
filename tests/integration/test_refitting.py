"""What sessions report moves how search weighs its terms, and never so far that what is asked for is not found."""

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.contract.retrieval import KINDS

from .conftest import Json, Running, chosen

LOVED, FAILED = "retry the flaky upload after a pause", "retry the flaky upload"
ASKED = "rotate the certificates of the mail relay"
SHIPPED = {"similarity": 0.38, "lexical": 0.44, "precondition": 0.08, "recency": 0.02, "worth": 0.05, "origin": 0.03}
OUTCOMES = 150


def keep(server: Running, origin: str, text: str, *kinds: str) -> None:
    documents = [{"key": f"{text} {kind}", "kind": kind, "text": text} for kind in kinds]
    server.post("/v1/documents", {"origin": origin, "documents": documents})


@pytest.fixture(scope="module")
def misled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One origin's patches always worked, another's never did, and the weights are fitted to that."""
    folder = tmp_path_factory.mktemp("misled")
    with Running(chosen(folder, ranker_risk_swing=0, ranker_return_swing=0)) as server:
        for origin, text in {"good": LOVED, "bad": FAILED}.items():
            keep(server, origin, text, "document", "patch")
        for number in range(OUTCOMES):
            found = server.post("/v1/patches/search", {"query": FAILED})
            of, success = {one["origin"]: one["memory_id"] for one in found["results"]}, number % 2 == 0
            told = {"success": success, "used": [of["good" if success else "bad"]]}
            server.post(f"/v1/sessions/{found['session_id']}/outcome", told)
        refitted = server.post("/v1/ranker/reload")
        assert refitted["replaced"], refitted
        yield server


def first(found: list[Json]) -> Any:
    return found[0].get("key") or found[0]["episode"]["goal"]


def test_whatever_was_reported_an_unrelated_query_finds_its_text_first(misled: Running) -> None:
    server = misled
    assert server.get("/v1/sessions")["ranker"]["weights"]["origin"] > 2 * SHIPPED["origin"]
    for number in range(20):
        keep(server, "good", f"{LOVED} {number}", "document", "patch", "record")
        server.capture(goal=f"{LOVED} {number}", planned_action=f"upload --retry {number}")
    keep(server, "bad", ASKED, "document", "patch", "record")
    server.capture(goal=ASKED, planned_action="certbot renew", origin="bad")
    documents = server.post("/v1/documents/search", {"query": ASKED, "min_similarity": -1, "kind": "document"})
    patches = server.post("/v1/patches/search", {"query": ASKED, "k": 20})["results"]
    searched = {"goal": ASKED, "planned_action": "certbot renew", "min_similarity": 0}
    asked = {"goal": ASKED, "min_similarity": -1, "token_budget": 8000}
    contexts = [server.post("/v1/context", {**asked, "kinds": [kind]})["context"] for kind in KINDS]
    assert first(documents["results"]) == f"{ASKED} document"
    assert first(patches) == f"{ASKED} patch"
    assert len({one["score"] for one in patches}) > 1
    assert first(server.post("/v1/search", searched)["results"]) == ASKED
    assert all(told[0]["text"].startswith(ASKED) for context in contexts for told in context.values())


def test_shipped_weights_are_put_back_for_good(misled: Running) -> None:
    back = misled.post("/v1/ranker/reset")
    assert (back["replaced"], back["version"], back["weights"], back["evaluation"]) == (True, 0, SHIPPED, None)
    again = misled.post("/v1/ranker/reload")
    assert not again["replaced"], "what was reported is not fitted to again"
    assert "0 failed" in again["reason"]
