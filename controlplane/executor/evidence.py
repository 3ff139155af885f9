"""What the gate knows about a planned action: similar failures, outcomes of both kinds, and fixes that held."""

from collections.abc import Mapping, Sequence

import msgspec

from auditor.cases import FRESH, RETRY, CaseRecord, as_advised, probability
from auditor.fold import TenantFold
from auditor.reflection_events import Reflected
from auditor.skills import NONE
from auditor.trace import Offered
from strategist.features.bins import Fact
from strategist.features.words import spelled
from strategist.linear import hashed_word

from ..contract import DecisionRequest
from ..embedding import Vector
from ..memory.actions import conditions_of, family_of, is_destructive, signature, signature_of, tool_of
from ..memory.ranking import Match
from ..memory.space import EpisodeRecord, Space
from .hearsay import Hearsay
from .matching import validations_of
from .point import Evidence
from .recalled import RETRIEVAL, NearCase, Recalled, captures, near_cases, recall_outcomes, unreported
from .remembered import Remembered
from .rule import BLOCK, Thresholds, verdict
from .tiers import AtHand
from .worded import Worded, judge

EVEN = 0.5
PROGRAM = 2  # words of a command that say what is run: a program and what it is to do
ENVIRONMENT_KEYS = ("environment", "env", "cluster", "stage", "target")


class Assessment(msgspec.Struct, frozen=True):
    """Three numbers of every answer. Unknown is not safe: without evidence the risk is the tenant's rate of failure."""

    risk: float  # in (0, 1): of failing as planned
    evidence: int  # remembered outcomes
    novelty: float  # in [0, 1]


class Fix(msgspec.Struct, frozen=True):
    """A remembered resolution, and how likely it is to work under the present conditions."""

    match: Match
    chance: float
    proven: bool  # it was run as a fix, and worked more often than not

    @property
    def command(self) -> str:
        return self.match.record.episode.resolution


class GateEvidence(Evidence, kw_only=True):
    """Everything the gate's masks, risk and advice rest on."""

    fold: TenantFold
    space: Space
    planned: str
    tool: str
    environment: Mapping[str, object]
    text: str
    vector: Vector | None
    against: list[Match]  # similar failures, best first: what counts against the plan
    matches: list[Match]  # those that may be told of; not what was found to harm, unless it was drawn
    skills: list[Match]  # those of them whose fix is a skill
    own: CaseRecord
    recalled: Recalled
    new_signature: bool
    fixes: list[Fix]  # the proven first, the likeliest first
    suggestion: Fix | None  # the likeliest proven one, if it is likelier to work than not
    said: Assessment
    worded: Worded
    at_hand: AtHand | None = None  # of reflections on the best match
    shown: Reflected | None = None  # what models made of the best match, or of one that is much like it
    told: Sequence[Fix] = ()  # the fixes whose words the key that asks is shown, the best first
    cited: Sequence[tuple[Match, int]] = ()  # what the answer rests on, and for how many others each stands
    ruled: str | None = None  # the guard rule that left the verdict, where the evidence did not

    @property
    def by_words(self) -> bool:
        """Whether its words speak against the plan, whatever else is remembered."""
        return self.vector is not None and self.worded.speaks

    @property
    def hearsay(self) -> Hearsay:
        """What of memory the key that asks is shown."""
        return Hearsay(self.asker, self.space, self.fold)

    @property
    def offered(self) -> Fix | None:
        """The fix that is suggested where one is."""
        return suggestion_of(self.told)

    @property
    def quoted(self) -> Match | None:
        """The match whose resolution is quoted: the best one, if it is at least as likely to work as the plan."""
        best = next(iter(self.told), None)
        return best.match if best and best.chance >= 1.0 - self.said.risk else None


