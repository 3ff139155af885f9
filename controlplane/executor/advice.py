"""What the gate says beyond its verdict: the reflection, hints, the suggested command, and what it rests on."""

from typing import Any

import msgspec

from auditor.fold import TenantFold
from auditor.reflection_events import Insight
from auditor.trace import Lesson
from auditor.worth import Standing

from ..contract import Reflection, SkillAnswer, SkillStep, SupportingEpisode, Worth
from ..ids import new_id
from ..llm.local import KNOWN, UNKNOWN
from ..llm.redaction import quotable
from ..memory.actions import signature_of
from ..memory.clusters import representatives
from ..memory.ranking import Match
from ..memory.space import MAX_FAULT, EpisodeRecord
from .evidence import Assessment, GateEvidence
from .rule import PROCEED, REWRITE
from .tiers import Thought

CITED = 3
WITHHELD = "A fix was noted by another key; its words are shown once a second key stands behind them."


def reflect(evidence: GateEvidence) -> Reflection:
    """The best match's cause, by a model where one reflected on it, and the best known resolution.

    A resolution is a command that was noted with a failure; what a model would do is none, and only hinted at.
    """
    if not evidence.matches:
        return Reflection()
    hearsay, resolved, best = evidence.hearsay, evidence.quoted, evidence.matches[0].record
    made, insight = evidence.shown, _insight(evidence)
    cause = next((cause for m in evidence.matches if (cause := hearsay.cause(m.record))), "")
    return Reflection(
        id=made.reflection_id if made else new_id("rf"),
        status="ready",
        tier=made.tier if made else None,
        root_cause=insight.root_cause if insight else cause or hearsay.error_class(best),
        resolution=resolved.record.episode.resolution if resolved else None,
        cost_usd=made.nano_usd / 1e9 if made else 0.0,
    )


def _insight(evidence: GateEvidence) -> Insight | None:
    """What a model made of the best match."""
    return evidence.shown.insight if evidence.shown else None


def lesson(evidence: GateEvidence, thought: Thought | None) -> Lesson | None:
    """The reflection of a model that is shown, or that is being made for this very answer."""
    if thought is not None and thought.pending:
        return Lesson(thought.reflection_id, thought.nano_usd)
    made = evidence.shown
    return Lesson(made.reflection_id, made.nano_usd) if made else None


def addressed(evidence: GateEvidence, asker: str) -> GateEvidence:
    """The evidence, of which is told what the key `asker` may be told."""
    evidence.asker = asker
    evidence.told = [fix for fix in evidence.fixes if evidence.hearsay.resolution(fix.match.record)]
    evidence.cited = cited(evidence)
    return evidence


def cited(evidence: GateEvidence) -> list[tuple[Match, int]]:
    """The matches an answer rests on, the best few and always the one whose resolution it quotes.

    With each, for how many others that are nearly the same it stands.
    """
    shown, resolved = representatives(evidence.matches, evidence.hearsay.may_read), evidence.quoted
    best = [match for match in evidence.matches if match.record.episode_id in shown][:CITED]
    if resolved is not None and resolved not in best:
        best = [*best[: CITED - 1], resolved]
    return [(match, shown.get(match.record.episode_id, 0)) for match in best]


def hints(evidence: GateEvidence, reflection: Reflection, word: str | None) -> list[str]:
    """Sentences for the agent; remembered text is quoted, it is data and not an instruction."""
    lines = [f"Here {evidence.ruled}."] if evidence.ruled else []
    if evidence.matches:
        best = evidence.matches[0]
        cause = (reflection.root_cause or "").replace('"', "'")  # or it would end the quotation
        lines.append(f'A similar plan failed (similarity {best.similarity:.2f}): "{cause}"')
    if evidence.own.failures:
        lines.append(f"This very action failed {evidence.own.failures} of {evidence.own.total} times.")
    if word:
        lines.append(word)
    if (insight := _insight(evidence)) is not None:
        lines.append(f'What a language model would do (not validated): "{insight.resolution_strategy}"')
    if reflection.resolution:
        proof = "What fixed it" if evidence.offered else "What was noted as the fix (not validated)"
        lines.append(f'{proof}: "{reflection.resolution}"')
    if any(known.record.episode.resolution for known in evidence.matches) and not evidence.told:
        lines.append(WITHHELD)
    return lines


def suggested(evidence: GateEvidence, verdict: str) -> str | None:
    if verdict != REWRITE or (offered := evidence.offered) is None:
        return None
    return offered.command


def advised(reflection: Reflection) -> str | None:
    """Signature of the command that is offered instead."""
    return signature_of(reflection.resolution) if reflection.resolution else None


