"""What clients and operators do, drawn from the seed: every route of the server is here, or says why it is not."""

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from auditor import Outcome
from strategist.federation import Entry

from .ledger import Effect, outcome_of

TENANTS = {"default": ("local",), "acme": ("free",), "zeta": ("starter", "pro")}  # and the tiers they may have
PLANS = ("make ship", "make ship --fast", "git push origin main", "kubectl apply -f app.yaml", "ls -l", "pip install x")
POINTS = ("gate", "route", "chat")
TUNING = {"gamma": 0.5, "alpha": 0.2, "epsilon": 0.5, "exploration": "softmax"}
FAIL_MODES = ("closed", "open", "last_good")
LEFT_OUT = {
    "GET /healthz": "asks no key and reads two flags, which the end of each run looks at itself",
    "GET /livez": "answers a constant",
    "GET /readyz": "as /healthz",
    "GET /startupz": "answers the settings' hash",
    **dict.fromkeys(
        (
            "POST /v1/replays",
            "GET /v1/replays/{replay_id:str}",
            "GET /v1/replays/{replay_id:str}/events",
            "DELETE /v1/replays/{replay_id:str}",
        ),
        "a replay journals nothing and runs in a process of its own, which no drawn world can hold",
    ),
}
OTHERWISE: dict[str, dict[str, Any]] = {  # what makes another body of one that was sent under a key
    "POST /v1/decisions": {"goal": "another"},
    "POST /v1/reflect": {"goal": "another"},
    "POST /v1/decisions/{trace_id:str}/appeal": {"reason": "another"},
    "POST /v1/decisions/{trace_id:str}/appeal/ruling": {"why": "another"},
    "POST /v1/feedback": {"outcome": {"latency_ms": 77.0}},
    "POST /v1/capture": {"goal": "another"},
    "POST /v1/validate_fix": {"episode_id": 2**40},
    "POST /v1/skills/{skill_id:int}/retire": {"reason": "another"},
    "POST /v1/sessions/{session_id:str}/outcome": {"contribution": 0.75},
    "POST /v1/checkpoints": {"name": "another"},
    "POST /v1/checkpoints/prune": {"keep": 77},
    "POST /v1/admin/tenants": {"tenant": "another"},
    "POST /v1/admin/quarantine": {"why": "another"},
    "POST /v1/points/{point:str}/challenger": {"why": "another"},
    "POST /v1/points/{point:str}/promote": {"why": "another"},
    "POST /v1/points/{point:str}/rollback": {"why": "another"},
    "POST /v1/federation/{point:str}": {"why": "another"},
}


class Known(msgspec.Struct):
    """What the clients of a tenant have been told."""

    key: str = ""  # always good
    keys: list[dict[str, Any]] = []  # more keys as they were answered, which come and go
    traces: list[str] = []
    episodes: list[int] = []
    skills: list[int] = []
    checkpoints: list[str] = []
    versions: dict[str, int] = {}  # of the policies of points
    entries: dict[str, Any] = {}  # what points exported
    reservations: list[str] = []  # calls that are charged whole
    reflections: list[str] = []
    sessions: list[str] = []
    quarantines: list[int] = []
    webhooks: list[str] = []
    patches: list[int] = []  # that were shown last


class Call(msgspec.Struct, kw_only=True):
    """A request before it is sent. `learn` takes in its answer once it is told."""

    route: str
    path: str
    tenant: str  # "": an operator's
    body: Any = None
    effects: tuple[Effect, ...] = ()
    foreign: bool = False  # it names what is another tenant's
    learn: Callable[[Any], object] = lambda answer: None


class Draw:
    """One call in the making."""

    def __init__(self, rng: random.Random, known: dict[str, Known], number: int) -> None:
        self.rng, self.known, self.number = rng, known, number
        self.tenant = rng.choice(sorted(TENANTS))

    @property
    def own(self) -> Known:
        return self.known[self.tenant]

    @property
    def name(self) -> str:
        """Of this call and no other."""
        return f"call-{self.number}"

    def text(self, *choices: str) -> str:
        """A text that tells whose it is."""
        return f"{canary(self.tenant)} {self.rng.choice(choices)}"

    def maybe(self, share: float) -> bool:
        return self.rng.random() < share

    def one(self, field: str) -> tuple[Any, bool]:
        """Something known, often the newest, and now and then another tenant's; KeyError when there is nothing."""
        foreign = self.maybe(0.08)
        owner = self.rng.choice([t for t in sorted(TENANTS) if t != self.tenant]) if foreign else self.tenant
        found = getattr(self.known[owner], field)
        if not found:
            raise NothingKnown
        return self.rng.choice(found[-8:] if self.maybe(0.7) else found), foreign

    def call(self, route: str, path: str = "", **fields: Any) -> Call:
        return Call(route=route, path=path or route.partition(" ")[2], **{"tenant": self.tenant, **fields})


