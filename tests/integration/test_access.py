"""Keys at a real server: the role matrix of every route, what an operator does with keys, and what is given away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from controlplane.contract import Scope
from controlplane.http.routes import ROUTES, Route
from controlplane.tenants import new_key

from .conftest import Running, Serve, chosen

Json = dict[str, Any]
SCOPES: tuple[str, ...] = get_args(Scope)
IN_PATH = {"trace_id:str": "tr_x", "episode_id:int": "1", "skill_id:int": "1", "checkpoint_id:str": "cp_x"}
IN_PATH |= {
    "point:str": "gate",
    "key_id:str": "nobody",
    "replay_id:str": "rp_x",
    "origin:str": "or_x",
    "reservation_id:str": "rv_x",
    "reflection_id:str": "rf_x",
    "session_id:str": "se_x",
    "quarantine_id:int": "1",
    "webhook_id:str": "wh_x",
    "a:str": "cp_x",
    "b:str": "now",
}


class Keyed:
    """A server that wants keys, with one key for each role."""

    def __init__(self, running: Running) -> None:
        self.running = running
        first = running.service.first_keys
        assert first is not None
        self.admin, self.tenant = first.admin, first.tenant

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.client.request(method, path, json=body, headers=given)

    def operate(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.call(method, path, body, X_Admin_API_Key=self.admin)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def issue(self, **fields: Any) -> Json:
        made: Json = self.operate("POST", "/v1/admin/keys", fields, 201)
        return made

    def with_key(self, key: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.call(method, path, body, X_API_Key=key)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with Running(chosen(tmp_path_factory.mktemp("data"), insecure_local=False)) as running:
        yield Keyed(running)


def path_of(route: Route) -> str:
    path = route.path
    for name, value in IN_PATH.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, f"say in IN_PATH what stands for the parameter of {route.path}"
    return path


def method_of(route: Route) -> str:
    return route.method.__name__.upper()


def paths_of(route: Route) -> list[str]:
    """The route's own path and every alias: none may be a way around its guard."""
    own = path_of(route)
    return [own, *route.aliases, *([f"/api{own}"] if own.startswith("/v1/") else [])]


ROLES = [
    "nothing",
    "nonsense",
    "unknown key",
    "wrong secret",
    "ended",
    "an admin key as a tenant's",
    *SCOPES,
    "operator",
]


def credentials(keyed: Keyed, role: str) -> dict[str, str]:
    """The headers somebody in this role sends."""
    if role in SCOPES:
        return {"X_API_Key": keyed.issue(tenant="default", scopes=[role])["key"]}
    match role:
        case "nothing":
            return {}
        case "nonsense":
            return {"X_API_Key": "let me in", "X_Admin_API_Key": "let me in"}
        case "unknown key":
            return {"X_API_Key": new_key("tenant").text, "X_Admin_API_Key": new_key("admin").text}
        case "wrong secret":
            made = keyed.issue(tenant="default")
            return {"X_API_Key": new_key("tenant")._replace(key_id=made["key_id"]).text}
        case "ended":
            made = keyed.issue(tenant="default")
            keyed.operate("DELETE", f"/v1/admin/keys/{made['key_id']}", None, 204)
            return {"X_API_Key": made["key"]}
        case "an admin key as a tenant's":
            return {"X_API_Key": keyed.admin, "X_Admin_API_Key": keyed.tenant}
        case _:
            return {"X_Admin_API_Key": keyed.admin}


def let_in(route: Route, role: str) -> bool:
    """What the table of routes declares."""
    return route.needs in ("nobody", role)


@pytest.mark.parametrize("role", ROLES)
def test_every_route_lets_in_whom_it_declares_and_nobody_else(keyed: Keyed, role: str) -> None:
    """Generated from the table of routes: a route that is added is covered by being there."""
    sent, wrong = credentials(keyed, role), []
    for route in ROUTES:
        for path in paths_of(route):
            status = keyed.call(method_of(route), path, {} if method_of(route) == "POST" else None, **sent).status_code
            if let_in(route, role) != (status not in (401, 403)):
                wrong.append((role, method_of(route), path, status))
    assert wrong == []


