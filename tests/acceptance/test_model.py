"""The default model in a real server: honest while it loads, and memory of another embedder is found after it did."""

from typing import Any

Start = Any
ASKED = {"goal": "Deploy the web service", "planned_action": "kubectl apply -f web.yaml"}
REWORDED = {"goal": "Roll out the web service", "planned_action": "kubectl apply -f web.yaml"}


def test_the_gate_abstains_until_the_model_is_there_and_then_finds_what_was_remembered(
    start: Start, until: Any
) -> None:
    before = start()
    captured = before.post("/v1/capture", {**ASKED, "error_trace": "Error: quota", "resolution": "raise it"}, 201)
    assert before.end() == 0

    server = start(POINTSMAN_EMBEDDER="minilm")
    early = server.post("/v1/decisions", ASKED)
    assert (early["action"], early["abstained"], early["degraded"]) == ("PROCEED", True, ["embedding_loading"])
    assert early["reason"].startswith("The embedding model is still loading")
    assert server.client.get("/livez").status_code == 200
    waiting = server.client.get("/readyz")
    assert waiting.status_code == 503
    assert (waiting.json()["status"], waiting.json()["embedder"]) == ("starting", "loading")
    routed = server.post("/v1/decisions", {"candidates": [{"provider": "a", "sku": "1"}]})
    assert routed["degraded"] == [], "routing needs no model"
    refused = server.post("/v1/capture", ASKED, 503)
    assert (refused["code"], refused["retryable"]) == ("embedder_loading", True)

    until(lambda: server.client.get("/readyz").status_code == 200)
    ready = server.get("/readyz")
    assert (ready["status"], ready["embedder"], ready["memory"]) == ("ready", "ready", "loaded")
    assert ready["model_load_s"] > 0
    assert server.get("/status")["embedder"]["name"] == "all-MiniLM-L6-v2"

    until(lambda: server.post("/v1/decisions", REWORDED)["supporting_episodes"])  # embedded anew in the background
    later = server.post("/v1/decisions", REWORDED)
    assert (later["abstained"], later["degraded"]) == (False, [])
    assert later["supporting_episodes"][0]["episode_id"] == captured["episode_id"]
    assert server.end() == 0
