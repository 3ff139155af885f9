"""A request for every route that has something to do, sent to an application in this process; for tests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Litestar

from auditor.money_events import Spender
from auditor.reflection_events import Insight, Reflected
from controlplane.ids import new_id
from controlplane.service import Service
from controlplane.tenants.keys import parse
from strategist.betting import ENOUGH, GRID, LowerBound
from strategist.federation import Entry

from .cancelling import Sent

Json = dict[str, Any]
Asked = tuple[str, Json | None]  # path, body
GOOD = {"latency_ms": 20, "cost": 0.05, "failures": 0, "slo_hit": True}
PLAN = {"goal": "ship", "planned_action": "make ship", "environment": {"stage": "prod"}}
FEW = {"point": "gate", "decisions": 1}  # too few to be replayed: that is told, and no process is started
ELSEWHERE = "or_" + "0e" * 16  # an origin that is nobody's here
PLACES = {"candidates": [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": "2"}], "goal": "ship"}


class Client:
    """An application in this process, and keys that open all of it."""

    def __init__(self, app: Litestar) -> None:
        self.app = app
        self.service: Service = app.service
        keys = self.service.first_keys
        assert keys is not None
        self._headers = {"X-API-Key": keys.tenant, "X-Admin-API-Key": keys.admin, "Content-Type": "application/json"}
        tenant = parse(keys.tenant)
        assert tenant is not None
        self.tenant_key = tenant.key_id
        self.numbers = count(1)
        self.resting = asyncio.all_tasks()  # the tasks of a service that does nothing

    def request(self, method: str, asked: Asked, **headers: str) -> Sent:
        path, body = asked
        content = b"" if body is None else json.dumps(body).encode()
        return Sent(self.app, method, path, content, {**self._headers, **headers})

    async def call(self, method: str, path: str, body: Json | None = None) -> Any:
        sent = await self.request(method, (path, body)).answer()
        assert sent.status < 300, sent.body
        return json.loads(sent.body) if sent.body else None

    def new(self, what: str) -> str:
        return f"{what} {next(self.numbers)}"

    async def decision(self) -> str:
        return str((await self.call("POST", "/v1/decisions", PLACES))["trace_id"])

    async def episode(self) -> int:
        failed = {"goal": self.new("ship"), "error_trace": "Error: x", "resolution": "make it"}
        return int((await self.call("POST", "/v1/capture", failed))["episode_id"])

    async def reflection(self) -> str:
        """As if a model had been asked."""
        insight = Insight(
            root_cause="x", preconditions=(), resolution_strategy="y", environment_factors=(), confidence=0.5
        )
        made = Reflected(
            tenant="default", at=self.service.clock.now(), reflection_id=new_id("rf"), episode_id=await self.episode(),
            tier="cheap", insight=insight,
        )  # fmt: skip
        await self.service.reflects.keep(made)
        return made.reflection_id

    async def skill(self) -> int:
        fixed = {"episode_id": await self.episode(), "outcome": "success"}
        for _ in range(3):
            said = await self.call("POST", "/v1/validate_fix", fixed)
        return int(said["skill_id"])

    async def checkpoint(self) -> str:
        return str((await self.call("POST", "/v1/checkpoints", {"name": self.new("cp")}))["checkpoint_id"])

    async def replay(self) -> str:
        return str((await self.call("POST", "/v1/replays", FEW))["replay_id"])

    async def key(self) -> str:
        return str(
            (await self.call("POST", "/v1/admin/keys", {"name": self.new("key"), "tenant": "default"}))["key_id"]
        )


async def _bare(client: Client, path: str) -> Asked:
    return path, None


async def _decide(client: Client, path: str) -> Asked:
    return path, {**PLAN, "planned_action": client.new("make"), "task_id": "task"}


async def _reflect(client: Client, path: str) -> Asked:
    return path, {**PLAN, "planned_action": client.new("make")}


async def _read_decision(client: Client, path: str) -> Asked:
    return path.replace("{trace_id:str}", await client.decision()), None


async def _blocked(client: Client) -> str:
    """A decision that an operator's rule makes a BLOCK."""
    path = "/v1/points/gate/policy"
    guard = {"name": "no", "effect": "force", "actions": ["BLOCK"], "command": "forbidden *"}
    version = (await client.call("GET", path))["version"]
    if version == 0:
        await client.call("PATCH", path, {"version": version, "why": "to be contested", "guards": [guard]})
    asked = {"planned_action": client.new("forbidden")}
    return str((await client.call("POST", "/v1/decisions", asked))["trace_id"])


