"""Plays one seeded session against a running server, so that its journal can be kept as a golden one.

With the version whose journals are to be readable for ever, in a data folder of its own:

    pointsman fake-provider --port 8097 --script tests/durability/golden/model.json
    POINTSMAN_EMBEDDER=hashing POINTSMAN_SEED=1 POINTSMAN_ALARM_URL=http://127.0.0.1:8098 POINTSMAN_GATE_WINDOW_S=30 \
        POINTSMAN_OPENAI_BASE_URL=http://127.0.0.1:8097/v1 POINTSMAN_CATALOGUE=tests/durability/golden/catalogue.toml \
        POINTSMAN_ROUTE_WINDOW_S=30 POINTSMAN_TRAJECTORY_TTL_S=30 pointsman serve --port 8099 --data-dir DIR
    python tests/durability/golden/record.py http://127.0.0.1:8099 8098 OPERATORS_KEY http://127.0.0.1:8097
    (stop the server) ; python tests/durability/golden/spend.py DIR
    gzip -9n < DIR/journal.db > tests/durability/golden/schema-N.journal.db.gz

test_golden_journals.py says what that version had learnt from it; what it prints is looked at before it is kept.
Schemas 2 to 4 were recorded with an earlier form of this, in which there were no keys and nothing was owed.
"""

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx

SEED, TASKS = 20261126, 40
PLANS = ("git push", "make test", "pytest -q", "docker build .", "npm ci", "kubectl apply -f app.yaml")
FIXES = {"git push": "git push -u origin HEAD", "npm ci": "npm install"}
FORBIDDEN = {"name": "not c", "effect": "forbid", "actions": ["c/*"]}
FORCED = {"name": "no apply", "effect": "force", "actions": ["BLOCK"], "command": "kubectl apply*"}
POLICIES: dict[int, tuple[str, dict[str, Any]]] = {  # what is set after which task
    6: ("gate", {"mode": "apprentice", "guards": [FORCED]}),
    10: ("route", {"weights": {"slo": 0.5}, "guards": [FORBIDDEN]}),
    14: ("gate", {"mode": "frozen", "risk_ceiling": 0.7}),
    18: ("gate", {"mode": None, "guards": None}),
}
SKILL = {"name": "do_it_so", "docstring": "Use it as it was.", "preconditions": [], "steps": ["Do it so."]}
SESSIONS, CLOSED_S = 150, 40.0
UPLOADS = {
    "good": "retry the flaky upload after a pause",
    "bad": "retry the flaky upload",
}  # the origin and text of each patch
PLACES = {"candidates": [{"provider": place, "sku": "s"} for place in ("a", "b", "c")]}


