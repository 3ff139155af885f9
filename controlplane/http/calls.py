"""The calls: each takes the request apart, asks the service, and hands the answer back."""

from typing import Annotated, Any

from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from litestar.response.base import ASGIResponse

from ..contract import (
    AppealAnswer,
    AppealRequest,
    CaptureAnswer,
    CaptureRequest,
    ChallengerRequest,
    ChangeAnswer,
    CheckpointAnswer,
    CheckpointRequest,
    DecisionRequest,
    DiffAnswer,
    EpisodeAnswer,
    FederationAnswer,
    FeedbackAnswer,
    FeedbackRequest,
    GateAnswer,
    ImportAnswer,
    ImportRequest,
    PolicyRequest,
    PruneAnswer,
    PruneRequest,
    ReasonRequest,
    ReflectRequest,
    RestoreAnswer,
    RetireRequest,
    RouteAnswer,
    RulingRequest,
    SearchAnswer,
    SearchRequest,
    SkillAnswer,
    ValidateAnswer,
    ValidateRequest,
)
from ..explanation import Why, explain_trace
from ..masking import without_secrets
from ..status import PolicyAnswer, describe_points, describe_policy, describe_status, describe_trace, refresh_metrics
from .admission import AdmittedRequest
from .encoding import respond

Id = Annotated[int, PathParameter(ge=1, le=2**53)]


async def decide(request: AdmittedRequest, data: JSONBody[DecisionRequest]) -> GateAnswer | RouteAnswer:
    """Decide before an agent acts: pass the gate, or route among candidates."""
    return await request.service.plane.decide(request.caller, data, request.receipt)


async def reflect(request: AdmittedRequest, data: JSONBody[ReflectRequest]) -> GateAnswer | RouteAnswer:
    """The Vritti call: a gate decision."""
    asked = DecisionRequest(
        point="gate",
        goal=data.goal,
        planned_action=data.planned_action,
        environment=data.environment,
        namespace=data.namespace,
        task_id=data.task_id,
    )
    return await request.service.plane.decide(request.caller, asked, request.receipt)


async def trace(request: AdmittedRequest, trace_id: FromPath[str]) -> dict[str, Any]:
    """A decision in full: facts, state, masks, probabilities, values, execution, feedback, reward, update."""
    return describe_trace(await request.service.learning.trace(request.caller.tenant, trace_id))


async def why(request: AdmittedRequest, trace_id: FromPath[str]) -> Why:
    """A decision in sentences."""
    return explain_trace(await request.service.learning.trace(request.caller.tenant, trace_id))


async def appeal(request: AdmittedRequest, trace_id: FromPath[str], data: JSONBody[AppealRequest]) -> AppealAnswer:
    """Contest a BLOCK; an operator rules on it."""
    return await request.service.appeals.appeal(request.caller, trace_id, data, request.receipt)


async def rule_on_appeal(
    request: AdmittedRequest, trace_id: FromPath[str], data: JSONBody[RulingRequest]
) -> AppealAnswer:
    """Uphold an appeal, or reject it."""
    return await request.service.appeals.rule(request.caller, trace_id, data, request.receipt)


async def appeals(request: AdmittedRequest) -> list[AppealAnswer]:
    """Appeals that wait for a ruling, the oldest first."""
    return request.service.appeals.waiting(request.caller.tenant)


async def feedback(request: AdmittedRequest, data: JSONBody[FeedbackRequest]) -> FeedbackAnswer:
    """Report what came of a decision."""
    return await request.service.learning.feedback(request.caller, data, request.receipt)


async def capture(request: AdmittedRequest, data: JSONBody[CaptureRequest]) -> CaptureAnswer:
    """Remember a failure."""
    return await request.service.remembering.capture(request.caller, data, request.receipt)


async def search(request: AdmittedRequest, data: JSONBody[SearchRequest]) -> SearchAnswer:
    """Find similar failures."""
    return await request.service.remembering.search(request.caller, data)


async def validate_fix(request: AdmittedRequest, data: JSONBody[ValidateRequest]) -> ValidateAnswer:
    """Say whether an episode's fix worked."""
    return await request.service.learning.validate(request.caller, data, request.receipt)


async def episode(request: AdmittedRequest, episode_id: Id) -> EpisodeAnswer:
    """Read an episode."""
    return request.service.remembering.episode(request.caller.tenant, episode_id)


async def delete_episode(request: AdmittedRequest, episode_id: Id) -> None:
    """Purge an episode: its content is overwritten, its number stays."""
    await request.service.remembering.delete(request.caller, episode_id)


async def evict_reflection(request: AdmittedRequest, reflection_id: FromPath[str]) -> None:
    """Take a bad reflection away, and whatever was taken from it."""
    await request.service.evictions.evict(request.caller, reflection_id)


async def skills(request: AdmittedRequest) -> list[SkillAnswer]:
    """All skills."""
    return request.service.remembering.skills(request.caller.tenant)


async def skill(request: AdmittedRequest, skill_id: Id) -> SkillAnswer:
    """One skill."""
    return request.service.remembering.skill(request.caller.tenant, skill_id)


async def retire_skill(
    request: AdmittedRequest, skill_id: Id, data: JSONBody[RetireRequest | None] = None
) -> SkillAnswer:
    """Take a skill out of use."""
    asked = data or RetireRequest()
    return await request.service.remembering.retire(request.caller, skill_id, asked, request.receipt)


