"""Tenants at one server, every text of each a canary: none is ever seen by another, whatever is asked.

Every route of the table is called with what is one's own, another's and nobody's. Routes, requests and their fields
are in by being there; a path parameter, a reference or a kind of field that is new fails until it is entered.
"""

import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import httpx
import msgspec
import pytest
from redis import Redis

from auditor.reflection_events import Insight, Reflected
from benchmarks.services import Nats, Postgres, running
from controlplane import contract
from controlplane.contract import CaptureRequest, DecisionRequest, ImportRequest, Request
from controlplane.http.routes import ROUTES, Route
from controlplane.ids import new_id

from ..streams import Stored, stored_now
from .canaries import REFERENCES, canary, filled, found, owner_of, texts, texts_of
from .conftest import Models, Running, chosen
from .every_route import elsewhere

Body = dict[str, Any]
# What a path parameter names, and an id of that kind that was never given out.
IN_PATH = {
    "trace_id:str": "trace_id",
    "episode_id:int": "episode_id",
    "skill_id:int": "skill_id",
    "checkpoint_id:str": "checkpoint_id",
    "a:str": "checkpoint_id",
    "b:str": "checkpoint_id",
    "point:str": "point",
    "replay_id:str": "replay_id",
    "origin:str": "origin",
    "key_id:str": "key_id",
    "reservation_id:str": "reservation_id",
    "reflection_id:str": "reflection_id",
    "quarantine_id:int": "quarantine_id",
    "webhook_id:str": "webhook_id",
    "session_id:str": "session_id",
}
UNKNOWN: dict[str, Any] = {
    "trace_id": "tr_" + "0" * 32,
    "episode_id": 2**52,
    "skill_id": 2**52,
    "checkpoint_id": "cp_" + "0" * 32,
    "point": "gate",  # the same for everybody
    "replay_id": "rp_" + "0" * 32,
    "origin": "or_" + "0" * 32,
    "key_id": "0" * 12,
    "reservation_id": "rv_" + "0" * 32,
    "reflection_id": "rf_" + "0" * 32,
    "quarantine_id": 2**52,
    "webhook_id": "wh_" + "0" * 32,
    "session_id": "se_" + "0" * 32,
}
PROBES = ("goal", "planned_action", "namespace", "environment", "current_state")  # what another's memory is asked by


def request_of(route: Route) -> type[msgspec.Struct] | None:
    """The struct of a route's body."""
    if not route.takes_body:
        return None
    kind = get_type_hints(route.call, include_extras=True)["data"]
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return next(one for one in get_args(kind) or (kind,) if one is not type(None))


class Tenant:
    """A caller, what it was given, and every canary it may know: its own, and those it sent."""

    def __init__(self, number: int, key: str) -> None:
        self.number, self.key = number, key
        self.ids: dict[str, list[Any]] = {kind: [] for kind in UNKNOWN} | {"point": ["gate", "route", "chat"]}
        self.sent: list[Body] = []  # captures, to be probed for by others
        self.known: set[str] = set()
        self.entry: Body | None = None  # what it has to import