def test_the_guard_stands_before_the_body_is_looked_at(keyed: Keyed) -> None:
    """Who may not call learns nothing of what would be wrong with the request."""
    answer = keyed.running.client.post(
        "/v1/capture", content=b'{"goal": ', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert "X-API-Key" in answer.headers["www-authenticate"]


def test_a_key_without_the_scope_is_told_which_it_lacks(keyed: Keyed) -> None:
    made = keyed.issue(tenant="default", scopes=["read"])
    answer = keyed.with_key(made["key"], "POST", "/v1/decisions", {"planned_action": "ls"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "lacks the scope 'decide'; it has read" in answer.json()["detail"]


def test_a_predecessor_that_is_unknown_or_anothers_costs_no_answer_and_moves_nothing(keyed: Keyed) -> None:
    """It could not be told from one that was archived, and a decision is not refused for its place in a task."""
    keys = []
    for name in ("owner", "stranger"):
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": name, "tier": "pro"})
        keys.append(keyed.issue(tenant=name)["key"])
    owner, stranger = keys
    plan = {"planned_action": "make", "task_id": "first"}
    trace = keyed.with_key(owner, "POST", "/v1/decisions", plan).json()["trace_id"]
    report = {"trace_id": trace, "outcome": {"success": True, "applied_suggestion": True}}
    assert keyed.with_key(owner, "POST", "/v1/feedback", report).json()["pending"] == "next_decision"
    for named in (trace, f"tr_{'0' * 32}"):
        body = {**plan, "previous_trace_id": named}
        assert keyed.with_key(stranger, "POST", "/v1/decisions", body).status_code == 200
    whole = f"/v1/decisions/{trace}"
    assert keyed.with_key(owner, "GET", whole).json()["pending"] == "next_decision"
    body = {**plan, "task_id": "second", "previous_trace_id": trace}
    assert keyed.with_key(owner, "POST", "/v1/decisions", body).status_code == 200
    assert keyed.with_key(owner, "GET", whole).json()["update"] is not None


def test_tenants_know_nothing_of_each_other(keyed: Keyed) -> None:
    """What one tenant made is, to another, as if it never was: the same status, the same body."""
    for name in ("north", "south"):
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": name, "tier": "pro"})
    north, south = (keyed.issue(tenant=name)["key"] for name in ("north", "south"))
    plan = {"goal": "canary-north", "planned_action": "make canary-north"}
    trace = keyed.with_key(north, "POST", "/v1/decisions", plan).json()["trace_id"]
    captured = keyed.with_key(north, "POST", "/v1/capture", {**plan, "error_trace": "canary-north broke"}).json()
    kept = keyed.with_key(north, "POST", "/v1/checkpoints", {"name": "canary-north"}).json()["checkpoint_id"]
    episode = captured["episode_id"]
    foreign = [
        ("GET", "/v1/decisions/{}", trace), ("GET", "/v1/decisions/{}/why", trace), ("GET", "/v1/episodes/{}", episode),
        ("DELETE", "/v1/episodes/{}", episode), ("POST", "/v1/checkpoints/{}/restore", kept),
        ("GET", "/v1/checkpoints/{}/diff/now", kept),
    ]  # fmt: skip
    for method, path, name in foreign:
        theirs = keyed.with_key(south, method, path.format(name))
        nobodys = keyed.with_key(
            south, method, path.format("9999999" if isinstance(name, int) else f"{name[:3]}{'0' * 32}")
        )
        assert theirs.status_code == nobodys.status_code == 404, path
        assert theirs.json() | {"request_id": 0} == nobodys.json() | {"request_id": 0}, path
    for path, body in [
        ("/v1/feedback", {"trace_id": trace, "outcome": {"success": True}}),
        ("/v1/validate_fix", {"episode_id": episode, "outcome": "success"}),
        ("/v1/capture", {"goal": "mine", "trace_id": trace}),
    ]:
        assert keyed.with_key(south, "POST", path, body).status_code == 404, path
    for method, path, body in [
        ("POST", "/v1/search", plan), ("POST", "/v1/decisions", plan), ("GET", "/v1/checkpoints", None),
        ("GET", "/v1/skills", None), ("GET", "/status", None),
    ]:  # fmt: skip
        answer = keyed.with_key(south, method, path, body)
        assert answer.status_code == 200
        assert "canary-north" not in answer.text.replace('"planned_action":"make canary-north"', ""), path
    assert keyed.with_key(north, "GET", f"/v1/episodes/{episode}").status_code == 200


def test_a_key_revoked_is_refused_at_once(keyed: Keyed) -> None:
    made = keyed.issue(tenant="default", name="leaked")
    assert keyed.with_key(made["key"], "GET", "/status").status_code == 200
    keyed.operate("DELETE", f"/v1/admin/keys/{made['key_id']}", None, 204)
    refused = keyed.with_key(made["key"], "GET", "/status")
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert keyed.operate("DELETE", f"/v1/admin/keys/{made['key_id']}", None, 404)["code"] == "unknown_key"


def test_a_rotated_key_and_its_successor_work_side_by_side(keyed: Keyed) -> None:
    old = keyed.issue(tenant="default", name="ci", scopes=["read"])
    new = keyed.operate("POST", f"/v1/admin/keys/{old['key_id']}/rotate", {"overlap_s": 3600}, 201)
    assert (new["name"], new["scopes"], new["key"] != old["key"]) == ("ci", ["read"], True)
    assert {keyed.with_key(key, "GET", "/status").status_code for key in (old["key"], new["key"])} == {200}
    keyed.operate("POST", f"/v1/admin/keys/{new['key_id']}/rotate", {"overlap_s": 0}, 201)
    assert keyed.with_key(new["key"], "GET", "/status").status_code == 401


def test_a_key_is_shown_once_and_kept_nowhere(keyed: Keyed) -> None:
    made = keyed.issue(tenant="default")
    secret = made["key"].rsplit("_", 1)[1][:32]
    listed = keyed.operate("GET", "/v1/admin/keys")
    assert made["key_id"] in {row["key_id"] for row in listed}
    assert secret not in str(listed)
    folder = Path(keyed.running.settings.data_dir)
    for file in folder.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"tenant": "nobody-of-that-name"}, 404, "No tenant has this name"),
        ({"scopes": ["read"]}, 422, "an admin key has no scopes"),
        ({"tenant": "default", "scopes": ["fly"]}, 400, "scopes"),
        ({"tenant": "default", "expires_in_s": 0}, 400, "expires_in_s"),
    ],
)
def test_a_key_that_cannot_be_meant_is_refused(keyed: Keyed, body: Json, status: int, said: str) -> None:
    assert said in keyed.operate("POST", "/v1/admin/keys", body, status)["detail"]