class Client:
    """Asks with one key; what it tells comes under an idempotency key every other time, and then twice."""

    def __init__(self, url: str, header: str, key: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, headers={header: key})
        self._told = 0

    def ask(self, method: str, path: str, key: str | None = None, **body: Any) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._client.request(method, path, json=body or None, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def tell(self, path: str, **body: Any) -> Any:
        self._told += 1
        if self._told % 2:
            return self.ask("POST", path, **body)
        said = [self.ask("POST", path, f"told-{self._told}", **body) for _ in range(2)]
        assert said[0] == said[1]
        return said[0]


@contextmanager
def receiver(port: int) -> Iterator[None]:
    """Refuses the first alarm and takes the others."""

    class Handler(BaseHTTPRequestHandler):
        heard = 0

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            Handler.heard += 1
            self.send_response(204 if Handler.heard > 1 else 500)
            self.end_headers()

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def learn(client: Client) -> None:
    """Decisions of both points, reports of every kind, captures, validations, a checkpoint, a restore, a purge."""
    rng, kept, episodes = random.Random(SEED), "", list[int]()
    for task in range(TASKS):
        plan = rng.choice(PLANS)
        asked = {"goal": f"do {plan}", "planned_action": plan, "task_id": f"task-{task}",
                 "environment": {"ci": rng.random() < 0.5, "branch": rng.choice(("main", "topic"))}}  # fmt: skip
        for _ in range(rng.randrange(1, 4)):
            said = client.ask("POST", "/v1/decisions", **asked)
            success, applied = rng.random() < 0.6, rng.random() < 0.5
            outcome = {"success": success, "applied_suggestion": applied, "overridden": said["action"] == "BLOCK"}
            if said["action"] == "BLOCK":
                contested = f"/v1/decisions/{said['trace_id']}/appeal"
                client.tell(contested, reason=f"{plan} works")
                client.tell(f"{contested}/ruling", upheld=success, why="it was tried")
            client.tell("/v1/feedback", trace_id=said["trace_id"], outcome=outcome)
            if not success:
                failure = {
                    "trace_id": said["trace_id"],
                    "error_trace": f"{plan}: no",
                    "resolution": FIXES.get(plan, ""),
                }
                episodes.append(client.tell("/v1/capture", **asked, **failure)["episode_id"])
        where = client.ask("POST", "/v1/decisions", **PLACES)
        outcome = {"latency_ms": rng.randrange(400), "slo_hit": True}
        client.tell("/v1/feedback", trace_id=where["trace_id"], outcome=outcome)
        if episodes and task % 3 == 0:
            client.tell("/v1/validate_fix", episode_id=rng.choice(episodes), outcome=rng.choice(("success", "failure")))
        if task == 20:
            kept = client.ask("POST", "/v1/checkpoints", name="twenty")["checkpoint_id"]
        if task == 25:
            client.ask("POST", f"/v1/checkpoints/{kept}/restore")
            client.ask("POST", "/v1/checkpoints/prune", keep=1)
        if task in POLICIES:
            point, sets = POLICIES[task]
            path = f"/v1/points/{point}/policy"
            version = client.ask("GET", path)["version"]
            client.ask("PATCH", path, version=version, why=f"it is task {task}", **sets)
    client.ask("DELETE", f"/v1/episodes/{episodes[-1]}")
    proved = [prove(client, episode_id) for episode_id in episodes[:2]]
    client.ask("POST", f"/v1/skills/{proved[0]}/retire", reason="of another release")


def challenge(client: Client) -> None:
    """A challenger against a champion that takes anything: shadow, canary, champion, and back."""
    here, why = "/v1/points/route", {"why": "to try"}
    client.ask("PATCH", f"{here}/policy", version=0, why="to be beaten", tuning={"epsilon": 1.0})
    kept = client.ask("POST", "/v1/checkpoints", name="to begin with")["checkpoint_id"]
    for share in (0.0, 0.2):
        spec = {"tuning": {"epsilon": 0.0}, "checkpoint_id": kept}
        client.tell(f"{here}/challenger", **why, share=share, **spec)
        earn(client, 30)
    while client.ask("GET", f"{here}/policy")["challenger"]["comparison"]["at_least"] <= 0.0:
        earn(client, 20)
    client.tell(f"{here}/promote", **why)
    earn(client, 30)
    client.tell(f"{here}/rollback", **why)
    client.tell(f"{here}/challenger", **why)
    client.ask("DELETE", f"{here}/challenger")


def federate(teacher: Client, pupil: Client) -> None:
    """One tenant reads what another learnt, a newer entry too, and lets go of it at one of the points."""
    for _ in range(2):
        for point in ("gate", "route"):
            own = teacher.ask("GET", f"/v1/federation/{point}")["own"]
            pupil.tell(f"/v1/federation/{point}", why="to start from", entry=own)
        report(pupil, 10)
        report(teacher, 1)
    pupil.ask("DELETE", f"/v1/federation/gate/{own['origin']}?why=for+now")


def earn(client: Client, times: int) -> None:
    """Decisions of which one place is the best."""
    for n in range(times):
        where = client.ask("POST", "/v1/decisions", **PLACES, task_id=f"earn-{n}")
        ms = 20 if where["action"] == "a/s" else 900
        client.ask("POST", "/v1/feedback", trace_id=where["trace_id"], outcome={"latency_ms": ms, "cost": 0.1})


def prove(client: Client, episode_id: int) -> int:
    """Validate a fix until it is a skill."""
    while True:
        said = client.tell("/v1/validate_fix", episode_id=episode_id, outcome="success")
        if said["promoted_to_skill"]:
            return int(said["skill_id"])


def report(client: Client, times: int = 1) -> None:
    """Decisions of one point, each with its report."""
    for _ in range(times):
        where = client.ask("POST", "/v1/decisions", **PLACES)
        client.ask("POST", "/v1/feedback", trace_id=where["trace_id"], outcome={"latency_ms": 20})


def evict(client: Client) -> None:
    """Take away what a model made of some failure."""
    answers = [client.ask("POST", "/v1/decisions", goal=f"do {plan}", planned_action=plan) for plan in PLANS]
    made = [answer["reflection"]["id"] for answer in answers if answer["reflection"]["tier"] is not None]
    client.ask("DELETE", f"/v1/reflections/{made[0]}")


def remember(client: Client) -> None:
    """Documents come and go; of two origins of patches the one that fails reads better, until ranks are fitted anew."""
    for origin, text in UPLOADS.items():
        client.ask("POST", "/v1/origins", origin=origin, what="bots")
        keep(client, origin, {"key": origin, "kind": "patch", "text": text})
    for version in ("1", "2"):
        keep(client, "wiki", {"key": "a.md", "text": "Raise the quota.", "version": version})
    client.ask("DELETE", "/v1/documents?origin=wiki")
    for n in range(SESSIONS):
        found = client.ask("POST", "/v1/patches/search", query=UPLOADS["bad"])
        of, success = {one["key"]: one["memory_id"] for one in found["results"]}, n % 2 == 0
        used = {"used": [of[wanted]]} if (wanted := "good" if success else "bad") in of else {}  # it may be withheld
        client.tell(f"/v1/sessions/{found['session_id']}/outcome", success=success, **used)
    assert client.ask("POST", "/v1/ranker/reload")["replaced"]


def keep(client: Client, origin: str, document: dict[str, Any]) -> None:
    client.ask("POST", "/v1/documents", origin=origin, documents=[document])


def listen(client: Client) -> None:
    """An address of news that never come."""
    made = client.ask("POST", "/v1/webhooks", url="https://news.example.org/", kinds=["swung"])
    client.ask("DELETE", f"/v1/webhooks/{made['webhook_id']}")


def set_aside(admin: Client, key_id: str) -> None:
    """What a key captured, and let it back in."""
    made = admin.ask("POST", "/v1/admin/quarantine", key_id=key_id, why="it is looked at")
    admin.ask("DELETE", f"/v1/admin/quarantine/{made['quarantine_id']}")


def put_into_words(client: Client, provider: str) -> None:
    """Reflections are made by the provider's script; once nothing else is owed, it answers as skills are written."""
    while (owed := client.ask("GET", "/status")["outbox"])["failing"] < owed["open"]:
        time.sleep(0.5)
    script = {"otherwise": {"text": json.dumps(SKILL)}}
    httpx.put(f"{provider}/fake/script", json=script).raise_for_status()


def until_nothing_waits(client: Client) -> None:
    """Windows close, tasks end, and what is owed is done; only what captures decided is open for a week."""
    time.sleep(CLOSED_S)
    while client.ask("GET", "/status")["outbox"]["open"]:
        time.sleep(0.5)


def play(url: str, admin_key: str, provider: str) -> None:
    """A tenant's whole life; then of five keys more one reports too much, and another tenant comes and goes."""
    admin = Client(url, "X-Admin-API-Key", admin_key)
    admin.ask("POST", "/v1/admin/tenants", tenant="acme", tier="enterprise")
    admin.ask("POST", "/v1/admin/tenants", tenant="other", tier="enterprise", fail_mode="open")
    admin.ask("POST", "/v1/admin/tenants", tenant="pupil", tier="enterprise")

    def issued(tenant: str) -> tuple[str, Client]:
        made = admin.ask("POST", "/v1/admin/keys", tenant=tenant, name=f"of {tenant}")
        return made["key_id"], Client(url, "X-API-Key", made["key"])

    capturing, busy = issued("acme")
    learn(busy)
    remember(busy)
    listen(busy)
    set_aside(admin, capturing)
    for _ in range(5):
        report(issued("acme")[1])
    report(busy, 3)
    ended, other = issued("other")
    report(other, 5)
    challenge(other)
    federate(other, issued("pupil")[1])
    admin.ask("POST", f"/v1/admin/keys/{ended}/rotate", overlap_s=0)
    put_into_words(busy, provider)
    until_nothing_waits(busy)
    evict(busy)
    for task in range(3):
        busy.ask("POST", "/v1/decisions", planned_action="make test", task_id=f"open-{task}")
    busy.ask("POST", "/v1/decisions", **PLACES)


if __name__ == "__main__":
    with receiver(int(sys.argv[2])):
        play(sys.argv[1], *sys.argv[3:])
