"""The one routing table: path -> call. The seeds' paths are aliases of ours, hidden from OpenAPI."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_type_hints

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.response.base import ASGIResponse

from ..tenants import Call
from . import admin, calls
from .access import Guard, Needs
from .encoding import encoded
from .repeats import MOST, VISIBLE, Repeats, repeatable

COUNTS_AS: dict[Needs, Call] = {
    "decide": "decide",
    "feedback": "feedback",
    "capture": "capture",
    "read": "read",
    "admin": "read",
    "operator": "read",
}


@dataclass
class KeyedOperation(Operation):
    """How the documentation shows a call that takes an `Idempotency-Key`."""

    def __post_init__(self) -> None:
        taken = Schema(type=OpenAPIType.STRING, min_length=1, max_length=MOST, pattern=VISIBLE)
        said = "Sent again with the same body within 24 hours, the call has its effect once and answers the same."
        key = Parameter(name="Idempotency-Key", param_in="header", schema=taken, description=said)
        self.parameters = [*(self.parameters or []), key]


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

    @property
    def guards(self) -> list[Guard]:
        """None where nobody needs a key."""
        if self.needs == "nobody":
            return []
        return [Guard(self.needs, self.counts_as or COUNTS_AS[self.needs])]

    @property
    def keyed(self) -> bool:
        """Whether it takes an idempotency key."""
        return self.method is post and self.repeats == "once"

    @property
    def handler(self) -> Callable[..., Any]:
        """The call as the framework gets it."""
        call = repeatable(self.call, self.path, self.repeats) if self.method is post else self.call
        return encoded(call, self.status)


ROUTES: tuple[Route, ...] = (
    Route(post, "/v1/decisions", calls.decide, "decide", aliases=("/decisions",)),
    Route(get, "/v1/decisions/{trace_id:str}", calls.trace, "read"),
    Route(get, "/v1/decisions/{trace_id:str}/why", calls.why, "read"),
    Route(post, "/v1/feedback", calls.feedback, "feedback", aliases=("/feedback",)),
    Route(post, "/v1/capture", calls.capture, "capture", 201),
    Route(post, "/v1/reflect", calls.reflect, "decide", counts_as="reflect"),
    Route(post, "/v1/search", calls.search, "read", counts_as="search", repeats="harmless"),
    Route(post, "/v1/validate_fix", calls.validate_fix, "feedback"),
    Route(get, "/v1/episodes/{episode_id:int}", calls.episode, "read"),
    Route(delete, "/v1/episodes/{episode_id:int}", calls.delete_episode, "admin", 204),
    Route(get, "/v1/skills", calls.skills, "read"),
    Route(get, "/v1/skills/{skill_id:int}", calls.skill, "read"),
    Route(post, "/v1/skills/{skill_id:int}/retire", calls.retire_skill, "admin"),
    Route(get, "/v1/checkpoints", calls.checkpoints, "read"),
    Route(post, "/v1/checkpoints", calls.create_checkpoint, "admin", 201),
    Route(post, "/v1/checkpoints/{checkpoint_id:str}/restore", calls.restore_checkpoint, "admin"),
    Route(get, "/v1/points", calls.points, "read"),
    Route(get, "/v1/points/{point:str}/policy", calls.policy, "read"),
    Route(get, "/status", calls.status, "read"),
    Route(get, "/v1/admin/tenants", admin.tenants, "operator"),
    Route(post, "/v1/admin/tenants", admin.set_tenant, "operator"),
    Route(get, "/v1/admin/keys", admin.keys, "operator"),
    Route(post, "/v1/admin/keys", admin.issue_key, "operator", 201, repeats="refused"),
    Route(post, "/v1/admin/keys/{key_id:str}/rotate", admin.rotate_key, "operator", 201, repeats="refused"),
    Route(delete, "/v1/admin/keys/{key_id:str}", admin.revoke_key, "operator", 204),
    Route(get, "/metrics", calls.metrics, "operator"),
    Route(get, "/healthz", calls.healthz, "nobody"),
    Route(get, "/livez", calls.livez, "nobody"),
    Route(get, "/readyz", calls.readyz, "nobody"),
    Route(get, "/startupz", calls.startupz, "nobody"),
)


def handlers() -> list[HTTPRouteHandler]:
    """A handler per route, and a hidden one for its aliases."""
    made = []
    for route in ROUTES:
        call, operation = route.handler, KeyedOperation if route.keyed else Operation
        documented: dict[str, Any] = {"responses": _documented(route), "operation_class": operation}
        how = {"status_code": route.status, "guards": route.guards}
        made.append(route.method(route.path, **how, **documented)(call))
        if aliases := [*route.aliases, *_under_api(route)]:
            made.append(route.method(aliases, **how, include_in_schema=False)(call))
    return made


def _documented(route: Route) -> dict[int, ResponseSpec] | None:
    answer = get_type_hints(route.call)["return"]
    if answer in (type(None), ASGIResponse):
        return None
    return {route.status: ResponseSpec(data_container=answer, generate_examples=False, description="The answer.")}


def _under_api(route: Route) -> list[str]:
    """Every /v1/... path is also /api/v1/..., where the seeds' clients look for it."""
    return [f"/api{route.path}"] if route.path.startswith("/v1/") else []
