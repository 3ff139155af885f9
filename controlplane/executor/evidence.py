"""What the gate knows about a planned action: similar failures, cases of both outcomes, and the risk they add up to."""

from collections.abc import Mapping, Sequence

import msgspec

from auditor.cases import CaseCount
from auditor.fold import TenantFold
from strategist.features.bins import Fact

from ..contract import DecisionRequest
from ..embedding import Vector
from ..memory.actions import family_of, is_destructive, normalise, signature, tool_of
from ..memory.preconditions import match
from ..memory.ranking import Match, recency, worth
from ..memory.store import EpisodeRecord, Space
from .point import Evidence
from .rule import Thresholds, verdict

NEIGHBOURS = 10
ENVIRONMENT_KEYS = ("environment", "env", "cluster", "stage", "target")


class Assessment(msgspec.Struct, frozen=True):
    """risk and novelty in [0, 1]; evidence counts remembered outcomes."""

    risk: float
    evidence: int
    novelty: float


class NearCase(msgspec.Struct, frozen=True):
    """Outcomes of a similar action."""

    similarity: float
    count: CaseCount


class GateEvidence(Evidence, kw_only=True):
    """Everything the gate's masks, risk and advice rest on."""

    fold: TenantFold
    planned: str
    text: str
    vector: Vector | None
    matches: list[Match]  # similar failures above the retrieval threshold, best first
    skills: list[Match]  # those of them whose fix is a skill
    own: CaseCount
    near: list[NearCase]
    base_rate: float  # share of failures among all cases of the tenant
    nearest: float  # similarity of the most similar memory of any kind
    new_signature: bool
    suggestion: Match | None  # the best match whose resolution was validated by an executed success
    said: Assessment = Assessment(0.5, 0, 1.0)  # what it all adds up to, once the state is known


def recall_matches(
    space: Space, fold: TenantFold, vector: Vector, current: Mapping[str, object], now: float, k: int
) -> list[Match]:
    """The k nearest episodes of a space as ranked matches."""
    if space.episode_index is None:
        return []
    found = space.episode_index.search(vector, k)
    matches = [_match(space.episodes[i], similarity, fold, current, now) for i, similarity in found]
    return sorted(matches, key=lambda m: -m.score)


def _match(
    record: EpisodeRecord, similarity: float, fold: TenantFold, current: Mapping[str, object], now: float
) -> Match:
    validations = fold.skills.of(record.episode_id)
    return Match(
        record=record,
        similarity=max(0.0, min(1.0, similarity)),
        precondition=match(record.conditions, current),
        recency=recency(now - record.at),
        worth=worth(validations.successes, validations.failures),
    )


def gather(
    space: Space, fold: TenantFold, request: DecisionRequest, vector: Vector | None, text: str, now: float
) -> GateEvidence:
    """Recall for one planned action; without a vector only its own cases are known."""
    at = Thresholds()
    planned = request.planned_action or ""
    tool = tool_of(planned, request.tool)
    own_signature = signature(tool, planned, request.environment)
    own = fold.cases.of(request.namespace, own_signature)
    everything = [] if vector is None else recall_matches(space, fold, vector, request.environment, now, NEIGHBOURS)
    near = [] if vector is None else _near_cases(space, fold, request.namespace, own_signature, vector)
    matches = [m for m in everything if m.similarity >= at.hint and _speaks_against(m, request, planned)]
    skills = [m for m in matches if _is_skill(fold, m.record.episode_id)]
    suggestion = next(
        (m for m in matches if m.precondition >= at.rewrite_precondition and _proven(fold, m.record)), None
    )
    nearest = max([m.similarity for m in everything] + [c.similarity for c in near], default=0.0)
    closest = max(matches, key=lambda m: (m.similarity, m.precondition), default=None)
    rule = verdict(
        closest.similarity if closest else 0.0,
        closest.precondition if closest else 0.0,
        max((m.similarity for m in skills if m.precondition >= at.rewrite_precondition), default=0.0),
        suggestion=suggestion is not None,
        at=at,
    )
    return GateEvidence(
        facts={
            "rule": rule,
            **_match_facts(matches, closest, fold),
            **_case_facts(own, near),
            **_action_facts(tool, planned, request.environment),
            **_task_facts(fold, request),
            "skill": "yes" if skills else "no",
            "suggestion": "yes" if suggestion else "no",
        },
        rule=rule,
        signature=own_signature,
        fold=fold,
        planned=planned,
        text=text,
        vector=vector,
        matches=matches,
        skills=skills,
        own=own,
        near=near,
        base_rate=fold.cases.failure_share,
        nearest=1.0 if own.total else nearest,
        new_signature=own_signature not in space.signatures,
        suggestion=suggestion,
    )


