"""Names that callers make up and what they say why: no secret stays in one, and what has to say something does.

Fields are in by being in the contract; a text of a new kind fails until it is said what becomes of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import structlog
from msgspec.inspect import (
    AnyType,
    DictType,
    ListType,
    Metadata,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from controlplane.http.routes import ROUTES
from controlplane.http.screening import BLANK, SECRET
from strategist.federation import Entry

from ..unit.controlplane.test_secret_forms import FORMS
from .canaries import REFERENCES, filled
from .conftest import Json, Running, chosen
from .test_canaries import IN_PATH, UNKNOWN, request_of
from .test_memory import on_disk

TOKEN = "glpat-" + "abcdefghij0123456789"  # of a form that every pattern of a name lets through
ORDINARY = (
    "team-7", "feature/auth-2", "agent:planner", "acme/shop#123", "2026-11-27T09:30:00Z", "token-service",
    "b3c1e0a4-5d0f-4c52-9a10-0f0e2b7c9d11", "https://wiki.acme.org/page", "CI (main)", "größe", "",
)  # fmt: skip
KEPT_WITHOUT = "it is kept without secrets"
ASKED = "a decision keeps what was asked, as docs/security.md says"
NOT_KEPT = "it is compared with what there is, or asked for, and not kept"
OURS = "what is no name of ours is refused"
UNSCREENED = {  # by request: its texts that may be anything, and what becomes of them
    "CaptureRequest": {
        **dict.fromkeys(("planned_action", "error_trace", "error_class", "tool_chain", "resolution"), KEPT_WITHOUT),
        **dict.fromkeys(("environment", "preconditions", "custom", "license", "tags"), KEPT_WITHOUT),
        "images": NOT_KEPT,
    },
    "DocumentRequest": {
        **dict.fromkeys(("title", "text", "license", "metadata", "version"), KEPT_WITHOUT),
        "key": "each document is refused by itself",
    },
    "OriginRequest": {"license": KEPT_WITHOUT},
    "DecisionRequest": dict.fromkeys(("goal", "environment", "context", "metadata"), ASKED),
    "ReflectRequest": {"environment": ASKED},
    "ChatMessage": dict.fromkeys(("role", "content"), ASKED),
    "ChatBody": {"model": OURS, **dict.fromkeys(("stream_options", "tools"), NOT_KEPT)},
    "ContextRequest": dict.fromkeys(("planned_action", "current_state"), NOT_KEPT),
    "SearchRequest": dict.fromkeys(
        ("goal", "planned_action", "query", "modality", "namespace", "current_state", "filters"), NOT_KEPT
    ),
    "DocumentSearchRequest": dict.fromkeys(("namespace", "origin", "filters"), NOT_KEPT),
    "Safety": {"license_denylist": NOT_KEPT},
    "ReplayRequest": {"policy": OURS},
    "Guard": dict.fromkeys(("name", "actions", "tool", "command", "environment"), "a rule may be about secrets"),
    "ImportRequest": {"entry": "it was learnt elsewhere, under names that were screened there"},
    "WebhookRequest": {"url": "its form is refused by itself"},
}


class Text(NamedTuple):
    """A text that a request may hold, in a field of a struct: how it is screened, whether it has to say something."""

    owner: str
    field: str
    what: str | None
    needed: bool = False


def texts(kind: Type, field: str = "", owner: str = "") -> Iterator[Text]:
    """Every text that such a value may hold."""
    match kind:
        case Metadata(type=StrType() as text, extra={"screened": what}):
            yield Text(owner, field, what, bool(text.min_length))
        case Metadata(type=bare):
            yield from texts(bare, field, owner)
        case StrType() | AnyType() | DictType(value_type=AnyType()):
            yield Text(owner, field, None)
        case DictType():
            yield Text(owner, field, "identifier")  # its keys
        case UnionType(types=kinds):
            for one in kinds:
                yield from texts(one, field, owner)
        case VarTupleType(item_type=item) | ListType(item_type=item):
            yield from texts(item, field, owner)
        case StructType(cls=cls, fields=fields):
            for inner in fields:
                known = [Text(cls.__name__, "entry", None)] if inner.name == "entry" else None
                yield from known or texts(inner.type, inner.name, cls.__name__)


BODIES = [(route, struct) for route in ROUTES if (struct := request_of(route)) is not None]
EVERY = [(route, struct, text) for route, struct in BODIES for text in dict.fromkeys(texts(type_info(struct)))]
NAMES = [(route, struct, text.field) for route, struct, text in EVERY if text.what == "identifier"]
NEEDED = [(route, struct, text.field) for route, struct, text in EVERY if text.what and text.needed]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(chosen(tmp_path_factory.mktemp("screening") / "data", request_log="all")) as running:
        yield running


def folder_of(server: Running) -> Path:
    return Path(server.settings.data_dir).parent


def path_of(route: Any) -> str:
    path: str = route.path
    for name, kind in IN_PATH.items():
        path = path.replace("{" + name + "}", str(UNKNOWN[kind]))
    return path


def body_of(struct: Any, field: str, said: str) -> Json:
    """A request of this kind that says it in one field, and something harmless in all others."""
    ids = {name: UNKNOWN[name.removeprefix("previous_")] for name in REFERENCES}
    given = {"kinds": [said], "weights": {said: 1.0}}.get(field, said)
    entry = msgspec.to_builtins(
        Entry(origin=UNKNOWN["origin"], seq=1, point="", spec_hash="", weights={}, cells=[]).sealed()
    )
    return filled(struct, lambda name: said if name == field else "plain", **{**ids, "entry": entry, field: given})


def test_of_every_text_that_a_request_may_hold_it_is_known_what_becomes_of_it() -> None:
    found = {(text.owner, text.field) for _, _, text in EVERY if text.what is None}
    assert found == {(owner, field) for owner, fields in UNSCREENED.items() for field in fields}


def test_a_name_that_looks_like_a_secret_is_refused_in_every_field_and_found_nowhere(server: Running) -> None:
    assert len(NAMES) > 40
    with structlog.testing.capture_logs() as lines:
        for route, struct, field in NAMES:
            body = body_of(struct, field, TOKEN)
            refused = server.client.request(route.method.__name__.upper(), path_of(route), json=body)
            assert refused.status_code == 400, (route.path, field, refused.text)
            assert SECRET in refused.text, (route.path, field)
            assert field in refused.text, (route.path, field)
            assert TOKEN not in refused.text, (route.path, field)
    assert {line["status"] for line in lines if line["event"] == "request"} == {400}
    assert TOKEN not in str(lines)
    assert TOKEN.encode() not in on_disk(folder_of(server))


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_of_each_form_is_refused_as_a_name(server: Running, form: str) -> None:
    text, secret = FORMS[form]
    named = {"candidates": [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": text.format(secret)}]}
    if len(text.format(secret)) <= 256:
        problem = server.post("/v1/decisions", named, 400)
        assert problem["errors"] == [{"path": "candidates[1].sku", "detail": SECRET}]
        assert secret not in str(problem)


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_name_is_taken_and_kept_as_it_is(server: Running, name: str) -> None:
    made = server.gate(namespace=name, task_id=name)
    assert server.get(f"/v1/decisions/{made['trace_id']}")["namespace"] == name


def test_no_header_and_no_path_brings_a_secret_in(server: Running) -> None:
    client, plan = server.client, {"planned_action": "ls"}
    refused = client.post("/v1/decisions", json=plan, headers={"Idempotency-Key": TOKEN})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "Idempotency-Key")
    assert client.post(f"/v1/sessions/{TOKEN}/outcome", json={"success": True}).status_code == 400
    with structlog.testing.capture_logs() as lines:
        answer = client.post("/v1/decisions", json=plan, headers={"X-Request-Id": TOKEN})
    unknown = [
        client.post("/v1/decisions", json={**plan, TOKEN: 1}),
        client.post("/v1/search", json={"goal": "x", "filters": {TOKEN: 1}}),
        client.post("/v1/validate_fix", json={"episode_id": 1, "outcome": TOKEN}),
    ]
    assert [one.status_code for one in unknown] == [400, 422, 400]
    assert TOKEN not in "".join(one.text for one in (refused, answer, *unknown)) + str(answer.headers) + str(lines)
    assert TOKEN.encode() not in on_disk(folder_of(server))


def test_a_reason_is_kept_without_its_secrets(server: Running) -> None:
    version = server.get("/v1/points/gate/policy")["version"]
    sets = {"version": version, "why": f"the old one was {TOKEN}", "audit_share": 0.1}
    assert server.client.patch("/v1/points/gate/policy", json=sets).json()["set_why"] == "the old one was ***"
    challenger = {"why": "try", "tuning": {"gamma": 0.5}}
    server.post("/v1/points/gate/challenger", challenger, 201)
    assert server.client.delete(f"/v1/points/gate/challenger?why={TOKEN}").status_code == 204
    assert TOKEN.encode() not in on_disk(folder_of(server))


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u2003\u200b", "\u202e"])
def test_what_has_to_say_something_is_not_taken_blank(server: Running, blank: str) -> None:
    assert len(NEEDED) > 20
    for route, struct, field in NEEDED:
        if field != "kinds":
            refused = server.client.request(
                route.method.__name__.upper(), path_of(route), json=body_of(struct, field, blank)
            )
            assert refused.status_code == 400, (route.path, field, refused.text)
            assert BLANK in refused.text, (route.path, field)


def test_a_goal_that_may_be_left_out_is_none_where_it_is_blank(server: Running) -> None:
    made = server.gate(goal=" \n")
    assert "goal" not in server.get(f"/v1/decisions/{made['trace_id']}")["request"]
    assert "`goal`, which is missing" in server.post("/v1/search", {"goal": "  "}, 400)["detail"]