class NothingKnown(Exception):
    """The call needs something that nobody has been told of yet."""


def canary(tenant: str) -> str:
    return f"canary-{tenant}"


def decide(draw: Draw) -> Call:
    rng, body = (
        draw.rng,
        {"namespace": draw.text("x", "y"), "metadata": {"call": draw.name}, "goal": draw.text("a", "b")},
    )
    if draw.maybe(0.5):
        body |= {"planned_action": draw.text(*PLANS), "environment": {"cluster": draw.text("p", "q")}}
        body |= {"tool": draw.text("bash")} if draw.maybe(0.3) else {}
    else:
        places = [{"provider": draw.text(name), "sku": "s"} for name in "pqr"[: rng.randint(1, 3)]]
        if len(places) == 2:
            places = [{**place, "expected_cost": 0.25} for place in places]
        body |= {"candidates": places, "context": {"region": draw.text("n", "s")}}
    if draw.maybe(0.5):
        body["task_id"] = draw.text("t1", "t2", "t3")
    if draw.own.traces and draw.maybe(0.2):
        body["previous_trace_id"] = rng.choice(draw.own.traces)
    if draw.maybe(0.1):
        body |= {"point": "gate" if "planned_action" in body else "route", "wait_ms": rng.choice((0, 5))}
    effects = (("decision", draw.tenant, draw.name),)
    return draw.call("POST /v1/decisions", body=body, effects=effects, learn=lambda a: _decided(draw, a))


def _decided(draw: Draw, answer: Any) -> None:
    if answer["trace_id"] is not None:
        draw.own.traces.append(answer["trace_id"])


def chat(draw: Draw) -> Call:
    """Often the same again, which is kept where its temperature is 0."""
    rng = draw.rng
    messages = [{"role": "user", "content": draw.text("a", "b")}]
    if draw.maybe(0.3):
        messages += [{"role": "assistant", "content": draw.text("c")}, {"role": "user", "content": draw.text("go on")}]
    body: dict[str, Any] = {"messages": messages, "metadata": {"call": draw.name}}
    body["model"] = rng.choice(("pointsman/auto", "pointsman/auto", "gpt-4.1-mini", "gpt-4.1"))
    body |= {"stream": True, "stream_options": {"include_usage": draw.maybe(0.5)}} if draw.maybe(0.3) else {}
    body |= {"temperature": 0.0} if draw.maybe(0.5) else {}
    body |= {"seed": 1, "n": 1, "max_tokens": 9, "max_completion_tokens": 9} if draw.maybe(0.1) else {}
    body |= {"user": rng.choice(("ann", "bob"))} if draw.maybe(0.3) else {}  # whom operators see
    body |= {"tools": [{"type": "function", "function": {"name": "f"}}]} if draw.maybe(0.2) else {}
    effects = (("decision", draw.tenant, draw.name),)
    return draw.call("POST /v1/chat/completions", body=body, effects=effects, learn=lambda a: _decided(draw, a))


def reflect(draw: Draw) -> Call:
    body = {"goal": draw.text("a", "b"), "planned_action": draw.text(*PLANS), "task_id": draw.name}
    body |= {"namespace": draw.text("x", "y"), "environment": {"cluster": draw.text("p", "q")}}
    effects = (("decision", draw.tenant, draw.name),)
    return draw.call("POST /v1/reflect", body=body, effects=effects, learn=lambda a: _decided(draw, a))


def feedback(draw: Draw) -> Call:
    rng, (trace_id, foreign) = draw.rng, draw.one("traces")
    outcome: dict[str, Any] = {"success": rng.choice((True, True, False))}
    outcome |= {"latency_ms": float(rng.randrange(3) * 100)} if draw.maybe(0.5) else {}
    outcome |= {"cost": 0.25, "failures": rng.randrange(3)} if draw.maybe(0.3) else {}
    outcome |= {"executed": rng.choice((True, False)), "overridden": False} if draw.maybe(0.2) else {}
    outcome |= {"slo_hit": True, "applied_suggestion": True, "custom": {"taste": 0.5}} if draw.maybe(0.1) else {}
    outcome |= {"terminal": True} if draw.maybe(0.2) else {}
    effects = (("feedback", draw.tenant, trace_id, outcome_of(msgspec.convert(outcome, Outcome))),)
    return draw.call(
        "POST /v1/feedback", body={"trace_id": trace_id, "outcome": outcome}, effects=effects, foreign=foreign
    )


def appeal(draw: Draw) -> Call:
    """Mostly of what is no BLOCK, which is refused."""
    (trace_id, foreign), reason = draw.one("traces"), draw.text("wrong", "no")
    effects = (("appeal", draw.tenant, trace_id, reason),)
    route, path = "POST /v1/decisions/{trace_id:str}/appeal", f"/v1/decisions/{trace_id}/appeal"
    return draw.call(route, path, body={"reason": reason}, effects=effects, foreign=foreign)