async def checkpoints(request: AdmittedRequest) -> list[CheckpointAnswer]:
    """All checkpoints, newest first."""
    return await request.service.lifecycle.listed(request.caller.tenant)


async def create_checkpoint(
    request: AdmittedRequest, data: JSONBody[CheckpointRequest | None] = None
) -> CheckpointAnswer:
    """Keep the learnt state of this moment."""
    return await request.service.lifecycle.create(request.caller, data or CheckpointRequest(), request.receipt)


async def restore_checkpoint(request: AdmittedRequest, checkpoint_id: FromPath[str]) -> RestoreAnswer:
    """Go back to a checkpoint."""
    return await request.service.lifecycle.restore(request.caller, checkpoint_id, request.receipt)


async def prune_checkpoints(request: AdmittedRequest, data: JSONBody[PruneRequest]) -> PruneAnswer:
    """Let go of old checkpoints."""
    return await request.service.lifecycle.prune(request.caller, data, request.receipt)


async def diff_checkpoints(request: AdmittedRequest, a: FromPath[str], b: FromPath[str]) -> DiffAnswer:
    """What the second of two learnt states would do otherwise than the first; one may be `now`."""
    return await request.service.lifecycle.diff(request.caller.tenant, a, b)


async def points(request: AdmittedRequest) -> list[PolicyAnswer]:
    """Every decision point with its policy."""
    return describe_points(request.service, request.caller.tenant)


async def policy(request: AdmittedRequest, point: FromPath[str]) -> PolicyAnswer:
    """One point's policy: mode, settings, weights, feature spec, counts."""
    return describe_policy(request.service, request.caller.tenant, point)


async def set_policy(request: AdmittedRequest, point: FromPath[str], data: JSONBody[PolicyRequest]) -> PolicyAnswer:
    """Set mode, weights, ceiling or guard rules of a point; it holds for the next decision."""
    await request.service.policies.set(request.caller, point, data)
    return describe_policy(request.service, request.caller.tenant, point)


async def challenge(request: AdmittedRequest, point: FromPath[str], data: JSONBody[ChallengerRequest]) -> ChangeAnswer:
    """Set a challenger beside a point's champion, or give the one that stands there another share of the tasks."""
    return await request.service.challengers.challenge(request.caller, point, data, request.receipt)


async def withdraw_challenger(
    request: AdmittedRequest,
    point: FromPath[str],
    why: Annotated[str, QueryParameter(min_length=1, max_length=512)] = "withdrawn",
) -> None:
    """Take the challenger, or the former champion, away."""
    await request.service.challengers.withdraw(request.caller, point, without_secrets(why))


async def promote(request: AdmittedRequest, point: FromPath[str], data: JSONBody[ReasonRequest]) -> ChangeAnswer:
    """Put the challenger in the champion's place, if it is proven better."""
    return await request.service.challengers.promote(request.caller, point, data, request.receipt)


async def roll_back(request: AdmittedRequest, point: FromPath[str], data: JSONBody[ReasonRequest]) -> ChangeAnswer:
    """Put the former champion back in its place."""
    return await request.service.challengers.roll_back(request.caller, point, data, request.receipt)


async def federation(request: AdmittedRequest, point: FromPath[str]) -> FederationAnswer:
    """What was learnt here, to be imported elsewhere, and what was imported from there."""
    return await request.service.federation.told(request.caller.tenant, point)


async def import_entry(request: AdmittedRequest, point: FromPath[str], data: JSONBody[ImportRequest]) -> ImportAnswer:
    """Take in what another origin learnt."""
    return await request.service.federation.take(request.caller, point, data, request.receipt)


async def forget_origin(
    request: AdmittedRequest,
    point: FromPath[str],
    origin: FromPath[str],
    why: Annotated[str, QueryParameter(min_length=1, max_length=512)] = "forgotten",
) -> None:
    """Let go of what an origin had learnt."""
    await request.service.federation.forget(request.caller, point, origin, without_secrets(why))


async def status(request: AdmittedRequest) -> dict[str, Any]:
    """What an operator wants to know at a glance."""
    return describe_status(request.service, request.caller.tenant)


async def healthz(request: AdmittedRequest) -> ASGIResponse:
    """The Aurora seed's health check."""
    running = request.service
    body = {"status": "healthy" if running.healthy else "unhealthy", "timestamp": running.clock.now()}
    return respond(body, 200 if running.healthy else 503)


async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


async def readyz(request: AdmittedRequest) -> ASGIResponse:
    """Model, memory and fold are there, and the journal can be written."""
    running = request.service
    embedder, trouble = running.embedder.state, running.journal.trouble
    waiting = "failed" if not running.healthy else "degraded" if trouble else "starting"
    body = {
        "status": "ready" if running.ready else waiting,
        "journal": trouble or "writable",
        "embedder": embedder.status,
        "memory": "loaded" if running.memory.live else "loading",
        "learner_lag": running.journal.last_seq - running.learner.version,
        "model_load_s": embedder.load_s,
    }
    return respond(body, 200 if running.ready else 503)


async def startupz(request: AdmittedRequest) -> dict[str, str]:
    """The journal is open and the fold has caught up: decisions can be made."""
    return {"status": "started", "settings_hash": request.service.settings.hash}


async def metrics(request: AdmittedRequest) -> ASGIResponse:
    """Prometheus text format."""
    running = request.service
    refresh_metrics(running)
    return ASGIResponse(body=running.metrics.text(), media_type="text/plain; version=0.0.4")
