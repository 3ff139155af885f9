"""What an operator looks at: status, health, metrics, points, and the documentation it serves itself."""

import re
import socket
import time
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from controlplane.http.routes import ROUTES
from controlplane.serving import bind

Server = Any
Serve = Callable[..., Any]
STATUS = {
    "uptime_seconds": float, "healthy": bool, "ready": bool, "model": dict, "cache": dict, "points": dict,
    "journal": dict, "recovery": dict, "embedder": dict, "memory": dict, "versions": dict,
}  # fmt: skip
MODEL = {"episodes", "updates", "epsilon", "alpha", "gamma", "q_table_size", "total_state_action_pairs"}
CACHE = {
    "cache_hits",
    "cache_misses",
    "cache_errors",
    "cache_hit_rate",
    "cache_age_seconds",
    "cache_valid",
    "cache_ttl",
}
METRICS = {
    "pointsman_decisions_total": {"point", "provider", "action", "exploration"},
    "pointsman_decision_latency_seconds": {"phase"},
    "pointsman_q_updates_total": set(),
    "pointsman_rewards": {"point"},
    "pointsman_epsilon": {"point"},
    "pointsman_q_table_size": {"point"},
    "pointsman_signal_cache_hits_total": set(),
    "pointsman_signal_cache_misses_total": set(),
    "pointsman_signal_cache_errors_total": set(),
    "pointsman_feedback_total": {"outcome"},
    "pointsman_traces": set(),
    "pointsman_event_loop_lag_seconds": set(),
}


def test_status_has_every_documented_field(server: Server) -> None:
    status = server.get("/status")
    for name, kind in STATUS.items():
        assert isinstance(status[name], kind), name
    assert status["model"].keys() >= MODEL
    assert status["cache"].keys() >= CACHE
    assert status["journal"].keys() >= {"last_seq", "learner_lag"}
    assert status["recovery"].keys() >= {"files", "damaged"}
    assert status["versions"].keys() >= {"pointsman", "sqlite", "settings_hash", "policy_version"}
    for point in ("gate", "route"):
        assert status["points"][point].keys() >= {"mode", "agreement", "interventions", "interventions_by_exploration"}
    assert (status["healthy"], status["ready"], status["journal"]["learner_lag"]) == (True, True, 0)
    assert (status["model"]["gamma"], status["cache"]["cache_ttl"]) == (0.92, 5.0)
    assert status["embedder"]["status"] == "ready"


def test_what_holds_up_the_event_loop_is_seen_in_the_metrics(server: Server) -> None:
    async def hold_up() -> None:
        time.sleep(1.5)  # noqa: ASYNC251  # longer than the second that is timed

    server.run(hold_up())
    server.until(lambda: server.metric("pointsman_event_loop_lag_seconds_sum") >= 0.4)


def test_status_counts_folded_decisions_defaults_included(serve: Serve) -> None:
    server = serve(route_window_s=0.05)
    reported, silent = server.route("a/1")["trace_id"], server.route("a/1")["trace_id"]
    server.feedback(reported, latency_ms=10)
    server.until(lambda: server.get("/status")["model"]["updates"] == 2)
    status = server.get("/status")
    assert status["points"]["route"]["decisions"] == 2
    assert status["model"]["q_table_size"] > 0
    assert server.get(f"/v1/decisions/{silent}")["update"] is not None


def test_status_tells_how_often_the_gate_intervened_and_agreed_with_the_rule(serve: Serve) -> None:
    server = serve()
    asked = {"goal": "count", "planned_action": "make x", "environment": {"a": 1}}
    server.post("/v1/decisions", asked)
    server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "make y"}, 201)
    assert server.post("/v1/decisions", asked)["action"] == "BLOCK"
    gate = server.get("/status")["points"]["gate"]
    assert (gate["decisions"], gate["interventions"], gate["interventions_by_exploration"]) == (2, 1, 0)
    assert gate["agreement"] == 1.0


def test_the_probes_are_green_once_started(server: Server) -> None:
    assert server.get("/livez") == {"status": "alive"}
    ready = server.get("/readyz")
    assert (ready["status"], ready["embedder"], ready["memory"], ready["learner_lag"]) == (
        "ready",
        "ready",
        "loaded",
        0,
    )
    assert server.get("/startupz")["status"] == "started"
    health = server.get("/healthz")
    assert health["status"] == "healthy"
    assert health["timestamp"] > 1_600_000_000