def rule_on_appeal(draw: Draw) -> Call:
    (trace_id, foreign), upheld, why = draw.one("traces"), draw.maybe(0.5), draw.text("so", "not so")
    effects = (("ruling", draw.tenant, trace_id, upheld, why),)
    route, path = "POST /v1/decisions/{trace_id:str}/appeal/ruling", f"/v1/decisions/{trace_id}/appeal/ruling"
    return draw.call(route, path, body={"upheld": upheld, "why": why}, effects=effects, foreign=foreign)


def capture(draw: Draw) -> Call:
    rng = draw.rng
    body: dict[str, Any] = {
        "goal": draw.text("a", "b"),
        "planned_action": draw.text(*PLANS),
        "custom": {"call": draw.name},
    }
    body |= {"namespace": draw.text("x", "y"), "error_trace": draw.text("Error: quota", "Timeout", "denied")}
    body |= {"resolution": draw.text("raise it", "wait"), "environment": {"cluster": draw.text("p", "q")}}
    if draw.maybe(0.2):
        body |= {
            "tags": [draw.text("t")],
            "tool_chain": [draw.text("bash")],
            "severity": 0.7,
            "license": draw.text("l"),
        }
    if draw.maybe(0.2):
        body |= {"origin": draw.text("o"), "error_class": draw.text("c"), "preconditions": {"os": draw.text("linux")}}
    if draw.maybe(0.1):
        body |= {"episode_type": "failure", "task_id": draw.text("t1", "t2"), "images": []}
    if draw.own.traces and draw.maybe(0.2):
        body["trace_id"] = rng.choice(draw.own.traces)
    effects = (("capture", draw.tenant, draw.name),)
    learn = lambda a: draw.own.episodes.append(a["episode_id"])  # noqa: E731
    return draw.call("POST /v1/capture", body=body, effects=effects, learn=learn)


def search(draw: Draw) -> Call:
    body = {"goal": draw.text("a", "b"), "planned_action": draw.text(*PLANS), "namespace": draw.text("x", "y")}
    body |= {"k": draw.rng.randint(1, 5), "min_similarity": -1.0} if draw.maybe(0.5) else {}
    body |= {"current_state": {"cluster": draw.text("p")}, "filters": {"origin": "agents"}} if draw.maybe(0.3) else {}
    if draw.maybe(0.3):
        body |= {"modality": "error", "query": draw.text("Error: quota", "Timeout", "denied")}
    return draw.call("POST /v1/search", body=body | _safety(draw))


def validate(draw: Draw) -> Call:
    episode_id, foreign = draw.one("episodes")
    body: dict[str, Any] = {"episode_id": episode_id, "outcome": draw.rng.choice(("success", "success", "failure"))}
    if draw.own.traces and draw.maybe(0.3):
        body |= {"trace_id": draw.rng.choice(draw.own.traces), "applied_suggestion": draw.maybe(0.5)}
    effect = ("validation", draw.tenant, episode_id, body.get("trace_id"), body["outcome"] == "success")

    def learn(answer: Any) -> None:
        if answer["skill_id"] is not None and answer["skill_id"] not in draw.own.skills:
            draw.own.skills.append(answer["skill_id"])

    return draw.call("POST /v1/validate_fix", body=body, effects=(effect,), foreign=foreign, learn=learn)


def purge(draw: Draw) -> Call:
    episode_id, foreign = draw.one("episodes")
    path, effect = f"/v1/episodes/{episode_id}", ("purge", draw.tenant, episode_id)
    return draw.call("DELETE /v1/episodes/{episode_id:int}", path, effects=(effect,), foreign=foreign)


def evict(draw: Draw) -> Call:
    reflection_id, foreign = draw.one("reflections")
    path, effect = f"/v1/reflections/{reflection_id}", ("evicted", draw.tenant, reflection_id)
    return draw.call("DELETE /v1/reflections/{reflection_id:str}", path, effects=(effect,), foreign=foreign)


def keep(draw: Draw) -> Call:
    """Another version each time; the former one is overwritten."""
    rng, key = draw.rng, draw.text("a.md", "b.md")
    document: dict[str, Any] = {"key": key, "text": draw.text("Raise the quota.", "Wait.") * 3, "version": draw.name}
    document |= {"kind": rng.choice(("patch", "record")), "title": draw.text("t")} if draw.maybe(0.3) else {}
    document |= {"license": draw.text("l"), "metadata": {"team": draw.text("m")}} if draw.maybe(0.3) else {}
    if draw.maybe(0.2):
        document |= {"enhancement": 0.5, "alignment_severity": 0.25, "semantic_alerts": 1}
    body = {"documents": [document], "namespace": draw.text("x", "y"), "origin": draw.text("o", "p")}
    effects = (("document", draw.tenant, key, draw.name),)
    return draw.call("POST /v1/documents", body=body, effects=effects)