def _speaks_against(match: Match, request: DecisionRequest, planned: str) -> bool:
    """A failure says nothing against its own fix, nor against another command its own task tries next."""
    episode = match.record.episode
    if same_command(planned, episode.planned_action):
        return True
    if episode.resolution and same_command(planned, episode.resolution):
        return False
    return request.task_id is None or episode.task_id != request.task_id


def same_command(one: str, other: str) -> bool:
    return normalise(one) == normalise(other)


def _near_cases(space: Space, fold: TenantFold, namespace: str, own: str, vector: Vector) -> list[NearCase]:
    if space.signature_index is None:
        return []
    found = [
        (similarity, space.signature_of[key].signature)
        for key, similarity in space.signature_index.search(vector, NEIGHBOURS)
    ]
    near = [NearCase(sim, fold.cases.of(namespace, sig)) for sim, sig in found if sig != own]
    return [case for case in near if case.count.total and case.similarity >= Thresholds().hint]


def _is_skill(fold: TenantFold, episode_id: int) -> bool:
    skill = fold.skills.by_episode.get(episode_id)
    return skill is not None and skill.status == "trial"


def _proven(fold: TenantFold, record: EpisodeRecord) -> bool:
    """A command is suggested only when it was run as a fix and worked, more often than not."""
    validations = fold.skills.of(record.episode_id)
    return bool(record.episode.resolution) and validations.successes > validations.failures


def _match_facts(matches: Sequence[Match], closest: Match | None, fold: TenantFold) -> dict[str, Fact]:
    if closest is None:
        return {"similarity": None, "precondition": None, "error_class": None, "support": 0, "fix_rate": None}
    validations = fold.skills.of(closest.record.episode_id)
    return {
        "similarity": closest.similarity,
        "precondition": max(m.precondition for m in matches if m.similarity >= closest.similarity - 0.02),
        "error_class": closest.record.episode.error_class,
        "support": sum(1 + m.record.repeats for m in matches),
        "fix_rate": validations.success_rate if validations.total else None,
    }


def _case_facts(own: CaseCount, near: Sequence[NearCase]) -> dict[str, Fact]:
    weight = sum(case.similarity * case.count.total for case in near)
    failed = sum(case.similarity * case.count.failures for case in near)
    return {
        "case_successes": own.successes,
        "case_failures": own.failures,
        "case_count": own.total,
        "case_failure_share": own.failures / own.total if own.total else None,
        "near_failure_share": failed / weight if weight else None,
    }


def _action_facts(tool: str, planned: str, environment: Mapping[str, object]) -> dict[str, Fact]:
    named = next((environment[key] for key in ENVIRONMENT_KEYS if key in environment), None)
    return {
        "tool": tool,
        "tool_family": family_of(tool),
        "destructive": "yes" if is_destructive(planned) else "no",
        "environment_class": None if named is None else str(named)[:40],
    }


def _task_facts(fold: TenantFold, request: DecisionRequest) -> dict[str, Fact]:
    key = ("gate", request.namespace, request.task_id or "")
    trajectory = fold.credit.trajectories.get(key) if request.task_id else None
    if trajectory is None:
        return {"attempt": 0, "last_outcome": None, "last_verdict": None}
    outcome = {None: None, True: "success", False: "failure"}[trajectory.last_success]
    return {"attempt": trajectory.decisions, "last_outcome": outcome, "last_verdict": trajectory.last_action}
