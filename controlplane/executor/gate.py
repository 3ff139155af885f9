"""The gate: before an agent acts, let it PROCEED, HINT, REWRITE or BLOCK.

Two heads: the verdict, then the tier of the reflection behind it. Where no tier can answer within the time that the
caller waits, the second head is skipped and the local reflector speaks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from auditor import PointRules
from auditor.events import SignatureSeen
from auditor.fold import TenantFold
from auditor.guards import Facing
from strategist import Eligible, HeadChoice, Move, Situation, State

from ..contract import DecisionRequest, GateAnswer, Reflection
from ..embedding import BatchingEmbedder, EmbeddingUnavailable, Vector
from ..memory.index import VectorsUnavailable
from ..memory.store import MemoryStore
from ..memory.texts import plan_text
from ..settings import Settings
from . import advice
from .evidence import GateEvidence, gather
from .guarding import allowed_verdicts
from .masks import defensible, with_evidence
from .point import Acting, AskedPoint, Decided, Executed, Features, explained
from .remembered import Remembered, search
from .rule import BLOCK, HINT, PROCEED, VERDICTS, Thresholds
from .tiers import TIERS, AskedTier, AtHand, Thinking, Thought
from .withholding import Withholding, changes

WITHHELD = "only one other key tells of that failure"


class GatePoint(AskedPoint[GateEvidence]):
    """See the module."""

    name = "gate"
    heads = ("verdict", "tier")

    def __init__(self, memory: MemoryStore, embedder: BatchingEmbedder, thinking: Thinking, settings: Settings) -> None:
        self.features = Features("gate.toml")
        self._memory, self._embedder, self._thinking = memory, embedder, thinking
        self._rule, self._withholding = Thresholds.of(settings), Withholding(settings.seed)

    async def recall(self, fold: TenantFold, request: DecisionRequest, asker: str, now: float) -> GateEvidence:
        text = plan_text(request.goal or "", request.planned_action or "")
        vector, degraded = await self._embed(text)
        space = self._memory.space(fold.tenant, request.namespace)
        patches = self._memory.passages.space(fold.tenant, request.namespace)
        remembered = Remembered()
        if vector is not None:
            try:
                remembered = await search(space, patches, fold, request, asker, vector, now)
            except VectorsUnavailable:
                vector, degraded = None, (*degraded, "vectors")
        found = advice.addressed(gather(remembered, space, fold, request, vector, text, self._rule), asker)
        offered = self._withholding.draw(found, fold.rules.points[self.name])
        if changes(found, offered):
            again = gather(remembered.without(offered), space, fold, request, vector, text, self._rule, offered)
            found = advice.addressed(again, asker)
        found.drawn = offered
        if vector is not None:
            found.text_codes = self.features.codes(vector, self._embedder.name)
        if found.matches:
            best = found.matches[0].record
            found.at_hand = await self._thinking.at_hand(fold.tenant, asker, best, request.wait_ms)
            weight = fold.rules.points[self.name].weights.get("cost", 0.0)
            found.known = {tier: -weight * usd for tier, usd in found.at_hand.usd.items() if usd}
        found.degraded = degraded
        return found

    async def _embed(self, text: str) -> tuple[Vector | None, tuple[str, ...]]:
        state = self._embedder.state.status
        try:
            vector = await self._embedder.embed(text)
        except EmbeddingUnavailable:
            return None, ("embedding_loading" if state == "loading" else "embedding",)
        return vector, ("embedding_fallback",) if state == "fallback" else ()

    def eligible(
        self, head: str, evidence: GateEvidence, acting: Acting, state: State, taken: Sequence[HeadChoice]
    ) -> Eligible:
        if head == "tier":
            return _tiers(taken[0].action, evidence)
        rule_acts = acting.policy.settings.mode == "apprentice"
        allowed = with_evidence(evidence) if rule_acts else defensible(evidence)
        allowed, evidence.ruled = allowed_verdicts(allowed, acting.rules.guards, _facing(evidence))
        evidence.prior = None if evidence.ruled else _as_far_as_allowed(evidence.rule, allowed)
        return _audited(_within_the_ceiling(allowed, evidence, acting, state), evidence, acting.rules)

    def passing(self, request: DecisionRequest, evidence: GateEvidence, rules: PointRules) -> Eligible:
        allowed, evidence.ruled = allowed_verdicts(Eligible(actions=(PROCEED,)), rules.guards, _facing(evidence))
        return Eligible(actions=allowed.actions[:1], masked=allowed.masked)

    async def execute(self, evidence: GateEvidence, request: DecisionRequest, taken: Sequence[HeadChoice]) -> Executed:
        verdict, said = taken[0].action, evidence.said
        nothing_known = evidence.vector is None or (said.evidence == 0 and not evidence.by_words)
        abstained = evidence.ruled is None and nothing_known
        intervenes, word = verdict != PROCEED, evidence.worded.worst_word(evidence.planned)
        thought = await self._think(evidence, request, taken) if intervenes else None
        reflection = advice.reflect(evidence) if intervenes else Reflection()
        if thought is not None and thought.pending:
            reflection = msgspec.structs.replace(
                reflection, id=thought.reflection_id, status="pending", tier=taken[1].action
            )
        record: dict[str, Any] = {
            "reason": advice.reason(evidence, verdict, said, word, abstained=abstained),
            "hints": advice.hints(evidence, reflection, word) if intervenes else [],
            "suggested_action": advice.suggested(evidence, verdict),
            "reflection": reflection,
            "risk": said.risk,
            "evidence": said.evidence,
            "novelty": said.novelty,
            "speaking": evidence.recalled.speaking,
            "word": word,
            "neighbours": [
                {"episode_id": m.record.episode_id, "similarity": m.similarity, "precondition": m.precondition}
                for m in evidence.matches
            ],
        }
        return Executed(
            record=record,
            cited=tuple(match.record.episode_id for match, _ in evidence.cited) if intervenes else (),
            advised=advice.advised(reflection),
            events=self._first_sighting(evidence, request),
            abstained=abstained,
            lesson=advice.lesson(evidence, thought) if intervenes else None,
        )

    async def _think(
        self, evidence: GateEvidence, request: DecisionRequest, taken: Sequence[HeadChoice]
    ) -> Thought | None:
        """Have the chosen tier say what is shown; what was asked of a model for it, if anything was."""
        tier = taken[1].action if len(taken) > 1 else None
        if evidence.at_hand is None or tier not in ("cheap", "premium"):
            evidence.shown = evidence.hearsay.reflection(evidence.at_hand.known) if evidence.at_hand else None
            return None
        asked: AskedTier = "premium" if tier == "premium" else "cheap"
        record = evidence.matches[0].record
        thought = await self._thinking.ask(
            evidence.fold.tenant, evidence.asker, evidence.trace_id, record, asked, request.wait_ms
        )
        evidence.shown = thought.made
        self._forget_purged(evidence, request)
        return thought

    def _forget_purged(self, evidence: GateEvidence, request: DecisionRequest) -> None:
        """What was purged while a model was waited for is quoted no more."""
        there = self._memory.space(evidence.fold.tenant, request.namespace).episodes
        evidence.against = [match for match in evidence.against if match.record.episode_id in there]
        evidence.matches = [match for match in evidence.matches if match.record.episode_id in there]
        evidence.skills = [match for match in evidence.skills if match.record.episode_id in there]
        evidence.fixes = [fix for fix in evidence.fixes if fix.match.record.episode_id in there]
        if evidence.suggestion not in evidence.fixes:
            evidence.suggestion = None
        advice.addressed(evidence, evidence.asker)

    def _first_sighting(self, evidence: GateEvidence, request: DecisionRequest) -> tuple[SignatureSeen, ...]:
        if not evidence.new_signature or evidence.vector is None:
            return ()
        return (
            SignatureSeen(
                tenant=evidence.fold.tenant,
                at=0.0,
                namespace=request.namespace,
                signature=evidence.signature or "",
                text=evidence.text,
                embedder=self._embedder.name,
                vector=evidence.vector.tobytes(),
            ),
        )

    def answer(self, evidence: GateEvidence, executed: Executed, decided: Decided) -> GateAnswer:
        said, record, verdict = evidence.said, executed.record, decided.heads[0]
        intervenes = verdict.action != PROCEED
        return GateAnswer(
            task_id=decided.request.task_id,
            point=self.name,
            action=verdict.action,
            tier=decided.heads[1].action if len(decided.heads) > 1 else None,
            trace_id=decided.trace_id,
            propensity=decided.propensity,
            propensities={head.head: head.propensity for head in decided.heads},
            policy_version=decided.policy_version,
            recommendation=verdict.action,
            confidence=round(said.risk if intervenes else 1.0 - said.risk, 4),
            risk=round(said.risk, 4),
            evidence=said.evidence,
            novelty=round(said.novelty, 4),
            abstained=executed.abstained,
            reason=record["reason"],
            hints=record["hints"],
            suggested_action=record["suggested_action"],
            reflection=record["reflection"],
            supporting_episodes=advice.supporting(evidence) if intervenes else [],
            skills=advice.skills(evidence) if intervenes else [],
            explanations=explained(verdict, verdict.state.chains[0][-1], decided, rule=evidence.rule),
            degraded=evidence.degraded,
        )


def _within_the_ceiling(allowed: Eligible, evidence: GateEvidence, acting: Acting, state: State) -> Eligible:
    """Above the risk ceiling nothing laxer than what the policy prefers."""
    ceiling, risk = acting.rules.risk_ceiling, evidence.said.risk
    if risk <= ceiling:
        return allowed
    situation = Situation(state, allowed.actions, evidence.prior)
    for laxer in VERDICTS[: VERDICTS.index(acting.policy.preferred(situation))]:
        allowed = allowed.without(laxer, f"risk {risk:.2f} is above {ceiling:g}")
    return allowed


def _audited(allowed: Eligible, evidence: GateEvidence, rules: PointRules) -> Eligible:
    """Where little is at risk, a share of BLOCK is let through, or nobody would ever know whether it was right.

    What a guard rule forces is not audited.
    """
    if evidence.ruled or not rules.audit_share or evidence.said.risk >= rules.audit_ceiling:
        return allowed
    return msgspec.structs.replace(allowed, move=Move(BLOCK, HINT, rules.audit_share))


def _facing(evidence: GateEvidence) -> Facing:
    return Facing(tool=evidence.tool, command=evidence.planned, environment=evidence.environment)


def _as_far_as_allowed(rule: str | None, allowed: Eligible) -> str:
    """The rule's verdict, or the strictest laxer one that is not masked."""
    strict_enough = VERDICTS[: VERDICTS.index(rule or PROCEED) + 1]
    return next((verdict for verdict in reversed(strict_enough) if verdict in allowed.actions), allowed.actions[0])


def _tiers(verdict: str, evidence: GateEvidence) -> Eligible:
    """Those that can be shown in time."""
    masked: Mapping[str, str] = dict.fromkeys(TIERS, "no similar failure is remembered")
    if verdict == PROCEED:
        masked = dict.fromkeys(TIERS, "PROCEED needs no reflection")
    elif evidence.at_hand is not None:
        masked = dict(evidence.at_hand.masked) | _hearsay(evidence.at_hand, evidence)
    return Eligible(actions=tuple([tier for tier in TIERS if tier not in masked]), masked=dict(masked))


def _hearsay(at_hand: AtHand, evidence: GateEvidence) -> dict[str, str]:
    """The tiers whose words would be those of one other key."""
    hearsay = evidence.hearsay
    masked = {} if hearsay.may_have_asked(evidence.matches[0].record) else dict.fromkeys(("cheap", "premium"), WITHHELD)
    withheld = at_hand.known is not None and hearsay.reflection(at_hand.known) is None
    return masked | ({"cached": WITHHELD} if withheld else {})