def find(draw: Draw) -> Call:
    body: dict[str, Any] = {"query": draw.text("quota", "wait"), "namespace": draw.text("x", "y")}
    body |= {"k": 3, "min_similarity": -1.0, "format": "context", "token_budget": 200} if draw.maybe(0.5) else {}
    body |= {"origin": draw.text("o"), "kind": "patch", "filters": {"team": draw.text("m")}} if draw.maybe(0.3) else {}
    return draw.call("POST /v1/documents/search", body=body | _safety(draw))


def documents(draw: Draw) -> Call:
    asked = urlencode({"origin": draw.text("o", "p"), "namespace": draw.text("x", "y")})
    return draw.call("GET /v1/documents", f"/v1/documents?{asked}")


def drop(draw: Draw) -> Call:
    """Often of what is not there."""
    named = {"origin": draw.text("o", "p"), "namespace": draw.text("x", "y")}
    key = draw.text("a.md", "b.md") if draw.maybe(0.7) else None
    effect = ("drop", draw.tenant, named["namespace"], named["origin"], key)
    path = f"/v1/documents?{urlencode(named | ({'key': key} if key else {}))}"
    return draw.call("DELETE /v1/documents", path, effects=(effect,))


def register(draw: Draw) -> Call:
    body = {"origin": draw.text("o", "p"), "what": draw.text("bots", "errors"), "license": draw.text("MIT")}
    effect = ("origin", draw.tenant, body["origin"], body["what"], body["license"])
    return draw.call("POST /v1/origins", body=body, effects=(effect,))


def _safety(draw: Draw) -> dict[str, Any]:
    bounds = {"max_alignment_severity": 0.5, "max_alerts": 3, "license_denylist": [draw.text("l")]}
    return {"safety": bounds | {"max_age_days": 9.0, "min_trust": 0.1}} if draw.maybe(0.3) else {}


def _began(draw: Draw, answer: Any) -> None:
    draw.own.sessions.append(answer["session_id"])
    draw.own.patches[:] = [patch["memory_id"] for patch in answer.get("results", ())]


def context(draw: Draw) -> Call:
    body: dict[str, Any] = {"goal": draw.text("a", "quota"), "namespace": draw.text("x", "y"), **_safety(draw)}
    body |= {"planned_action": draw.text(*PLANS), "current_state": {"cluster": draw.text("p")}, "k": 3}
    body |= {"kinds": ["episode", "patch"], "min_similarity": -1.0, "token_budget": 300} if draw.maybe(0.5) else {}
    return draw.call("POST /v1/context", body=body, learn=lambda answer: _began(draw, answer))


def patches(draw: Draw) -> Call:
    body: dict[str, Any] = {"query": draw.text("quota", "wait"), "namespace": draw.text("x", "y"), **_safety(draw)}
    body |= {"k": 3, "min_score": 0.1, "enhancement_weight": 0.5} if draw.maybe(0.5) else {}
    return draw.call("POST /v1/patches/search", body=body, learn=lambda answer: _began(draw, answer))


def session_outcome(draw: Draw) -> Call:
    session_id, foreign = draw.one("sessions")
    body: dict[str, Any] = {"success": draw.maybe(0.6), "contribution": draw.rng.choice((0.25, 1.0))}
    used = draw.own.patches or draw.own.episodes
    body |= {"used": [draw.rng.choice(used)]} if used and draw.maybe(0.5) else {}
    effect = ("outcome", draw.tenant, session_id, body["success"], body["contribution"])
    route, path = "POST /v1/sessions/{session_id:str}/outcome", f"/v1/sessions/{session_id}/outcome"
    return draw.call(route, path, body=body, effects=(effect,), foreign=foreign)


def quarantine(draw: Draw) -> Call:
    key_id, why = _some_key(draw)["key_id"], draw.name
    body: dict[str, Any] = {"key_id": key_id, "why": why, **_span(draw)}
    learn = lambda a: draw.own.quarantines.append(a["quarantine_id"])  # noqa: E731
    effects = (("quarantine", draw.tenant, key_id, why),)
    return draw.call("POST /v1/admin/quarantine", tenant="", body=body, effects=effects, learn=learn)


def carry(draw: Draw) -> Call:
    """A capture of another installation; it is new, for it has this call's name."""
    captured = capture(draw)
    body = {**captured.body, "goal": draw.text(draw.name), "task_id": draw.text("t1"), "trace_id": None}
    came = {"origin": draw.text("or"), "key": draw.text("k"), "episode_id": 7, "captured_at": 1.0}
    came |= {"repeats": 2, "successes": 3, "failures": 1, "skill": draw.text("trial")}
    carried = {"episodes": [{"episode": body, "provenance": came}]}
    learn = lambda a: draw.own.episodes.extend(a["episode_ids"])  # noqa: E731
    return draw.call("POST /v1/memory", body=carried, effects=captured.effects, learn=learn)