class Crossing:
    """All tenants at one server, and the calls between them."""

    def __init__(self, server: Running, tenants: int, seed: int) -> None:
        print(f"seed {seed}")
        self.rng, self.server, self.calls, self.leaks = random.Random(seed), server, 0, list[str]()
        self.answered = Counter[tuple[str, int]]()
        self.admin = {"X-Admin-API-Key": server.service.first_keys.admin}  # type: ignore[union-attr]
        self.tenants = [self._admitted(number) for number in range(tenants)]
        for tenant in self.tenants:
            self.furnish(tenant)

    def _admitted(self, number: int) -> Tenant:
        name = f"tenant-{number}"
        for path, body in (("tenants", {"tenant": name, "tier": "local"}), ("keys", {"tenant": name})):
            made = self.server.client.post(f"/v1/admin/{path}", json=body, headers=self.admin)
        tenant = Tenant(number, made.json()["key"])
        tenant.ids["key_id"].append(made.json()["key_id"])
        return tenant

    def furnish(self, tenant: Tenant) -> None:
        """One of everything that has an id."""
        decided = self.ask(tenant, "POST", "/v1/decisions", self.body(DecisionRequest, tenant, tenant)).json()
        tenant.ids["trace_id"].append(decided["trace_id"])
        captured = self.ask(tenant, "POST", "/v1/capture", self.body(CaptureRequest, tenant, tenant)).json()
        tenant.ids["episode_id"].append(captured["episode_id"])
        self.server.run(self.server.service.reflects.keep(self._reflection(tenant, captured["episode_id"])))
        fix = {"episode_id": captured["episode_id"], "outcome": "success"}
        validated = [self.ask(tenant, "POST", "/v1/validate_fix", fix).json() for _ in range(3)]
        tenant.ids["skill_id"].append(validated[-1]["skill_id"])
        kept = self.ask(tenant, "POST", "/v1/checkpoints", {"name": "kept"}).json()
        tenant.ids["checkpoint_id"].append(kept["checkpoint_id"])
        own = self.ask(tenant, "GET", "/v1/federation/route").json()["own"]
        tenant.entry = elsewhere(own, len(tenant.ids["checkpoint_id"]))["entry"]
        imported = self.ask(tenant, "POST", "/v1/federation/route", self.body(ImportRequest, tenant, tenant)).json()
        tenant.ids["origin"].append(imported["origin"])

    def _reflection(self, tenant: Tenant, episode_id: int) -> Reflected:
        """What a model might have said, a canary in every text of it."""
        known = canary(tenant.number)
        tenant.known.add(known)
        insight = Insight(
            root_cause=known,
            preconditions=(known,),
            resolution_strategy=known,
            environment_factors=(known,),
            confidence=0.5,
        )
        tenant.ids["reflection_id"].append(new_id("rf"))
        return Reflected(
            tenant=f"tenant-{tenant.number}", at=self.server.service.clock.now(),
            reflection_id=tenant.ids["reflection_id"][-1], episode_id=episode_id, tier="cheap", insight=insight,
        )  # fmt: skip

    def body(self, struct: type[msgspec.Struct], tenant: Tenant, whose: Tenant | None) -> Body:
        """A request full of canaries, its references to somebody's things, or to nobody's."""
        given = {
            name: self.rng.choice(whose.ids[kind]) if whose and whose.ids[kind] else UNKNOWN[kind]
            for name in REFERENCES
            for kind in (name.removeprefix("previous_"),)
        }
        body = filled(struct, texts_of(tenant.number), entry=tenant.entry, **given)
        if struct is DecisionRequest:  # the gate or the router: both at once are refused
            del body[self.rng.choice(("planned_action", "candidates"))]
        if struct is CaptureRequest:
            tenant.sent.append(body)
            body = body if self.rng.random() < 0.5 else {**body, "namespace": ""}
            if not tenant.ids["trace_id"]:
                del body["trace_id"]
        return body

    def ask(self, tenant: Tenant, method: str, path: str, body: Body | None = None) -> httpx.Response:
        """One call; what is foreign in its answer is noted."""
        tenant.known |= found(json.dumps(body))
        answer = self.server.client.request(method, path, json=body, headers={"X-API-Key": tenant.key})
        self.calls += 1
        seen = found(answer.text + str(answer.headers))
        foreign = {text for text in seen - tenant.known if owner_of(text) != tenant.number}
        if foreign:
            self.leaks.append(f"tenant {tenant.number} saw {foreign} at {method} {path}: {answer.text[:500]}")
        assert answer.status_code < 500, answer.text
        return answer

    def step(self) -> None:
        """Somebody calls some route with ids of its own, of another or of nobody."""
        route, tenant = self.rng.choice(ROUTES), self.rng.choice(self.tenants)
        other = self.rng.choice([one for one in self.tenants if one is not tenant])
        whose = self.rng.choice((tenant, other, None))
        method, struct = route.method.__name__.upper(), request_of(route)
        body = None if struct is None else self.body(struct, tenant, whose)
        if body and struct is not CaptureRequest and other.sent and self.rng.random() < 0.5:
            probe = self.rng.choice(other.sent)
            body |= {name: probe[name] for name in PROBES if name in probe and name in body}
        answer = self.ask(tenant, method, self._path(route, whose), body)
        self.answered[f"{method} {route.path}", answer.status_code] += 1
        if whose is other:
            self._nobodys(tenant, route, method, struct, body, answer)
        elif answer.is_success:
            self._keep(tenant, route, answer)

    def _path(self, route: Route, whose: Tenant | None) -> str:
        path = route.path
        for name, kind in IN_PATH.items():
            ids = whose.ids[kind] if whose else []
            path = path.replace("{" + name + "}", str(self.rng.choice(ids) if ids else UNKNOWN[kind]))
        assert "{" not in path, f"say in IN_PATH what the parameter of {route.path} names"
        return path

    def _nobodys(
        self, tenant: Tenant, route: Route, method: str, struct: Any, body: Body | None, theirs: httpx.Response
    ) -> None:
        """What is another's answers as what is nobody's."""
        if theirs.status_code != 404:
            return
        nobody = {name: value for name, value in (body or {}).items() if name not in REFERENCES}
        nobody |= {name: UNKNOWN[name.removeprefix("previous_")] for name in REFERENCES if name in (body or {})}
        nobodys = self.ask(tenant, method, self._path(route, None), nobody if struct else None)
        assert _said(theirs) == _said(nobodys), route.path

    def _keep(self, tenant: Tenant, route: Route, answer: httpx.Response) -> None:
        """Remember the ids that an answer gave."""
        told = answer.json() if answer.content and answer.headers["content-type"] == "application/json" else {}
        for kind in ("trace_id", "episode_id", "checkpoint_id", "replay_id", "webhook_id", "session_id"):
            if isinstance(told, dict) and told.get(kind) and route.method.__name__ == "post":
                tenant.ids[kind].append(told[kind])