async def _appeal(client: Client, path: str) -> Asked:
    return path.replace("{trace_id:str}", await _blocked(client)), {"reason": "it works"}


async def _rule(client: Client, path: str) -> Asked:
    trace_id = await _blocked(client)
    await client.call("POST", f"/v1/decisions/{trace_id}/appeal", {"reason": "it works"})
    return path.replace("{trace_id:str}", trace_id), {"upheld": True, "why": "it does"}


async def _report(client: Client, path: str) -> Asked:
    return path, {"trace_id": await client.decision(), "outcome": GOOD}


async def _chat(client: Client, path: str) -> Asked:
    n = next(client.numbers)
    chat = {"model": "pointsman/auto", "messages": [{"role": "user", "content": f"chat {n}"}], "temperature": 0}
    return path, {**chat, "stream": n % 2 == 1}


async def _capture(client: Client, path: str) -> Asked:
    return path, {"goal": client.new("ship"), "error_trace": "Error: x", "trace_id": await client.decision()}


async def _search(client: Client, path: str) -> Asked:
    return path, {"goal": client.new("ship"), "planned_action": "make ship"}


async def _validate(client: Client, path: str) -> Asked:
    return path, {"episode_id": await client.episode(), "outcome": "success", "trace_id": await client.decision()}


async def _episode(client: Client, path: str) -> Asked:
    return path.replace("{episode_id:int}", str(await client.episode())), None


async def _reflection(client: Client, path: str) -> Asked:
    return path.replace("{reflection_id:str}", await client.reflection()), None


async def _document(client: Client) -> str:
    kept = {"documents": [{"key": client.new("a.md"), "text": client.new("Ship it with make")}]}
    return str((await client.call("POST", "/v1/documents", kept))["documents"][0]["key"])


async def _keep(client: Client, path: str) -> Asked:
    return path, {"documents": [{"key": "a.md", "text": client.new("Ship it with make")}]}


async def _documents(client: Client, path: str) -> Asked:
    return f"{path}?{urlencode({'origin': 'documents'})}", None


async def _drop(client: Client, path: str) -> Asked:
    return f"{path}?{urlencode({'origin': 'documents', 'key': await _document(client)})}", None


async def _find(client: Client, path: str) -> Asked:
    return path, {"query": client.new("ship"), "format": "context"}


async def _register(client: Client, path: str) -> Asked:
    return path, {"origin": client.new("wiki"), "license": "MIT"}


async def _context(client: Client, path: str) -> Asked:
    return path, {"goal": client.new("ship")}


async def _patches(client: Client, path: str) -> Asked:
    return path, {"query": client.new("ship")}


async def _outcome(client: Client, path: str) -> Asked:
    session = (await client.call("POST", "/v1/context", {"goal": client.new("ship")}))["session_id"]
    return path.replace("{session_id:str}", session), {"success": True}


async def _skill(client: Client, path: str) -> Asked:
    return path.replace("{skill_id:int}", str(await client.skill())), None


async def _checkpoint(client: Client, path: str) -> Asked:
    return path, {"name": client.new("checkpoint")}


async def _restore(client: Client, path: str) -> Asked:
    return path.replace("{checkpoint_id:str}", await client.checkpoint()), None


async def _replay(client: Client, path: str) -> Asked:
    return path, FEW


async def _replayed(client: Client, path: str) -> Asked:
    return path.replace("{replay_id:str}", await client.replay()), None


async def _prune(client: Client, path: str) -> Asked:
    await client.checkpoint()
    return path, {"keep": 1}


async def _diff(client: Client, path: str) -> Asked:
    return path.replace("{a:str}", await client.checkpoint()).replace("{b:str}", "now"), None


async def _policy(client: Client, path: str) -> Asked:
    return path.replace("{point:str}", "gate"), None


async def _set_policy(client: Client, path: str) -> Asked:
    path = path.replace("{point:str}", "gate")
    version = (await client.call("GET", path))["version"]
    return path, {"version": version, "why": "as asked", "risk_ceiling": 0.8}


async def _alone(client: Client) -> str:
    """Nobody stands beside the champion of this point."""
    if (await client.call("GET", "/v1/points/route/policy"))["challenger"] is not None:
        await client.call("DELETE", "/v1/points/route/challenger")
    return "route"


async def _challenged(client: Client) -> str:
    """A challenger stands beside it that counts as proven; promoted, or taken away, nothing of that is left."""
    point = await _alone(client)
    await client.call("POST", f"/v1/points/{point}/challenger", {"why": "to try"})
    client.service.learner.state.of("default").rivals[point].comparison.for_theirs = proven()
    return point