def set_webhook(draw: Draw) -> Call:
    """Of news that never comes: no drawn world holds the addresses that names have."""
    url = f"https://{draw.tenant}.example.org/{draw.name}"
    learn = lambda a: draw.own.webhooks.append(a["webhook_id"])  # noqa: E731
    body, effect = {"url": url, "kinds": ["swung"]}, ("webhook", draw.tenant, url)
    return draw.call("POST /v1/webhooks", body=body, effects=(effect,), learn=learn)


def remove_webhook(draw: Draw) -> Call:
    webhook_id, foreign = draw.one("webhooks")
    route, path = "DELETE /v1/webhooks/{webhook_id:str}", f"/v1/webhooks/{webhook_id}"
    return draw.call(route, path, effects=(("webhook removed", draw.tenant, webhook_id),), foreign=foreign)


def lift(draw: Draw) -> Call:
    quarantine_id, _ = draw.one("quarantines")
    route, path = "DELETE /v1/admin/quarantine/{quarantine_id:int}", f"/v1/admin/quarantine/{quarantine_id}"
    return draw.call(route, path, tenant="", effects=(("quarantine lifted", quarantine_id),))


def purge_by_key(draw: Draw) -> Call:
    """What it deletes is looked at in the journal: nobody can say it beforehand."""
    body = {"key_id": _some_key(draw)["key_id"], "dry_run": draw.maybe(0.5), **_span(draw)}
    return draw.call("POST /v1/admin/purge", tenant="", body=body)


def _span(draw: Draw) -> dict[str, float]:
    """Of all time, or up to a moment that may be over or not."""
    return {"since": 1.0, "until": draw.rng.choice((2.0, 4e9))} if draw.maybe(0.5) else {}


def retire(draw: Draw) -> Call:
    skill_id, foreign = draw.one("skills")
    reason = draw.text("old")
    effect = ("retire", draw.tenant, skill_id, reason)
    route, path = "POST /v1/skills/{skill_id:int}/retire", f"/v1/skills/{skill_id}/retire"
    return draw.call(route, path, body={"reason": reason}, effects=(effect,), foreign=foreign)


def checkpoint(draw: Draw) -> Call:
    name = f"{canary(draw.tenant)} {draw.name}"
    learn = lambda a: draw.own.checkpoints.append(a["checkpoint_id"])  # noqa: E731
    effects = (("checkpoint", draw.tenant, name),)
    return draw.call("POST /v1/checkpoints", body={"name": name}, effects=effects, learn=learn)


def restore(draw: Draw) -> Call:
    checkpoint_id, foreign = draw.one("checkpoints")
    route, path = "POST /v1/checkpoints/{checkpoint_id:str}/restore", f"/v1/checkpoints/{checkpoint_id}/restore"
    return draw.call(route, path, effects=(("restore", draw.tenant, checkpoint_id),), foreign=foreign)


def prune(draw: Draw) -> Call:
    keep = draw.rng.randint(1, 4)
    return draw.call("POST /v1/checkpoints/prune", body={"keep": keep}, effects=(("prune", draw.tenant),))


def diff(draw: Draw) -> Call:
    (before, foreign), after = draw.one("checkpoints"), "now"
    if draw.maybe(0.5):
        after, also = draw.one("checkpoints")
        foreign = foreign or also
    route = "GET /v1/checkpoints/{a:str}/diff/{b:str}"
    return draw.call(route, f"/v1/checkpoints/{before}/diff/{after}", foreign=foreign)


def set_tenant(draw: Draw) -> Call:
    tier, fail_mode = draw.rng.choice(TENANTS[draw.tenant]), draw.rng.choice(FAIL_MODES)
    body, effect = (
        {"tenant": draw.tenant, "tier": tier, "fail_mode": fail_mode},
        ("tenant", draw.tenant, tier, fail_mode),
    )
    return draw.call("POST /v1/admin/tenants", tenant="", body=body, effects=(effect,))


def issue(draw: Draw) -> Call:
    body: dict[str, Any] = {"tenant": draw.tenant, "name": draw.name}
    body |= {"expires_in_s": draw.rng.choice((5.0, 40.0))} if draw.maybe(0.4) else {}
    body |= {"scopes": ["decide", "read"]} if draw.maybe(0.2) else {}
    learn = lambda a: draw.own.keys.append(a)  # noqa: E731
    effects = (("key", draw.tenant, draw.name),)
    return draw.call("POST /v1/admin/keys", tenant="", body=body, effects=effects, learn=learn)