def gather(
    remembered: Remembered,
    space: Space,
    fold: TenantFold,
    request: DecisionRequest,
    vector: Vector | None,
    text: str,
    at: Thresholds,
    offered: Sequence[Offered] = (),
) -> GateEvidence:
    """What is known of one planned action by what was found, and of that was not withheld."""
    planned, task = request.planned_action or "", _task_facts(fold, request)
    own_signature = signature(tool := tool_of(planned, request.tool), planned)
    conditions = (*conditions_of(request.environment), _turn(task))
    own = fold.cases.of(request.namespace, own_signature)
    everything, stood, similar, patches = remembered
    near = [*near_cases(fold, request.namespace, own_signature, similar, everything), *patches]
    against = _against(everything, request)
    matches = _tellable(space, against, offered)
    shown = matches if stood is everything else _tellable(space, _against(stood, request), offered)
    skills = [m for m in matches if is_skill(space, fold, m.record)]
    told = unreported(fold, request.namespace, against)
    recalled = recall_outcomes(fold, conditions, own, near, told)
    worded = judge(space, fold, request, conditions, own, recalled)
    fixes = _fixes(space, fold, request.namespace, conditions, matches)
    shown_fixes = fixes if shown is matches else _fixes(space, fold, request.namespace, conditions, shown)
    closest = max(against, key=lambda m: (m.similarity, m.precondition), default=None)
    rule = _rule(closest, skills, at, suggestion=suggestion_of(fixes) is not None)
    return GateEvidence(
        facts={
            "rule": rule,
            **_match_facts(against, closest),
            "support": own.failures + sum(case.record.failures for case in near) + captures(told),
            **_case_facts(own, recalled, worded),
            **_action_facts(tool, own_signature, request),
            **task,
            **_fix_facts(skills, fixes),
        },
        rule=rule,
        signature=own_signature,
        conditions=conditions,
        plan=worded.plan,
        fold=fold,
        space=space,
        planned=planned,
        tool=tool,
        environment=request.environment,
        text=text,
        vector=vector,
        against=against,
        matches=shown,
        skills=[m for m in shown if is_skill(space, fold, m.record)],
        own=own,
        recalled=recalled,
        new_signature=own_signature not in space.signatures,
        fixes=shown_fixes,
        suggestion=suggestion_of(fixes) or suggestion_of(shown_fixes),
        said=_assess(own, near, told, worded.risk, everything),
        worded=worded,
    )


def _rule(closest: Match | None, skills: Sequence[Match], at: Thresholds, *, suggestion: bool) -> str:
    """The fixed rule's verdict on the nearest failure and the nearest skill."""
    return verdict(
        closest.similarity if closest else 0.0,
        closest.precondition if closest else 0.0,
        max((m.similarity for m in skills if m.precondition >= at.rewrite_precondition), default=0.0),
        suggestion=suggestion,
        at=at,
    )


def _assess(
    own: CaseRecord, near: Sequence[NearCase], told: Sequence[Match], risk: float, everything: Sequence[Match]
) -> Assessment:
    nearest = max([m.similarity for m in everything] + [c.similarity for c in near], default=0.0)
    return Assessment(
        risk=risk,
        evidence=own.total + sum(case.record.total for case in near) + captures(told),
        novelty=0.0 if own.total else 1.0 - min(1.0, nearest),
    )


def _is_fix_of(planned: str, match: Match) -> bool:
    resolution = match.record.episode.resolution
    return bool(resolution) and same_command(planned, resolution)


def _against(everything: Sequence[Match], request: DecisionRequest) -> list[Match]:
    """The failures that speak against a plan, best first."""
    mended = {m.record.episode.planned_action for m in everything if _is_fix_of(request.planned_action or "", m)}
    return [m for m in everything if m.similarity >= RETRIEVAL and _speaks_against(m, request, mended)]


def _speaks_against(match: Match, request: DecisionRequest, mended: set[str]) -> bool:
    """A failure says nothing against what mended it once, nor against another command its own task tries next."""
    episode = match.record.episode
    if same_command(request.planned_action or "", episode.planned_action):
        return True
    if episode.planned_action in mended:
        return False
    return request.task_id is None or episode.task_id != request.task_id


def same_command(one: str, other: str) -> bool:
    return signature_of(one) == signature_of(other)


def _tellable(space: Space, against: list[Match], offered: Sequence[Offered]) -> list[Match]:
    """What harms counts as the failure it is, and is told of only where that was drawn, to go on measuring it.

    What comes under a denied licence counts as well, and is never told of.
    """
    drawn = {item.episode_id for item in offered}
    harmless = (m for m in against if m.record.episode_id in drawn or m.standing.status != "harms")
    return [m for m in harmless if not space.denies(m.record)]