def test_the_last_admin_key_stays(keyed: Keyed) -> None:
    own = keyed.admin.split("_")[2]
    for other in keyed.operate("GET", "/v1/admin/keys"):
        if other["kind"] == "admin" and other["active"] and other["key_id"] != own:
            keyed.operate("DELETE", f"/v1/admin/keys/{other['key_id']}", None, 204)
    assert "last admin key" in keyed.operate("DELETE", f"/v1/admin/keys/{own}", None, 409)["detail"]
    second = keyed.issue(name="second")
    keyed.operate("DELETE", f"/v1/admin/keys/{second['key_id']}", None, 204)


def test_metrics_can_be_scraped_with_a_bearer_token(keyed: Keyed) -> None:
    answer = keyed.call("GET", "/metrics", Authorization=f"Bearer {keyed.admin}")
    assert answer.status_code == 200
    assert b"pointsman_decisions_total" in answer.content


def test_keys_hold_after_a_restart_and_are_not_made_again(serve: Serve) -> None:
    first = serve(insecure_local=False)
    keys = first.service.first_keys
    first.stop()
    second = serve(insecure_local=False)
    assert second.service.first_keys is None
    assert keys is not None
    assert second.client.get("/status", headers={"X-API-Key": keys.tenant}).status_code == 200


