"""The one routing table: path -> call. The seeds' paths are aliases of ours, hidden from OpenAPI."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple, get_type_hints

from litestar import HttpMethod, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, RequestBody, Schema
from litestar.response.base import ASGIResponse

from ..tenants import Call
from . import admin, calls, chat, hygiene, library, news, replays, retrieval, webhooks
from .access import OPENAI_SECURITY, SECURITY, Guard, Needs
from .admission import OPENAI
from .encoding import JSON, encoded
from .problems import PROBLEM, OpenAIProblem, Problem
from .repeats import MOST, VISIBLE, Repeats, repeatable
from .replays import STREAM
from .screening import screened

COUNTS_AS: dict[Needs, Call] = {
    "decide": "decide",
    "feedback": "feedback",
    "capture": "capture",
    "read": "read",
    "admin": "read",
    "operator": "read",
}


class Route(NamedTuple):
    """One call: the decorator that makes its handler, its path, the function, who may call it, its status, aliases.

    `repeats` is about POST alone: what one with an `Idempotency-Key` does when it comes again.
    """

    method: Callable[..., Any]
    path: str
    call: Callable[..., Any]
    needs: Needs
    status: int = 200
    aliases: Sequence[str] = ()
    counts_as: Call | None = None  # by default as what it needs
    repeats: Repeats = "once"
    remembers: bool = False  # it is about all that is remembered: refused until that is loaded
    answers: Any = None  # by default what the function returns; said where that is a response it made itself
    media: str = JSON

    @property
    def hidden(self) -> list[str]:
        """Its aliases; every /v1/... path is also /api/v1/..., where the seeds' clients look for it."""
        return [*self.aliases, *([f"/api{self.path}"] if self.path.startswith("/v1/") else [])]

    @property
    def guard(self) -> Guard | None:
        """None where nobody needs a key."""
        if self.needs == "nobody":
            return None
        counts_as = self.counts_as or COUNTS_AS[self.needs]
        return Guard(self.needs, counts_as, bearer=self.for_openai, remembers=self.remembers)

    @property
    def for_openai(self) -> bool:
        """Whether OpenAI's clients call it: their header is read, and errors are told in their shape."""
        return self.path in OPENAI

    @property
    def keyed(self) -> bool:
        """Whether it takes an idempotency key."""
        return self.method is post and self.repeats == "once"

    @property
    def handler(self) -> Callable[..., Any]:
        """The call as the framework gets it."""
        call = screened(self.call)
        return encoded(repeatable(call, self.path, self.repeats) if self.method is post else call, self.status)

    @property
    def takes_body(self) -> bool:
        return "data" in inspect.signature(self.call).parameters

    @property
    def takes_query(self) -> bool:
        """Parameters behind the path: all of the call's that are neither its body nor in the path."""
        named = set(re.findall(r"{(\w+):", self.path))
        return bool(inspect.signature(self.call).parameters.keys() - named - {"request", "data"})

    @property
    def body_optional(self) -> bool:
        return self.takes_body and inspect.signature(self.call).parameters["data"].default is None

    @property
    def writes(self) -> bool:
        return self.method is not get and self.needs != "read"

    @property
    def refusals(self) -> set[int]:
        """The statuses of the problems a caller may meet here; defects (500) are not among them."""
        named = self.takes_body or "{" in self.path or (self.takes_query and self.method is delete)
        return {
            *((400, 404) if named else ()),
            *((400,) if self.takes_query else ()),
            *((413, 415, 422) if self.takes_body else ()),
            *((401, 503) if self.needs != "nobody" else ()),
            *((403, 429) if self.needs not in ("nobody", "operator") else ()),
            *((409, 507) if self.writes else ()),
            *((400, 422) if self.keyed else ()),
            *((402, 502, 504) if self.for_openai and self.takes_body else ()),
        }