def is_skill(space: Space, fold: TenantFold, record: EpisodeRecord) -> bool:
    """Whether it notes a fix that is surfaced as a skill, and somebody stands for that who is in no quarantine."""
    skill = fold.skills.by_episode.get(record.episode_id)
    says = skill is not None and skill.surfaced and bool(record.episode.resolution)
    return says and validations_of(space, fold, record.episode_id) is not NONE


def _fixes(
    space: Space, fold: TenantFold, namespace: str, conditions: Sequence[str], matches: Sequence[Match]
) -> list[Fix]:
    """What is known to have helped, the proven first, the likeliest to work here first."""
    found, chances, advised = [], dict[str, float | None](), as_advised(conditions)
    for known in matches:
        if command := known.record.episode.resolution:
            if command not in chances:
                chances[command] = _chance(fold, namespace, advised, command)
            chance, validations = chances[command], validations_of(space, fold, known.record.episode_id)
            proven = validations.successes > validations.failures
            found.append(Fix(known, known.worth if chance is None else chance, proven))
    return sorted(found, key=lambda fix: (-fix.proven, -fix.chance * fix.match.similarity))


def suggestion_of(fixes: Sequence[Fix]) -> Fix | None:
    """The best one, if it was proven and is likelier to work than not."""
    return fixes[0] if fixes and fixes[0].proven and fixes[0].chance >= EVEN else None


def _chance(fold: TenantFold, namespace: str, conditions: Sequence[str], command: str) -> float | None:
    """How likely a resolution is to work here, by every run of that command; None when it was never reported on."""
    record = fold.cases.of(namespace, signature_of(command))
    return 1.0 - probability(fold.cases.speaking(((1.0, record),), conditions, EVEN)) if record.total else None


def _turn(task: Mapping[str, Fact]) -> str:
    """Where in its task the action stands, as a condition: what is tried after a failure fares otherwise."""
    return RETRY if task["last_outcome"] == "failure" or task["last_verdict"] == BLOCK else FRESH


def _match_facts(matches: Sequence[Match], closest: Match | None) -> dict[str, Fact]:
    if closest is None:
        return {"similarity": None, "precondition": None, "error_class": None}
    return {
        "similarity": closest.similarity,
        "precondition": max(m.precondition for m in matches if m.similarity >= closest.similarity - 0.02),
        "error_class": closest.record.episode.error_class,
    }


def _fix_facts(skills: Sequence[Match], fixes: Sequence[Fix]) -> dict[str, Fact]:
    return {"skill": "yes" if skills else "no", "fix": fixes[0].chance if fixes else None}


def _case_facts(own: CaseRecord, recalled: Recalled, worded: Worded) -> dict[str, Fact]:
    return {
        "case_successes": own.successes,
        "case_failures": own.failures,
        "case_count": own.total,
        "likely": worded.risk if recalled.weight or worded.enough else None,
        "weight": recalled.weight,
    }


def _action_facts(tool: str, own_signature: str, request: DecisionRequest) -> dict[str, Fact]:
    planned, environment = request.planned_action or "", request.environment
    named = next((environment[key] for key in ENVIRONMENT_KEYS if key in environment), None)
    return {
        "tool": tool,
        "tool_family": family_of(tool),
        "destructive": "yes" if is_destructive(planned) else "no",
        "environment_class": None if named is None else str(named)[:40],
        "program": hashed_word(" ".join(spelled(planned, PROGRAM))),
        "command": hashed_word(own_signature),
    }


def _task_facts(fold: TenantFold, request: DecisionRequest) -> dict[str, Fact]:
    key = ("gate", request.namespace, request.task_id or "")
    trajectory = fold.credit.trajectories.get(key) if request.task_id else None
    if trajectory is None:
        return {"attempt": 0, "last_outcome": None, "last_verdict": None}
    outcome = {None: None, True: "success", False: "failure"}[trajectory.last_success]
    return {"attempt": trajectory.decisions, "last_outcome": outcome, "last_verdict": trajectory.last_action}