def test_without_keys_everybody_is_the_one_tenant_and_status_says_so(serve: Serve) -> None:
    running = serve(insecure_local=True)
    assert running.service.first_keys is None
    assert "none are read (--insecure-local)" in running.get("/status")["keys"]
    assert running.get("/v1/admin/tenants") == []


def test_a_tenant_over_its_limit_is_told_when_to_come_back_and_nobody_else_is_held_up(keyed: Keyed) -> None:
    for name, tier in (("hasty", "free"), ("calm", "free")):
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": name, "tier": tier})
    hasty, calm = (keyed.issue(tenant=name)["key"] for name in ("hasty", "calm"))
    body = {"goal": "ship it", "planned_action": "make deploy"}
    answers = [keyed.with_key(hasty, "POST", "/v1/reflect", body) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert [answer.headers["ratelimit"] for answer in answers[:2]] == ['"reflect";r=9;t=6', '"reflect";r=8;t=12']
    refused = answers[-1]
    assert refused.json() | {"code": "rate_limited", "retryable": True} == refused.json()
    assert 1 <= int(refused.headers["retry-after"]) <= 6
    assert refused.headers["ratelimit-policy"] == '"reflect";q=10;w=60'
    assert keyed.with_key(calm, "POST", "/v1/reflect", body).status_code == 200
    assert keyed.with_key(hasty, "POST", "/v1/decisions", {"planned_action": "ls"}).status_code == 200
    assert keyed.call("GET", "/livez").status_code == 200


def test_a_new_tier_holds_for_the_next_call(keyed: Keyed) -> None:
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": "growing", "tier": "free"})
    key = keyed.issue(tenant="growing")["key"]
    assert (
        '"decide";q=200'
        in keyed.with_key(key, "POST", "/v1/decisions", {"planned_action": "ls"}).headers["ratelimit-policy"]
    )
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": "growing", "tier": "local"})
    assert "ratelimit" not in keyed.with_key(key, "POST", "/v1/decisions", {"planned_action": "ls"}).headers


HERE = ("127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LocalHost", "[::1]:8080")
ELSEWHERE = ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_keys_a_page_in_the_browser_cannot_call_by_a_name_that_was_led_here(serve: Serve, method: str) -> None:
    running = serve(insecure_local=True)
    path = {"GET": "/v1/skills", "POST": "/v1/checkpoints"}[method]
    answers = {name: running.client.request(method, path, headers={"Host": name}) for name in (*HERE, *ELSEWHERE)}
    assert {answers[name].is_success for name in HERE} == {True}
    assert {answers[name].json()["code"] for name in ELSEWHERE} == {"forbidden"}


def test_without_keys_a_page_in_the_browser_cannot_call_from_its_own_site(serve: Serve) -> None:
    running = serve(insecure_local=True)
    for origin, status in (
        ("http://localhost:8080", 201),
        ("https://evil.example", 403),
        ("null", 403),
        ("file://", 403),
    ):
        assert running.client.post("/v1/checkpoints", headers={"Origin": origin}).status_code == status, origin
    assert len(running.get("/v1/checkpoints")) == 1


def test_with_keys_a_server_may_be_called_by_any_name(keyed: Keyed) -> None:
    asked = keyed.call("GET", "/v1/admin/tenants", X_Admin_API_Key=keyed.admin, Host="pointsman.example")
    assert asked.status_code == 200