def proven() -> LowerBound:
    return LowerBound(wealth=[ENOUGH] * len(GRID))


async def _challenge(client: Client, path: str) -> Asked:
    return path.replace("{point:str}", await _alone(client)), {"why": "to try", "share": 0.5}


async def _withdraw(client: Client, path: str) -> Asked:
    return path.replace("{point:str}", await _challenged(client)), None


async def _promote(client: Client, path: str) -> Asked:
    return path.replace("{point:str}", await _challenged(client)), {"why": "it is better"}


async def _roll_back(client: Client, path: str) -> Asked:
    point = await _challenged(client)
    await client.call("POST", f"/v1/points/{point}/promote", {"why": "it is better"})
    return path.replace("{point:str}", point), {"why": "it is not"}


def elsewhere(own: Json, seq: int) -> Json:
    """What a point exported, as if another origin had learnt it up to its event `seq`."""
    entry = msgspec.convert({**own, "origin": ELSEWHERE, "seq": seq}, Entry).sealed()
    return {"why": "to start from", "entry": msgspec.to_builtins(entry)}


async def _import(client: Client, path: str) -> Asked:
    await client.decision()
    path = path.replace("{point:str}", "route")
    own = (await client.call("GET", path))["own"]
    return path, elsewhere(own, next(client.numbers))


async def _forget(client: Client, path: str) -> Asked:
    imported, body = await _import(client, path.removesuffix("/{origin:str}"))
    await client.call("POST", imported, body)
    return f"{imported}/{ELSEWHERE}", None


async def _tenant(client: Client, path: str) -> Asked:
    return path, {"tenant": "acme", "tier": "pro"}


async def _issue(client: Client, path: str) -> Asked:
    return path, {"name": "one more", "tenant": "default"}


async def _key(client: Client, path: str) -> Asked:
    return path.replace("{key_id:str}", await client.key()), None


async def _quarantine(client: Client, path: str) -> Asked:
    return path, {"key_id": await client.key(), "why": "it lies"}


async def _quarantined(client: Client, path: str) -> Asked:
    asked, body = await _quarantine(client, "/v1/admin/quarantine")
    made = await client.call("POST", asked, body)
    return path.replace("{quarantine_id:int}", str(made["quarantine_id"])), None


async def _carry(client: Client, path: str) -> Asked:
    came = {"origin": ELSEWHERE, "key": "k", "episode_id": 1, "captured_at": 1.0}
    return path, {"episodes": [{"episode": {"goal": client.new("ship")}, "provenance": came}]}


async def _webhook(client: Client, path: str) -> Asked:
    """Of news that never comes: nothing is sent."""
    for held in await client.call("GET", path):
        await client.call("DELETE", f"{path}/{held['webhook_id']}")
    return path, {"url": "https://hooks.example.org/x", "kinds": ["swung"]}


async def _webhooked(client: Client, path: str) -> Asked:
    made = await client.call("POST", *await _webhook(client, "/v1/webhooks"))
    return path.replace("{webhook_id:str}", made["webhook_id"]), None


async def _purge(client: Client, path: str) -> Asked:
    await client.episode()
    return path, {"key_id": client.tenant_key}


async def _set_budget(client: Client, path: str) -> Asked:
    return path, {"scope": "tenant", "tenant": "default", "period": "day", "limit_usd": 1.0, "why": "enough"}


async def _reconcile(client: Client, path: str) -> Asked:
    """A call that was lost after it was made."""
    spender, budgets = Spender(model="m", tier="cheap", purpose="chat"), client.service.budgets
    held = await budgets.reserve("default", spender, 1000)
    await budgets.lose(held)
    await client.service.learner.passed(client.service.journal.last_seq)
    return path.replace("{reservation_id:str}", held.reservation_id), {"cost_usd": 1e-7, "why": "the bill"}