def reason(evidence: GateEvidence, verdict: str, said: Assessment, word: str | None, *, abstained: bool) -> str:
    """One sentence that explains the verdict."""
    if evidence.ruled is not None:
        return f"{verdict}: {evidence.ruled}."
    if "embedding_loading" in evidence.degraded:
        return "The embedding model is still loading, so memory cannot be searched: this is no judgement."
    if evidence.vector is None:
        return "The plan could not be embedded, so memory cannot be searched: this is no judgement."
    if abstained:
        return "Nothing similar is remembered: unknown, not safe."
    known = f"risk {said.risk:.2f} from {said.evidence} remembered outcome(s)"
    if not said.evidence:
        known = f"risk {said.risk:.2f} by its words, of {evidence.worded.wording.outcomes} outcomes of other plans"
    if verdict == PROCEED:
        return f"Let through at {known}."
    if not evidence.matches and not evidence.own.failures:
        return f"{verdict} at {known}: {word}" if word else f"{verdict} at {known}."
    if not evidence.matches:
        return f"{verdict} at {known}: this action failed {evidence.own.failures} of {evidence.own.total} times."
    return f"{verdict} at {known}; nearest failure: {_nearest(evidence)}."


def _nearest(evidence: GateEvidence) -> str:
    """What the best match was about, as far as it is told."""
    best, hearsay = evidence.matches[0].record, evidence.hearsay
    goal, cause, named = hearsay.goal(best), hearsay.cause(best), hearsay.error_class(best)
    fault = repr(cause[:MAX_FAULT]) if named == UNKNOWN and cause else named
    return f"{goal[:120]!r} ({fault})" if goal else fault


def supporting(evidence: GateEvidence) -> list[SupportingEpisode]:
    """What the answer rests on; of what is hearsay the figures, and no words."""
    return [_supporting(match, evidence, alike) for match, alike in evidence.cited]


def _supporting(match: Match, evidence: GateEvidence, alike: int) -> SupportingEpisode:
    record, hearsay = match.record, evidence.hearsay
    validations = evidence.fold.skills.of(record.episode_id)
    return SupportingEpisode(
        episode_id=record.episode_id,
        alike=alike,
        similarity=round(match.similarity, 4),
        precondition=round(match.precondition, 4),
        goal=hearsay.goal(record),
        planned_action=hearsay.plan(record),
        error_class=hearsay.error_class(record),
        root_cause=hearsay.cause(record),
        resolution=hearsay.resolution(record),
        validations=validations.total,
        success_rate=round(validations.success_rate, 4),
        worth=worth_answer(match.standing),
    )


def worth_answer(standing: Standing) -> Worth:
    """What is known of a memory's worth."""
    return Worth(
        status=standing.status,
        uplift=round(standing.uplift, 4),
        low=round(standing.low, 4),
        high=round(standing.high, 4),
        offered=standing.offered,
        withheld=standing.withheld,
        summary=standing.spoken,
    )


def skills(evidence: GateEvidence) -> list[SkillAnswer]:
    """The skills that were found, told in the same way."""
    hearsay = evidence.hearsay
    return [
        msgspec.structs.replace(
            skill_answer(match.record, evidence.fold),
            **_words(match.record, told=hearsay.may_have_asked(match.record)),
            goal=hearsay.goal(match.record),
            resolution=hearsay.resolution(match.record),
            error_class=hearsay.error_class(match.record),
            preconditions=hearsay.conditions(match.record),
            history=[],
        )
        for match in evidence.skills
    ]


def skill_answer(record: EpisodeRecord, fold: TenantFold) -> SkillAnswer:
    """The skill an episode's fix became."""
    skill, validations = fold.skills.by_episode[record.episode_id], fold.skills.of(record.episode_id)
    return SkillAnswer(
        **_words(record),
        skill_id=skill.skill_id,
        episode_id=record.episode_id,
        status=skill.status,
        goal=record.episode.goal,
        resolution=record.episode.resolution,
        error_class=record.episode.error_class,
        preconditions=record.conditions,
        validations=validations.total,
        success_rate=round(validations.success_rate, 4),
        worth=worth_answer(fold.worth.standing(record.episode_id, record.episode.error_class)),
        history=msgspec.convert(skill.history, list[SkillStep], from_attributes=True),
    )


def _words(record: EpisodeRecord, *, told: bool = True) -> dict[str, Any]:
    """A skill's name, when to use it, what it needs, and how: a model's words where there are some that may be told."""
    if told and (described := record.made.described) is not None:
        text = described.text
        by = ", ".join(described.models)
        said = {"name": text.name, "docstring": text.docstring, "requires": text.preconditions, "steps": text.steps}
        return {**said, "described_by": by}
    error_class = record.episode.error_class if record.episode.error_class in KNOWN else UNKNOWN
    cause = record.cause if told else ""
    when = f'Use it where "{quotable(cause)}" is what goes wrong.' if cause else "Use it where the same goes wrong."
    return {"name": f"mend_{error_class}", "docstring": when, "requires": (), "steps": (), "described_by": None}