def rotate(draw: Draw) -> Call:
    old = _some_key(draw)
    key_id = old["key_id"]
    route, path = "POST /v1/admin/keys/{key_id:str}/rotate", f"/v1/admin/keys/{key_id}/rotate"
    learn = lambda a: draw.own.keys.append(a)  # noqa: E731
    effects = (("key", draw.tenant, old["name"]), ("key ends", draw.tenant, key_id))
    body = {"overlap_s": draw.rng.choice((0.0, 20.0))}
    return draw.call(route, path, tenant="", body=body, effects=effects, learn=learn)


def revoke(draw: Draw) -> Call:
    key_id = _some_key(draw)["key_id"]
    effects = (("key ends", draw.tenant, key_id),)
    return draw.call("DELETE /v1/admin/keys/{key_id:str}", f"/v1/admin/keys/{key_id}", tenant="", effects=effects)


def _some_key(draw: Draw) -> dict[str, Any]:
    if not draw.own.keys:
        raise NothingKnown
    return draw.rng.choice(draw.own.keys)


def reading(route: str, field: str = "", operator: bool = False) -> "Operation":
    """A call that reads, about something known where its path asks for it."""

    def drawn(draw: Draw) -> Call:
        path, foreign = route.partition(" ")[2], False
        if field:
            found, foreign = draw.one(field)
            path = path[: path.index("{")] + str(found) + path[path.index("}") + 1 :]
        return draw.call(route, path, tenant="" if operator else draw.tenant, foreign=foreign)

    return drawn


def policy(draw: Draw) -> Call:
    point = draw.rng.choice(POINTS)
    learn = lambda a: draw.own.versions.update({point: a["version"]})  # noqa: E731
    return draw.call("GET /v1/points/{point:str}/policy", f"/v1/points/{point}/policy", learn=learn)


def set_policy(draw: Draw) -> Call:
    rng, point = draw.rng, draw.rng.choice(POINTS)
    body: dict[str, Any] = {"version": draw.own.versions.get(point, 0), "why": f"{canary(draw.tenant)} {draw.name}"}
    body |= {"mode": rng.choice((None, "learning", "apprentice", "frozen"))} if draw.maybe(0.6) else {}
    body |= {"weights": rng.choice((None, {"custom.taste": 0.5}))} if draw.maybe(0.3) else {}
    body |= {"risk_ceiling": rng.choice((None, 0.5))} if draw.maybe(0.3) else {}
    body |= {"hand_over": rng.choice((None, "automatic"))} if draw.maybe(0.3) else {}
    body |= {"audit_ceiling": rng.choice((None, 1.0)), "audit_share": 0.4} if draw.maybe(0.5) else {}
    body |= {"tuning": rng.choice((None, TUNING))} if draw.maybe(0.2) else {}
    body |= {"guards": _guards(draw, point)} if draw.maybe(0.5) else {}
    learn = lambda a: draw.own.versions.update({point: a["version"]})  # noqa: E731
    route, effect = "PATCH /v1/points/{point:str}/policy", ("policy", draw.tenant, point, body["why"])
    return draw.call(route, f"/v1/points/{point}/policy", body=body, effects=(effect,), learn=learn)


def challenge(draw: Draw) -> Call:
    """With all of the tasks or none: which are a part of them hangs on random ids where a decision has no task."""
    rng, (point, why) = draw.rng, _reasoned(draw)
    body: dict[str, Any] = {"why": why, "share": rng.choice((0.0, 1.0))}
    body |= {"weights": {"custom.taste": 1.0}} if draw.maybe(0.2) else {}
    body |= {"tuning": TUNING} if draw.maybe(0.3) else {}
    foreign = False
    if draw.maybe(0.3):
        body["checkpoint_id"], foreign = draw.one("checkpoints")
    effect = ("challenger", draw.tenant, point, body["share"], why)
    route, path = "POST /v1/points/{point:str}/challenger", f"/v1/points/{point}/challenger"
    return draw.call(route, path, body=body, effects=(effect,), foreign=foreign)


def withdraw(draw: Draw) -> Call:
    point, _ = _reasoned(draw)
    effect = ("challenger ends", draw.tenant, point, "withdrawn")
    return draw.call("DELETE /v1/points/{point:str}/challenger", f"/v1/points/{point}/challenger", effects=(effect,))


def promote(draw: Draw) -> Call:
    """Refused where nothing is proven."""
    point, why = _reasoned(draw)
    route, effect = "POST /v1/points/{point:str}/promote", ("promoted", draw.tenant, point, why)
    return draw.call(route, f"/v1/points/{point}/promote", body={"why": why}, effects=(effect,))


def roll_back(draw: Draw) -> Call:
    point, why = _reasoned(draw)
    route, effect = "POST /v1/points/{point:str}/rollback", ("rolled back", draw.tenant, point, why)
    return draw.call(route, f"/v1/points/{point}/rollback", body={"why": why}, effects=(effect,))