# What is asked is made when its turn comes. A route that is added is entered here.
REQUESTS: dict[tuple[str, str], Callable[[Client, str], Awaitable[Asked]]] = {
    ("POST", "/v1/decisions"): _decide,
    ("GET", "/v1/decisions/{trace_id:str}"): _read_decision,
    ("GET", "/v1/decisions/{trace_id:str}/why"): _read_decision,
    ("POST", "/v1/decisions/{trace_id:str}/appeal"): _appeal,
    ("POST", "/v1/decisions/{trace_id:str}/appeal/ruling"): _rule,
    ("GET", "/v1/appeals"): _bare,
    ("POST", "/v1/feedback"): _report,
    ("POST", "/v1/capture"): _capture,
    ("POST", "/v1/reflect"): _reflect,
    ("POST", "/v1/search"): _search,
    ("POST", "/v1/validate_fix"): _validate,
    ("GET", "/v1/episodes/{episode_id:int}"): _episode,
    ("DELETE", "/v1/episodes/{episode_id:int}"): _episode,
    ("POST", "/v1/episodes/{episode_id:int}/return"): _episode,
    ("DELETE", "/v1/reflections/{reflection_id:str}"): _reflection,
    ("POST", "/v1/documents"): _keep,
    ("GET", "/v1/documents"): _documents,
    ("DELETE", "/v1/documents"): _drop,
    ("POST", "/v1/documents/search"): _find,
    ("GET", "/v1/origins"): _bare,
    ("POST", "/v1/origins"): _register,
    ("POST", "/v1/context"): _context,
    ("POST", "/v1/patches/search"): _patches,
    ("GET", "/v1/sessions"): _bare,
    ("POST", "/v1/sessions/{session_id:str}/outcome"): _outcome,
    ("POST", "/v1/ranker/reload"): _bare,
    ("POST", "/v1/ranker/reset"): _bare,
    ("GET", "/v1/skills"): _bare,
    ("GET", "/v1/skills/{skill_id:int}"): _skill,
    ("POST", "/v1/skills/{skill_id:int}/retire"): _skill,
    ("GET", "/v1/checkpoints"): _bare,
    ("POST", "/v1/checkpoints"): _checkpoint,
    ("POST", "/v1/checkpoints/{checkpoint_id:str}/restore"): _restore,
    ("POST", "/v1/checkpoints/prune"): _prune,
    ("GET", "/v1/checkpoints/{a:str}/diff/{b:str}"): _diff,
    ("GET", "/v1/points"): _bare,
    ("GET", "/v1/points/{point:str}/policy"): _policy,
    ("PATCH", "/v1/points/{point:str}/policy"): _set_policy,
    ("POST", "/v1/points/{point:str}/challenger"): _challenge,
    ("DELETE", "/v1/points/{point:str}/challenger"): _withdraw,
    ("POST", "/v1/points/{point:str}/promote"): _promote,
    ("POST", "/v1/points/{point:str}/rollback"): _roll_back,
    ("GET", "/v1/federation/{point:str}"): _policy,
    ("POST", "/v1/federation/{point:str}"): _import,
    ("DELETE", "/v1/federation/{point:str}/{origin:str}"): _forget,
    ("POST", "/v1/replays"): _replay,
    ("GET", "/v1/replays/{replay_id:str}"): _replayed,
    ("GET", "/v1/replays/{replay_id:str}/events"): _replayed,
    ("DELETE", "/v1/replays/{replay_id:str}"): _replayed,
    ("POST", "/v1/chat/completions"): _chat,
    ("GET", "/v1/models"): _bare,
    ("GET", "/v1/events"): _bare,
    ("GET", "/v1/memory/aside"): _bare,
    ("GET", "/v1/memory"): _bare,
    ("POST", "/v1/memory"): _carry,
    ("GET", "/v1/webhooks"): _bare,
    ("POST", "/v1/webhooks"): _webhook,
    ("DELETE", "/v1/webhooks/{webhook_id:str}"): _webhooked,
    ("GET", "/status"): _bare,
    ("GET", "/v1/admin/audit"): _bare,
    ("GET", "/v1/admin/quarantine"): _bare,
    ("POST", "/v1/admin/quarantine"): _quarantine,
    ("DELETE", "/v1/admin/quarantine/{quarantine_id:int}"): _quarantined,
    ("POST", "/v1/admin/purge"): _purge,
    ("GET", "/v1/admin/tenants"): _bare,
    ("POST", "/v1/admin/tenants"): _tenant,
    ("GET", "/v1/admin/keys"): _bare,
    ("POST", "/v1/admin/keys"): _issue,
    ("POST", "/v1/admin/keys/{key_id:str}/rotate"): _key,
    ("DELETE", "/v1/admin/keys/{key_id:str}"): _key,
    ("GET", "/v1/admin/budget"): _bare,
    ("PUT", "/v1/admin/budget"): _set_budget,
    ("PUT", "/v1/admin/budget/reservations/{reservation_id:str}"): _reconcile,
    ("GET", "/metrics"): _bare,
    ("GET", "/healthz"): _bare,
    ("GET", "/livez"): _bare,
    ("GET", "/readyz"): _bare,
    ("GET", "/startupz"): _bare,
}