ROUTES: tuple[Route, ...] = (
    Route(post, "/v1/decisions", calls.decide, "decide", aliases=("/decisions",)),
    Route(get, "/v1/decisions/{trace_id:str}", calls.trace, "read"),
    Route(get, "/v1/decisions/{trace_id:str}/why", calls.why, "read"),
    Route(post, "/v1/decisions/{trace_id:str}/appeal", calls.appeal, "feedback", 201),
    Route(post, "/v1/decisions/{trace_id:str}/appeal/ruling", calls.rule_on_appeal, "admin"),
    Route(get, "/v1/appeals", calls.appeals, "read"),
    Route(post, "/v1/feedback", calls.feedback, "feedback", aliases=("/feedback",)),
    Route(post, "/v1/capture", calls.capture, "capture", 201),
    Route(post, "/v1/reflect", calls.reflect, "decide", counts_as="reflect"),
    Route(post, "/v1/search", calls.search, "read", counts_as="search", repeats="harmless", remembers=True),
    Route(post, "/v1/validate_fix", calls.validate_fix, "feedback", remembers=True),
    Route(get, "/v1/episodes/{episode_id:int}", calls.episode, "read", remembers=True),
    Route(delete, "/v1/episodes/{episode_id:int}", calls.delete_episode, "admin", 204, remembers=True),
    Route(
        post, "/v1/episodes/{episode_id:int}/return", hygiene.bring_back, "admin", repeats="harmless", remembers=True
    ),
    Route(delete, "/v1/reflections/{reflection_id:str}", calls.evict_reflection, "admin", 204, remembers=True),
    Route(post, "/v1/documents", library.keep, "capture", repeats="harmless", remembers=True),
    Route(get, "/v1/documents", library.documents, "read", remembers=True),
    Route(delete, "/v1/documents", library.drop, "admin", 204, remembers=True),
    Route(post, "/v1/documents/search", library.search, "read", counts_as="search", repeats="harmless", remembers=True),
    Route(get, "/v1/origins", library.origins, "read", remembers=True),
    Route(post, "/v1/origins", library.register, "admin", repeats="harmless", remembers=True),
    Route(post, "/v1/context", retrieval.context, "decide", counts_as="search", repeats="harmless", remembers=True),
    Route(
        post, "/v1/patches/search", retrieval.patches, "decide", counts_as="search", repeats="harmless", remembers=True
    ),
    Route(get, "/v1/sessions", retrieval.sessions, "read"),
    Route(post, "/v1/sessions/{session_id:str}/outcome", retrieval.report, "feedback"),
    Route(post, "/v1/ranker/reload", retrieval.reload, "admin", repeats="harmless"),
    Route(post, "/v1/ranker/reset", retrieval.reset, "admin", repeats="harmless"),
    Route(get, "/v1/skills", calls.skills, "read", remembers=True),
    Route(get, "/v1/skills/{skill_id:int}", calls.skill, "read", remembers=True),
    Route(post, "/v1/skills/{skill_id:int}/retire", calls.retire_skill, "admin", remembers=True),
    Route(get, "/v1/checkpoints", calls.checkpoints, "read"),
    Route(post, "/v1/checkpoints", calls.create_checkpoint, "admin", 201),
    Route(post, "/v1/checkpoints/{checkpoint_id:str}/restore", calls.restore_checkpoint, "admin"),
    Route(post, "/v1/checkpoints/prune", calls.prune_checkpoints, "admin"),
    Route(get, "/v1/checkpoints/{a:str}/diff/{b:str}", calls.diff_checkpoints, "read"),
    Route(get, "/v1/points", calls.points, "read"),
    Route(get, "/v1/points/{point:str}/policy", calls.policy, "read"),
    Route(patch, "/v1/points/{point:str}/policy", calls.set_policy, "admin"),
    Route(post, "/v1/points/{point:str}/challenger", calls.challenge, "admin", 201),
    Route(delete, "/v1/points/{point:str}/challenger", calls.withdraw_challenger, "admin", 204),
    Route(post, "/v1/points/{point:str}/promote", calls.promote, "admin"),
    Route(post, "/v1/points/{point:str}/rollback", calls.roll_back, "admin"),
    Route(get, "/v1/federation/{point:str}", calls.federation, "admin"),
    Route(post, "/v1/federation/{point:str}", calls.import_entry, "admin"),
    Route(delete, "/v1/federation/{point:str}/{origin:str}", calls.forget_origin, "admin", 204),
    Route(post, "/v1/replays", replays.start, "read", 202, counts_as="reflect", repeats="harmless"),
    Route(get, "/v1/replays/{replay_id:str}", replays.read, "read"),
    Route(get, "/v1/replays/{replay_id:str}/events", replays.events, "read", answers=str, media=STREAM),
    Route(delete, "/v1/replays/{replay_id:str}", replays.cancel, "read", 204),
    Route(
        post, "/v1/chat/completions", chat.complete, "decide", repeats="harmless", answers=dict[str, Any], media=JSON
    ),
    Route(get, "/v1/models", chat.models, "decide"),
    Route(get, "/v1/events", news.events, "read", answers=str, media=STREAM),
    Route(get, "/v1/memory/aside", hygiene.aside, "read", remembers=True),
    Route(get, "/v1/memory", hygiene.carried, "admin", remembers=True),
    Route(post, "/v1/memory", hygiene.carry, "admin", repeats="harmless", remembers=True),
    Route(get, "/v1/webhooks", webhooks.all_of, "admin"),
    Route(post, "/v1/webhooks", webhooks.set_one, "admin", 201, repeats="refused"),
    Route(delete, "/v1/webhooks/{webhook_id:str}", webhooks.remove, "admin", 204),
    Route(get, "/status", calls.status, "read"),
    Route(get, "/v1/admin/tenants", admin.tenants, "operator"),
    Route(post, "/v1/admin/tenants", admin.set_tenant, "operator"),
    Route(get, "/v1/admin/keys", admin.keys, "operator"),
    Route(post, "/v1/admin/keys", admin.issue_key, "operator", 201, repeats="refused"),
    Route(post, "/v1/admin/keys/{key_id:str}/rotate", admin.rotate_key, "operator", 201, repeats="refused"),
    Route(delete, "/v1/admin/keys/{key_id:str}", admin.revoke_key, "operator", 204),
    Route(get, "/v1/admin/quarantine", hygiene.quarantines, "operator", remembers=True),
    Route(post, "/v1/admin/quarantine", hygiene.quarantine, "operator", 201, remembers=True),
    Route(delete, "/v1/admin/quarantine/{quarantine_id:int}", hygiene.lift, "operator", 204, remembers=True),
    Route(post, "/v1/admin/purge", hygiene.purge, "operator", repeats="harmless", remembers=True),
    Route(get, "/v1/admin/audit", admin.audit, "operator"),
    Route(get, "/v1/admin/budget", admin.budget, "operator", aliases=("/admin/budget",)),
    Route(put, "/v1/admin/budget", admin.set_budget, "operator", aliases=("/admin/budget",)),
    Route(put, "/v1/admin/budget/reservations/{reservation_id:str}", admin.reconcile, "operator"),
    Route(get, "/metrics", calls.metrics, "operator", answers=str, media="text/plain"),
    Route(get, "/healthz", calls.healthz, "nobody", answers=dict[str, Any]),
    Route(get, "/livez", calls.livez, "nobody"),
    Route(get, "/readyz", calls.readyz, "nobody", answers=dict[str, Any]),
    Route(get, "/startupz", calls.startupz, "nobody"),
)


