"""The second loop's front door: feedback is journalled, folded in sequence order, and answered."""

import msgspec

from auditor import FeedbackResult, Learned, Learner, Outcome, ValidationResult
from auditor.answers import Answer, Pending
from auditor.events import (
    AnyEvent,
    Decided,
    Recorded,
    Reported,
    Validated,
)
from auditor.fold import LATE
from auditor.hygiene_events import EpisodeReturned
from auditor.policy_events import PolicySet, Promoted, RolledBack
from auditor.reflection_events import Reflected
from auditor.rewards import Report

from .clock import Clock
from .contract import (
    FeedbackAnswer,
    FeedbackRequest,
    RewardExplanation,
    ValidateAnswer,
    ValidateRequest,
)
from .errands import Errands
from .errors import UnknownEpisode, UnknownTrace
from .failed_fixes import FailedFixes
from .failpoints import failpoint
from .idempotency import Receipt
from .influence import Influence
from .journal import Journal
from .lineage import holds
from .memory.actions import signature_of
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .telemetry import Metrics
from .tenants import Caller

UNLEARNT = "the decision was unlearnt by a restore; this report is logged, not learnt"


class Learning:
    """Takes reports in. What it acknowledges is on disk and has been folded."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        failed_fixes: FailedFixes,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._failed_fixes = failed_fixes
        self._clock, self._metrics = clock, metrics
        self._influence, self._errands = Influence(learner, clock), Errands()

    async def feedback(
        self, caller: Caller, request: FeedbackRequest, receipt: Receipt | None = None
    ) -> FeedbackAnswer:
        """Journal a report, fold it, say what it changed. Once it is handed in its claim holds until it is folded."""
        tenant = caller.tenant
        await self._known_trace(tenant, request.trace_id)
        seq, result = await self._errands.finish(self._reported(caller, request, receipt))
        if not isinstance(result, FeedbackResult) or result.closed:
            result = await self._afterwards(tenant, request, seq)
        elif result.unlearnt and (learned := await self._learned(tenant, request.trace_id, self._learner.version)):
            result = msgspec.structs.replace(result, reason=learned.reason)
        return self._answer(tenant, result)

    async def observed(self, caller: Caller, trace_id: str, outcome: Outcome) -> None:
        """Journal and fold what the server itself saw of a decision that it made and carried out for a caller.

        The event is handed in before this first waits, so that no report of the caller's can come before it.
        """
        await self._reported(caller, FeedbackRequest(trace_id=trace_id, outcome=outcome), None)

    async def _reported(self, caller: Caller, request: FeedbackRequest, receipt: Receipt | None) -> tuple[int, Answer]:
        fix = self._failed_fix(caller.tenant, request)
        with self._influence.claim(caller) as counts:
            reported = Reported(
                tenant=caller.tenant,
                at=self._clock.now(),
                trace_id=request.trace_id,
                outcome=request.outcome,
                by=caller.key_id,
                counts=counts,
            )
            seq = await (receipt or self._journal).append(reported)
            failpoint("feedback.appended")
            self._metrics.feedback.labels(_outcome_label(request.outcome)).inc()
            answer = await self._learner.reached(seq)
        if fix is not None and counts:
            await self._failed_fixes.note(caller.tenant, fix)
        return seq, answer

    def _failed_fix(self, tenant: str, request: FeedbackRequest) -> EpisodeRecord | None:
        """The memory whose fix was run as advised, if the report says that it failed."""
        outcome, decision = request.outcome, self._learner.state.of(tenant).credit.open.get(request.trace_id)
        if decision is None or outcome.success is not False or not outcome.applied_suggestion:
            return None
        cited = (self._memory.episode(tenant, episode_id) for episode_id in decision.cited)
        known = (record for record in cited if record is not None)
        return next((record for record in known if signature_of(record.episode.resolution) == decision.advised), None)

    async def _known_trace(self, tenant: str, trace_id: str) -> None:
        if trace_id in self._learner.state.of(tenant).credit.open:
            return
        if not await self._journal.about(tenant, trace_id, "decision"):
            raise UnknownTrace

    async def _afterwards(self, tenant: str, request: FeedbackRequest, seq: int) -> FeedbackResult:
        """A report on a decision that is over: its first answer again if it is a repeat, else why it is late."""
        learned = await self._learned(tenant, request.trace_id, seq)
        if learned is None:
            return FeedbackResult(reason=UNLEARNT)
        earlier = [r for r in await self._journal.about(tenant, request.trace_id, "feedback") if r.seq < seq]
        if any(isinstance(r.event, Reported) and r.event.outcome == request.outcome for r in earlier):
            updated = learned.update is not None
            return FeedbackResult(updated=updated, duplicate=True, reason=learned.reason, report=learned.report)
        return FeedbackResult(reason=learned.reason or LATE)

    def _answer(self, tenant: str, result: FeedbackResult) -> FeedbackAnswer:
        return FeedbackAnswer(
            updated=result.updated,
            duplicate=result.duplicate,
            pending=result.pending,
            reason=result.reason,
            reward=None if result.report is None else round(result.report.total, 6),
            explanation=None if result.report is None else explain(result.report),
            q_updates=self.q_updates(tenant),
            policy_version=self._learner.version,
        )

    def q_updates(self, tenant: str) -> int:
        return sum(policy.updates for policy in self._learner.state.of(tenant).policies.values())

    async def validate(
        self, caller: Caller, request: ValidateRequest, receipt: Receipt | None = None
    ) -> ValidateAnswer:
        """Journal a validation; the fold joins it to its decision and reviews the skill."""
        tenant = caller.tenant
        if (record := self._memory.episode(tenant, request.episode_id)) is None:
            raise UnknownEpisode
        if request.trace_id is not None:
            await self._known_trace(tenant, request.trace_id)
        result = await self._errands.finish(self._validated(caller, request, record, receipt))
        assert isinstance(result, ValidationResult)
        return ValidateAnswer(
            updated=result.updated,
            reason=result.reason,
            trace_id=result.trace_id,
            reward=None if result.report is None else round(result.report.total, 6),
            validations=result.validations,
            success_rate=round(result.success_rate, 4),
            promoted_to_skill=result.promoted_to_skill,
            skill_id=result.skill_id,
        )

    async def _validated(
        self, caller: Caller, request: ValidateRequest, record: EpisodeRecord, receipt: Receipt | None
    ) -> Answer:
        with self._influence.claim(caller) as counts:
            validated = Validated(
                tenant=caller.tenant,
                at=self._clock.now(),
                episode_id=request.episode_id,
                trace_id=request.trace_id,
                success=request.outcome == "success",
                applied_suggestion=request.applied_suggestion,
                origin=record.episode.origin,
                fix=bool(record.episode.resolution),
                by=caller.key_id,
                counts=counts,
            )
            known = self._memory.episode(caller.tenant, request.episode_id)
            events: list[AnyEvent] = [validated]
            if known is not None and known.aside == "archived":
                events.append(EpisodeReturned(tenant=caller.tenant, at=validated.at, episode_id=request.episode_id))
            seq = await (receipt or self._journal).append(*events)
            failpoint("validation.appended")
            answer = await self._learner.reached(seq)
        if counts and validated.applied_suggestion and not validated.success:
            await self._failed_fixes.note(caller.tenant, record)
        return answer

    async def trace(self, tenant: str, trace_id: str) -> "WholeTrace":
        """Everything known of a decision.

        Raises:
          UnknownTrace: this tenant has no such decision.
        """
        decided = await self._journal.about(tenant, trace_id, "decision")
        if not decided:
            raise UnknownTrace
        feedback = await self._journal.about(tenant, trace_id, "feedback")
        whole = WholeTrace(
            decided[0],
            feedback,
            await self._learned(tenant, trace_id, self._learner.version),
            self._pending(tenant, trace_id),
        )
        for kind in ("appeal", "appeal_ruled"):
            whole.appeal += [recorded.event for recorded in await self._journal.about(tenant, trace_id, kind)]
        if whole.trace.steered:
            [recorded] = await self._journal.read(whole.trace.steered - 1, 1)
            whole.set_by = recorded.event if isinstance(recorded.event, PolicySet | Promoted | RolledBack) else None
        if (lesson := whole.trace.lesson) is not None:
            whole.reflection = self._memory.reflections.get((tenant, lesson.reflection_id))
        for neighbour in whole.trace.execution.get("neighbours") or ():
            episode_id = neighbour["episode_id"]
            whole.remembered[episode_id] = self._memory.episode(tenant, episode_id)
        return whole

    async def _learned(self, tenant: str, trace_id: str, by: int) -> Learned | None:
        """How a decision had ended by an event, unless a restore before that set it aside."""
        learned = await self._journal.learned(tenant, trace_id)
        if learned is None or not holds(await self._journal.checkpoints(tenant), by, learned.seq):
            return None
        return learned

    def _pending(self, tenant: str, trace_id: str) -> Pending | None:
        decision = self._learner.state.of(tenant).credit.open.get(trace_id)
        return None if decision is None else decision.pending


class WholeTrace:
    """A decision with what came of it."""

    def __init__(
        self, decided: Recorded, feedback: list[Recorded], learned: Learned | None, pending: Pending | None
    ) -> None:
        assert isinstance(decided.event, Decided)
        self.seq, self.at, self.trace = decided.seq, decided.event.at, decided.event.trace
        self.feedback = [r.event for r in feedback if isinstance(r.event, Reported)]
        self.learned, self.pending = learned, pending
        self.appeal: list[AnyEvent] = []  # and the ruling on it
        self.set_by: PolicySet | Promoted | RolledBack | None = (
            None  # what the policy was set by that decided, where an operator had set it
        )
        self.reflection: Reflected | None = None  # the one it shows or had made, unless it is not there, or no more
        self.remembered: dict[int, EpisodeRecord | None] = {}  # what it rested on; None: deleted since


def explain(report: Report) -> RewardExplanation:
    """A reward in the Aurora seed's words, and in full."""
    components: dict[str, float | bool | int] = {}
    for term in report.terms:
        if term.name == "slo":
            components["slo_hit"] = term.value > 0
        elif term.name == "failures":
            components["failures"] = 0 if term.value > 0 else round(-3 * term.value)
        else:
            components[f"{term.name}_score"] = round(term.value, 4)
    return RewardExplanation(
        total_reward=round(report.total, 6),
        components=components,
        terms=report.terms,
        missing=report.missing,
        explanation=report.explanation,
    )


def _outcome_label(outcome: Outcome) -> str:
    return "unstated" if outcome.success is None else "success" if outcome.success else "failure"