def federation(draw: Draw) -> Call:
    point = draw.rng.choice(POINTS)
    learn = lambda a: draw.own.entries.update({point: a["own"]})  # noqa: E731
    return draw.call("GET /v1/federation/{point:str}", f"/v1/federation/{point}", learn=learn)


def import_entry(draw: Draw) -> Call:
    """What the tenant exported itself, as if it were another's; older ones and twins change nothing, or are refused."""
    rng, (point, why) = draw.rng, _reasoned(draw)
    if point not in draw.own.entries:
        raise NothingKnown
    foreign = {"origin": _origin(draw), "seq": rng.randrange(1, 50)}
    entry = msgspec.convert({**draw.own.entries[point], **foreign}, Entry).sealed()
    effect = ("federated", draw.tenant, entry.origin, entry.seq, why)
    body = {"why": why, "entry": msgspec.to_builtins(entry)}
    return draw.call("POST /v1/federation/{point:str}", f"/v1/federation/{point}", body=body, effects=(effect,))


def forget_origin(draw: Draw) -> Call:
    """Often of one that is not there."""
    point, origin = draw.rng.choice(POINTS), _origin(draw)
    effect = ("forgotten", draw.tenant, point, origin, "forgotten")
    route, path = "DELETE /v1/federation/{point:str}/{origin:str}", f"/v1/federation/{point}/{origin}"
    return draw.call(route, path, effects=(effect,))


def _origin(draw: Draw) -> str:
    return f"or_{draw.rng.randrange(3):032x}"


def _reasoned(draw: Draw) -> tuple[str, str]:
    """A point, and why something is done there."""
    return draw.rng.choice(POINTS), f"{canary(draw.tenant)} {draw.name}"


def _guards(draw: Draw, point: str) -> list[dict[str, Any]]:
    """Some that forbid, and at the gate some that force."""
    name, where = draw.text("g"), {"cluster": f"{canary(draw.tenant)} p"}
    if point != "gate":
        return [{"name": name, "effect": "forbid", "actions": ["* p/s"], "environment": {"region": "*n"}}]
    forced = {"name": name, "effect": "force", "actions": ["BLOCK"], "tool": "*", "command": "*make ship"}
    return [forced, {"name": name, "effect": "forbid", "actions": ["PROCEED"], "environment": where}]


def budget(draw: Draw) -> Call:
    def learn(answer: Any) -> None:
        for of in answer["unreconciled"]:
            if of["reservation_id"] not in (known := draw.known[of["tenant"]].reservations):
                known.append(of["reservation_id"])

    return draw.call("GET /v1/admin/budget", tenant="", learn=learn)


def set_budget(draw: Draw) -> Call:
    rng, scope = draw.rng, draw.rng.choice(("global", "tenant", "model", "agent"))
    body: dict[str, Any] = {"scope": scope, "period": rng.choice(("day", "week", "month")), "why": draw.name}
    body |= {"limit_usd": rng.choice((None, 0.05, 0.2, 1.0))}
    body |= {"tenant": draw.tenant} if scope in ("tenant", "agent") else {}
    body |= {"name": {"model": "big", "agent": "ci"}[scope]} if scope in ("model", "agent") else {}
    effect = ("budget", body.get("tenant", ""), scope, body.get("name", ""), body["period"], draw.name)
    return draw.call("PUT /v1/admin/budget", tenant="", body=body, effects=(effect,))


def reconcile(draw: Draw) -> Call:
    """Of one that was reconciled before, it is refused."""
    if not draw.own.reservations:
        raise NothingKnown
    reservation_id, cost_usd = draw.rng.choice(draw.own.reservations), draw.rng.choice((0.0, 0.001))
    route = "PUT /v1/admin/budget/reservations/{reservation_id:str}"
    body, effect = {"cost_usd": cost_usd, "why": draw.name}, ("reconciled", reservation_id, draw.name)
    return draw.call(route, f"/v1/admin/budget/reservations/{reservation_id}", tenant="", body=body, effects=(effect,))