def test_every_documented_metric_is_exported_with_its_labels(server: Server) -> None:
    server.feedback(server.route("a/1")["trace_id"], success=True)
    server.gate()
    response = server.client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = response.text
    for name, labels in METRICS.items():
        samples = re.findall(rf"^{name}(?:_bucket|_count|_sum)?(?:\{{(.*)\}})? ", text, re.MULTILINE)
        assert samples, name
        shown = {label for sample in samples for label in re.findall(r"(\w+)=", sample)} - {"le"}
        assert shown == labels, name


def test_metrics_count_what_happened(serve: Serve) -> None:
    server = serve()
    decided = server.route("a/1", "b/2")
    server.feedback(decided["trace_id"], success=True, latency_ms=0)
    server.gate()
    server.client.get("/nowhere")
    gate = {"point": "gate", "provider": "none", "action": "PROCEED", "exploration": "only"}
    assert server.metric("pointsman_decisions_total", **gate) == 1
    assert server.metric("pointsman_q_updates_total") == 1
    assert server.metric("pointsman_feedback_total", outcome="success") == 1
    assert server.metric("pointsman_rewards_count", point="route") == 1
    assert server.metric("pointsman_traces") == 1, "the gate's decision waits"
    assert server.metric("pointsman_errors_total", code="unknown_path") == 1
    assert server.metric("pointsman_decision_latency_seconds_count", phase="choose") == 2


def test_labels_stay_bounded_whatever_callers_name(serve: Serve) -> None:
    server = serve()
    for i in range(40):
        decided = server.route(f"provider{i}/sku{i}", task_id=f"task{i}", context={f"k{i}": i})
        server.feedback(decided["trace_id"], success=True, custom={f"metric{i}": 1.0})
        server.client.get(f"/nowhere/{i}")
    text = server.client.get("/metrics").text
    for leaked in ("provider1", "sku1", "task1", "metric1", "nowhere"):
        assert leaked not in text
    assert len(text.splitlines()) < 400


def test_points_describe_how_each_acts_and_learns(server: Server) -> None:
    points = server.get("/v1/points")
    assert [p["point"] for p in points] == ["capture", "chat", "gate", "route"]
    for point in points:
        assert point == server.get(f"/v1/points/{point['point']}/policy")
        assert point["mode"] == "learning"
        assert point["epsilon"] == 0.0
        assert point["rules"]["weights"]
        assert point["spec_hash"] == point["rules"]["spec_hash"]


def test_the_listening_socket_is_named_tcp() -> None:
    """Else asyncio leaves Nagle's delay on its connections: 40 ms an answer, whatever the answer costs."""
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


class _Links(HTMLParser):
    """Every address a page loads or names in its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_documentation_page_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.client.get("/docs")
    assert page.status_code == 200
    links = _Links()
    links.feed(page.text)
    assets = [link for link in links.found if not link.startswith("data:")]
    assert len(assets) >= 3
    for asset in assets:
        assert not urlsplit(asset).netloc, asset
        served = server.client.get(asset)
        assert served.status_code == 200
        assert len(served.content) > 1000
    assert not re.findall(r"""(?:src|href|url)\s*[=:(]\s*['"]?https?://""", page.text)


def test_the_documentation_lists_every_route_and_no_alias(server: Server) -> None:
    document = server.get("/docs/openapi.json")
    listed = {(method, path) for path, item in document["paths"].items() for method in item}
    ours = {(route.method.__name__, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)) for route in ROUTES}
    assert ours == listed
    assert not [path for _, path in listed if path.startswith("/api/")]
    for (method, path), route in zip(sorted(ours), sorted(ROUTES, key=_key), strict=True):
        assert str(route.status) in document["paths"][path][method]["responses"], path


def _key(route: Any) -> tuple[str, str]:
    return (route.method.__name__, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))


def test_every_route_of_the_contract_exists(server: Server) -> None:
    paths = server.get("/docs/openapi.json")["paths"]
    for promised in (
        "/v1/decisions", "/v1/decisions/{trace_id}", "/v1/decisions/{trace_id}/why", "/v1/feedback", "/v1/capture",
        "/v1/reflect", "/v1/search", "/v1/validate_fix", "/v1/episodes/{episode_id}", "/v1/skills",
        "/v1/skills/{skill_id}", "/v1/skills/{skill_id}/retire", "/v1/checkpoints",
        "/v1/checkpoints/{checkpoint_id}/restore", "/v1/points", "/v1/points/{point}/policy", "/status", "/healthz",
        "/livez", "/readyz", "/startupz", "/metrics", "/v1/decisions/{trace_id}/appeal",
        "/v1/points/{point}/challenger", "/v1/points/{point}/promote", "/v1/points/{point}/rollback",
        "/v1/federation/{point}", "/v1/federation/{point}/{origin}",
    ):  # fmt: skip
        assert promised in paths