def handlers() -> list[HTTPRouteHandler]:
    """A handler per route, a hidden one for its aliases, and one per path that says what may be asked there."""
    made = [_options(paths, methods) for methods, paths in _paths().items()]
    for route in ROUTES:
        call, documented = route.handler, _documented(route)
        # before anything is read; as one of the framework's guards it would cost a copy of the handler each time
        how = {"status_code": route.status, "before_request": route.guard}
        made.append(route.method(route.path, **how, **documented)(call))
        if route.hidden:
            made.append(route.method(route.hidden, **how, include_in_schema=False)(call))
    return made


def _paths() -> dict[tuple[str, ...], list[str]]:
    """The paths at which the same may be asked."""
    asked: dict[str, set[str]] = {}
    for route in ROUTES:
        for path in (route.path, *route.hidden):
            asked.setdefault(path, {"OPTIONS"}).add(route.method.__name__.upper())
    found: dict[tuple[str, ...], list[str]] = {}
    for path, methods in asked.items():
        found.setdefault(tuple(sorted(methods)), []).append(path)
    return found


def _options(paths: list[str], methods: tuple[str, ...]) -> HTTPRouteHandler:
    """The framework's own would name the method of the first of a path's handlers only."""

    async def options() -> ASGIResponse:
        return ASGIResponse(status_code=204, headers={"Allow": ", ".join(methods)})

    return HTTPRouteHandler(paths, http_method=HttpMethod.OPTIONS, include_in_schema=False)(options)


@dataclass
class _Shown(Operation):
    """How a route is shown: with its idempotency key, and with a body that may be left out where it may."""

    route: ClassVar[Route]

    def __post_init__(self) -> None:
        if self.route.body_optional and isinstance(self.request_body, RequestBody):
            self.request_body.required = False
        if self.route.keyed:
            self.parameters = [*(self.parameters or []), _key()]


def _operation(route: Route) -> type[Operation]:
    return type("_Shown", (_Shown,), {"route": route})


def _key() -> Parameter:
    taken = Schema(type=OpenAPIType.STRING, min_length=1, max_length=MOST, pattern=VISIBLE)
    said = "Sent again with the same body within 24 hours, the call has its effect once and answers the same."
    return Parameter(name="Idempotency-Key", param_in="header", schema=taken, description=said)


def _documented(route: Route) -> dict[str, Any]:
    """What the OpenAPI document says of a route besides its parameters."""
    return {
        "responses": _answers(route),
        "security": OPENAI_SECURITY if route.for_openai else SECURITY[route.needs],
        "operation_class": _operation(route),
    }


def _answers(route: Route) -> dict[int, ResponseSpec]:
    """Every answer, refusals included; a probe that is not green answers as one that is, with 503."""
    answer = route.answers or get_type_hints(route.call)["return"]
    told = {} if answer is type(None) else {route.status: _spec(answer, "The answer.", route.media)}
    if route.needs == "nobody" and route.answers:
        told[503] = _spec(answer, "Not so, and why.", route.media)
    problem, media = (OpenAIProblem, JSON) if route.for_openai else (Problem, PROBLEM)
    return told | {status: _spec(problem, HTTPStatus(status).phrase, media) for status in sorted(route.refusals)}


def _spec(answer: Any, description: str, media_type: str) -> ResponseSpec:
    return ResponseSpec(answer, generate_examples=False, description=description, media_type=media_type)