Operation = Callable[[Draw], Call]
# How often each is drawn, in a hundred and some.
OPERATIONS: dict[str, tuple[int, Operation]] = {
    "POST /v1/decisions": (30, decide),
    "POST /v1/reflect": (3, reflect),
    "POST /v1/chat/completions": (8, chat),
    "GET /v1/models": (1, reading("GET /v1/models")),
    "POST /v1/feedback": (25, feedback),
    "POST /v1/decisions/{trace_id:str}/appeal": (4, appeal),
    "POST /v1/decisions/{trace_id:str}/appeal/ruling": (4, rule_on_appeal),
    "GET /v1/appeals": (1, reading("GET /v1/appeals")),
    "POST /v1/capture": (9, capture),
    "POST /v1/search": (5, search),
    "POST /v1/validate_fix": (9, validate),
    "DELETE /v1/episodes/{episode_id:int}": (2, purge),
    "DELETE /v1/reflections/{reflection_id:str}": (2, evict),
    "POST /v1/documents": (4, keep),
    "GET /v1/documents": (1, documents),
    "DELETE /v1/documents": (2, drop),
    "POST /v1/episodes/{episode_id:int}/return": (1, reading("POST /v1/episodes/{episode_id:int}/return", "episodes")),
    "GET /v1/memory/aside": (1, reading("GET /v1/memory/aside")),
    "POST /v1/documents/search": (2, find),
    "GET /v1/origins": (1, reading("GET /v1/origins")),
    "POST /v1/origins": (1, register),
    "POST /v1/context": (4, context),
    "POST /v1/patches/search": (2, patches),
    "GET /v1/sessions": (1, reading("GET /v1/sessions")),
    "POST /v1/sessions/{session_id:str}/outcome": (5, session_outcome),
    "POST /v1/ranker/reload": (1, reading("POST /v1/ranker/reload")),
    "POST /v1/ranker/reset": (1, reading("POST /v1/ranker/reset")),
    "GET /v1/admin/quarantine": (1, reading("GET /v1/admin/quarantine", operator=True)),
    "POST /v1/admin/quarantine": (2, quarantine),
    "DELETE /v1/admin/quarantine/{quarantine_id:int}": (2, lift),
    "POST /v1/admin/purge": (1, purge_by_key),
    "POST /v1/skills/{skill_id:int}/retire": (1, retire),
    "POST /v1/checkpoints": (3, checkpoint),
    "POST /v1/checkpoints/{checkpoint_id:str}/restore": (2, restore),
    "POST /v1/admin/tenants": (2, set_tenant),
    "POST /v1/admin/keys": (2, issue),
    "POST /v1/admin/keys/{key_id:str}/rotate": (2, rotate),
    "DELETE /v1/admin/keys/{key_id:str}": (1, revoke),
    "GET /v1/decisions/{trace_id:str}": (4, reading("GET /v1/decisions/{trace_id:str}", "traces")),
    "GET /v1/decisions/{trace_id:str}/why": (2, reading("GET /v1/decisions/{trace_id:str}/why", "traces")),
    "GET /v1/episodes/{episode_id:int}": (2, reading("GET /v1/episodes/{episode_id:int}", "episodes")),
    "GET /v1/skills": (1, reading("GET /v1/skills")),
    "GET /v1/skills/{skill_id:int}": (1, reading("GET /v1/skills/{skill_id:int}", "skills")),
    "GET /v1/checkpoints": (1, reading("GET /v1/checkpoints")),
    "POST /v1/checkpoints/prune": (1, prune),
    "GET /v1/checkpoints/{a:str}/diff/{b:str}": (1, diff),
    "GET /v1/points": (1, reading("GET /v1/points")),
    "GET /v1/points/{point:str}/policy": (1, policy),
    "PATCH /v1/points/{point:str}/policy": (2, set_policy),
    "POST /v1/points/{point:str}/challenger": (4, challenge),
    "DELETE /v1/points/{point:str}/challenger": (1, withdraw),
    "POST /v1/points/{point:str}/promote": (1, promote),
    "POST /v1/points/{point:str}/rollback": (1, roll_back),
    "GET /v1/federation/{point:str}": (3, federation),
    "POST /v1/federation/{point:str}": (4, import_entry),
    "DELETE /v1/federation/{point:str}/{origin:str}": (1, forget_origin),
    "GET /v1/events": (1, reading("GET /v1/events")),
    "GET /v1/memory": (1, reading("GET /v1/memory")),
    "POST /v1/memory": (2, carry),
    "GET /v1/webhooks": (1, reading("GET /v1/webhooks")),
    "POST /v1/webhooks": (1, set_webhook),
    "DELETE /v1/webhooks/{webhook_id:str}": (1, remove_webhook),
    "GET /status": (1, reading("GET /status")),
    "GET /v1/admin/tenants": (1, reading("GET /v1/admin/tenants", operator=True)),
    "GET /v1/admin/keys": (1, reading("GET /v1/admin/keys", operator=True)),
    "GET /v1/admin/audit": (1, reading("GET /v1/admin/audit", operator=True)),
    "GET /v1/admin/budget": (2, budget),
    "PUT /v1/admin/budget": (2, set_budget),
    "PUT /v1/admin/budget/reservations/{reservation_id:str}": (2, reconcile),
    "GET /metrics": (1, reading("GET /metrics", operator=True)),
}
_NAMES, _WEIGHTS = list(OPERATIONS), [weight for weight, _ in OPERATIONS.values()]


def drawn(rng: random.Random, known: dict[str, Known], number: int) -> Call:
    """The next call."""
    while True:
        try:
            return OPERATIONS[rng.choices(_NAMES, _WEIGHTS)[0]][1](Draw(rng, known, number))
        except NothingKnown:
            continue
