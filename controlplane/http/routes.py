"""The one routing table: path -> call. The seeds' paths are aliases of ours, hidden from OpenAPI."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_type_hints

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.response.base import ASGIResponse

from . import calls
from .encoding import encoded


class Route(NamedTuple):
    """One call: the decorator that makes its handler, its path, the function, its status and other names."""

    method: Callable[..., Any]
    path: str
    call: Callable[..., Any]
    status: int = 200
    aliases: Sequence[str] = ()


ROUTES: tuple[Route, ...] = (
    Route(post, "/v1/decisions", calls.decide, aliases=("/decisions",)),
    Route(get, "/v1/decisions/{trace_id:str}", calls.trace),
    Route(get, "/v1/decisions/{trace_id:str}/why", calls.why),
    Route(post, "/v1/feedback", calls.feedback, aliases=("/feedback",)),
    Route(post, "/v1/capture", calls.capture, 201),
    Route(post, "/v1/reflect", calls.reflect),
    Route(post, "/v1/search", calls.search),
    Route(post, "/v1/validate_fix", calls.validate_fix),
    Route(get, "/v1/episodes/{episode_id:int}", calls.episode),
    Route(
        delete,
        "/v1/episodes/{episode_id:int}",
        calls.delete_episode,
        204,
    ),
    Route(get, "/v1/skills", calls.skills),
    Route(get, "/v1/skills/{skill_id:int}", calls.skill),
    Route(post, "/v1/skills/{skill_id:int}/retire", calls.retire_skill),
    Route(get, "/v1/checkpoints", calls.checkpoints),
    Route(post, "/v1/checkpoints", calls.create_checkpoint, 201),
    Route(
        post,
        "/v1/checkpoints/{checkpoint_id:str}/restore",
        calls.restore_checkpoint,
    ),
    Route(get, "/v1/points", calls.points),
    Route(get, "/v1/points/{point:str}/policy", calls.policy),
    Route(get, "/status", calls.status),
    Route(get, "/healthz", calls.healthz),
    Route(get, "/livez", calls.livez),
    Route(get, "/readyz", calls.readyz),
    Route(get, "/startupz", calls.startupz),
    Route(get, "/metrics", calls.metrics),
)


def handlers() -> list[HTTPRouteHandler]:
    """A handler per route, and a hidden one for its aliases."""
    made = []
    for route in ROUTES:
        call, documented = encoded(route.call, route.status), {"responses": _documented(route)}
        made.append(route.method(route.path, status_code=route.status, **documented)(call))
        if aliases := [*route.aliases, *_under_api(route)]:
            made.append(route.method(aliases, status_code=route.status, include_in_schema=False)(call))
    return made


def _documented(route: Route) -> dict[int, ResponseSpec] | None:
    answer = get_type_hints(route.call)["return"]
    if answer in (type(None), ASGIResponse):
        return None
    return {route.status: ResponseSpec(data_container=answer, generate_examples=False, description="The answer.")}


def _under_api(route: Route) -> list[str]:
    """Every /v1/... path is also /api/v1/..., where the seeds' clients look for it."""
    return [f"/api{route.path}"] if route.path.startswith("/v1/") else []