def _said(answer: httpx.Response) -> tuple[int, Any, list[str]]:
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    return answer.status_code, body, sorted(name for name in answer.headers if name != "date")


ENGINES = ("embedded", "postgres")  # where the journal and the vectors are
SPACES = "SELECT tenant, namespace, kind FROM vector_spaces"
HELD = """
    SELECT vectors.tenant, vector_spaces.tenant, count(*) FROM vectors JOIN vector_spaces ON number = space
    WHERE vector IS NOT NULL AND kind LIKE 'episodes%' GROUP BY 1, 2 ORDER BY 1
"""
FEW = 400  # calls, which need not come to every route


@pytest.mark.parametrize(
    ("tenants", "calls", "engine"),
    [
        (4, 1200, "embedded"),
        (3, FEW, "postgres"),
        pytest.param(3, FEW, "redis", marks=pytest.mark.services),
        *(pytest.param(20, 50_000, engine, marks=pytest.mark.nightly) for engine in ENGINES),
    ],
)
def test_nothing_of_one_tenant_is_ever_seen_by_another(
    tmp_path: Path,
    models: Models,
    tenants: int,
    calls: int,
    engine: str,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    models.always(echo=True)
    (tmp_path / "nats").mkdir()
    with contextlib.ExitStack() as ending:
        nats = ending.enter_context(running(Nats, tmp_path / "nats"))
        shared = {"insecure_local": False, "epsilon": 0.3, "broker_url": nats.url}
        if engine == "postgres":
            database = request.getfixturevalue("database_url")
            shared |= {"database_url": database, "vectors": "pgvector", "pepper": "ab" * 32}
        if engine == "redis":
            shared |= {"redis_url": request.getfixturevalue("redis").url}
        server = ending.enter_context(Running(chosen(tmp_path / "data", **shared, **models.settings)))
        crossing = Crossing(server, tenants, request.config.getoption("--seed"))
        while crossing.calls < calls:
            crossing.step()
        operators = [
            server.client.get(path, headers=crossing.admin).text
            for path in ("/metrics", "/v1/admin/tenants", "/v1/admin/keys", "/v1/admin/audit?limit=500")
        ]
        for tenant in crossing.tenants:
            crossing.furnish(tenant)  # the calls may have purged all there was
        own = [_what_is_left(crossing, tenant) for tenant in crossing.tenants]
        server.until(lambda: server.service.outbox.jobs.count["broker"] == 0)
        published = stored_now(nats.url)
        if engine == "postgres":
            _vectors_are_their_tenants(crossing, request.getfixturevalue("postgres"), shared["database_url"])
        if engine == "redis":
            _redis_shows_no_text(shared["redis_url"])
    _each_under_its_own_subject(crossing, published)
    assert crossing.leaks == []
    assert [found(text) for text in operators] == [set()] * 4
    assert found("".join(capfd.readouterr())) == set(), "logs name no content"
    assert all(own), "each still finds its own"
    for asked in ("chat/completions", "documents", "documents/search", "context", "patches/search"):
        assert crossing.answered[f"POST /v1/{asked}", 200] > 0, asked
    for route in ROUTES if calls > FEW else ():
        assert {
            status for (path, status) in crossing.answered if path == f"{route.method.__name__.upper()} {route.path}"
        }
    print(f"{crossing.calls} calls, {len(set().union(*(t.known for t in crossing.tenants)))} canaries")


def _vectors_are_their_tenants(crossing: Crossing, postgres: Postgres, url: str) -> None:
    """Rows name a tenant, and of what it sent the namespace alone; of what it purges nothing is left to be searched."""
    server, database = crossing.server, url.rpartition("/")[2]
    server.until(lambda: server.service.memory.vectors.waiting == 0)
    known = {f"tenant-{tenant.number}": tenant.known for tenant in crossing.tenants}
    for space in postgres.ask(SPACES, database).splitlines():
        owner, namespace, kind = space.split("|")
        assert found(namespace) <= known[owner]
        assert found(kind) == set()
    held = [row.split("|")[:2] for row in postgres.ask(HELD, database).splitlines()]
    assert held == [[name, name] for name in known], "each has vectors, and none in a space of another"
    for tenant, name in zip(crossing.tenants, known, strict=True):
        spaces = server.service.memory.spaces_of(name)
        for episode in [at for space in spaces for at in (*space.episodes, *space.aside)]:
            crossing.ask(tenant, "DELETE", f"/v1/episodes/{episode}")
    server.until(lambda: server.service.memory.vectors.waiting == 0)
    assert postgres.ask(HELD, database) == ""


def _redis_shows_no_text(url: str) -> None:
    """But for completions, which are read by whoever reads that Redis, and are of one tenant each."""
    with Redis.from_url(url) as client:
        names = sorted(client.keys())
        values = {name: str(client.get(name)) for name in names if client.type(name) == b"string"}
    kinds = Counter(name.split(b":")[2] for name in names)
    assert min(kinds[kind] for kind in (b"completion", b"vector", b"replicas", b"born")) > 0
    assert found(str(names)) == set()
    for name, value in values.items():
        assert len({owner_of(text) for text in found(value)}) <= (b":completion:" in name), name


def _each_under_its_own_subject(crossing: Crossing, published: list[Stored]) -> None:
    """Whatever the broker has of a tenant is that tenant's, and no text."""
    subjects = {f"tenant-{tenant.number}" for tenant in crossing.tenants}
    assert {message.subject.split(".")[1] for message in published} == subjects
    for message in published:
        assert found(str(message)) == set()
        assert message.subject == f"pointsman.{message.said['tenant']}.{message.said['kind']}"


def _what_is_left(crossing: Crossing, tenant: Tenant) -> set[str]:
    """Canaries of its own that a tenant finds when it searches for anything, all it had before purged or not."""
    crossing.ask(tenant, "POST", "/v1/capture", {"goal": canary(tenant.number)})
    asked = [
        crossing.ask(tenant, "POST", "/v1/search", {"goal": "x", "namespace": name, "k": 100, "min_similarity": -1})
        for name in ("", tenant.sent[0]["namespace"])
    ]
    return {text for answer in asked for text in found(answer.text) if owner_of(text) == tenant.number}


REQUESTS = [one for one in vars(contract).values() if isinstance(one, type) and issubclass(one, Request)]


@pytest.mark.parametrize("struct", REQUESTS, ids=lambda struct: struct.__name__)
def test_every_text_of_a_request_holds_a_canary(struct: type[msgspec.Struct]) -> None:
    """Counted another way than they are filled: by the text types in the JSON schema of the request."""
    assert len(found(json.dumps(filled(struct, texts_of(1))))) == texts(struct)


def test_a_kind_of_field_that_nobody_thought_of_is_an_error() -> None:
    class Later(Request, frozen=True, kw_only=True):
        when: bytes

    with pytest.raises(TypeError, match="say how a text gets into"):
        filled(Later, texts_of(1))
