"""The fold: learnt state as a pure function of the journal, one tenant at a time.

`TenantFold.apply` takes one event and changes the state; the same events in the same order give the
same bytes. What it answers, and which decisions it learnt, is returned, not reported.
"""

import msgspec

from strategist import Policy, Update
from strategist.types import MOST_HELD

from . import promotion
from .answers import AWAITED, FeedbackResult, Learned, ValidationResult
from .applied import Applied as Applied
from .cases import Cases, as_advised
from .counts import PointCounts
from .credit import Credit, OpenDecision
from .events import AnyEvent, Decided, EpisodeDeleted, Reported, SkillRetired, TrajectoryClosed, Validated, WindowClosed
from .federation_events import Federated
from .feedback import Outcome
from .policy_events import Appealed, AppealRuled
from .proof import Proof
from .rewards import Report, clip
from .rival import Rival
from .rules import PointRules, Rules
from .scoring import OVER_SHARE, ended, linked, scored
from .sessions import Sessions
from .skills import Skill, Skills
from .trace import BLOCK
from .worth import Worth

LATE = "the decision is closed; this report is logged, not learnt"
BY_USES = "a reflection is judged by the decisions that show it; this report is logged, not learnt"


class TenantFold:
    """One tenant's policies, open decisions, cases, validations and skills."""

    def __init__(self, tenant: str, rules: Rules) -> None:
        self.tenant = tenant
        self.rules = rules
        self.touched = False  # whether any event was about this tenant
        self.policies = {point: Policy(of.policy) for point, of in rules.points.items()}
        self.counts = {point: PointCounts() for point in rules.points}
        self.proof = Proof()
        self.rivals: dict[str, Rival] = {}  # by point
        self.imported: dict[str, dict[str, Federated]] = {}  # by point and origin
        self.credit = Credit()
        self.cases = Cases()
        self.skills = Skills()
        self.sessions = Sessions()
        self.worth = Worth()
        self._at = 0.0  # of the event that is being folded

    def configure(self, rules: Rules) -> None:
        """Follow new rules from here on; a changed feature spec starts that point afresh."""
        for point, of in rules.points.items():
            before = self.rules.points.get(point)
            if before is None or before.spec_hash != of.spec_hash:
                self._forget(point)
                self.policies[point] = Policy(of.policy)
                self.counts.setdefault(point, PointCounts())
            elif before.policy != of.policy:
                self.policies[point].configure(of.policy)
            if before is None or (before.policy, before.weights) != (of.policy, of.weights):
                self.proof.comparisons.pop(point, None)
        for point in self.policies.keys() - rules.points.keys():
            del self.policies[point], self.counts[point]
            self.proof.comparisons.pop(point, None)
            self._forget(point)
        self.rules = rules

    def _forget(self, point: str) -> None:
        """What rests on the point's keys."""
        self.credit.drop(point)
        for of in (self.rivals, self.imported):
            of.pop(point, None)

    def apply(self, seq: int, event: AnyEvent) -> Applied:
        """Fold one event of this tenant."""
        self._at = event.at
        return self.told(self._apply(seq, event))

    def told(self, applied: Applied) -> Applied:
        """With what changed in how much memories are trusted, which is told once."""
        changes = (*self.skills.changes, *self.worth.changes)
        self.skills.changes, self.worth.changes = [], []
        return msgspec.structs.replace(applied, changes=changes) if changes else applied

    def _apply(self, seq: int, event: AnyEvent) -> Applied:
        match event:
            case Decided():
                return Applied(None, self._decided(seq, event))
            case Reported():
                return self._reported(seq, event)
            case Appealed():
                self._appealed(event)
            case AppealRuled():
                return Applied(None, self._appeal_ruled(seq, event))
            case Validated():
                return self._validated(seq, event)
            case WindowClosed():
                return Applied(None, self._window_closed(seq, event))
            case TrajectoryClosed():
                return Applied(None, self._trajectory_closed(seq, event))
            case EpisodeDeleted():
                for of in (self.skills, self.worth, self.credit):
                    of.forget(event.episode_id)
            case SkillRetired():
                self.skills.retire(event.skill_id, seq, event.at, event.reason)
        return Applied()

    def _decided(self, seq: int, event: Decided) -> tuple[Learned, ...]:
        trace = event.trace
        if trace.point not in self.policies or trace.spec_hash != self.rules.points[trace.point].spec_hash:
            return ()  # its keys belong to a table that is no longer there
        self.counts[trace.point].see(trace)
        self.proof.false_blocks.let_through += trace.audit_weight > 0.0
        followed = self.credit.begin(trace, event.at)
        if self.rules.points[trace.point].policy.update == "tree_backup":
            self.credit.link(followed, trace.trace_id)
        learned: list[Learned] = []
        for earlier in followed:
            if earlier.report is None and earlier.obeyed_block and earlier.appeal != "open":
                earlier.report = self._score(earlier)
            learned += self._advance(seq, earlier)
        for farthest in reversed(self.credit.behind(self.credit.open[trace.trace_id])[MOST_HELD:]):
            learned += self._learn(seq, farthest)
        return tuple(learned)

    def _reported(self, seq: int, event: Reported) -> Applied:
        decision = self.credit.open.get(event.trace_id)
        if decision is None:
            return Applied(FeedbackResult(closed=True, reason=LATE))
        if decision.learn_on == "uses":
            return Applied(self._standing(decision, reason=BY_USES))
        outcome = event.outcome
        if outcome in decision.outcomes or outcome in decision.logged:
            return Applied(self._standing(decision, duplicate=True))
        if not event.counts:
            decision.withheld |= not self.credit.held(decision)
            return Applied(self._standing(decision, reason=OVER_SHARE))
        if not outcome.executed:
            return self._cancelled(seq, decision)
        if decision.report is not None:
            return self._logged(seq, decision, outcome)
        decision.outcomes += (outcome,)
        decision.ended = decision.terminal if outcome.terminal is None else outcome.terminal
        self._observe_case(decision, outcome)
        self.credit.note_outcome(decision, outcome.success, event.at)
        if decision.complete and not (decision.obeyed_block and not decision.ended):
            decision.report = self._score(decision)
        return self._settle(seq, decision)

    def _logged(self, seq: int, decision: OpenDecision, outcome: Outcome) -> Applied:
        """A report after the reward teaches nothing, but it may say that the task ended."""
        decision.logged += (outcome,)
        if not outcome.terminal:
            return Applied(self._standing(decision, reason="the decision has its reward; this report is logged"))
        decision.ended = True
        return self._settle(seq, decision)

    def _settle(self, seq: int, decision: OpenDecision) -> Applied:
        """Learn the decision if it is ready; say what it waits for otherwise."""
        learned = self._advance(seq, decision)
        if not learned:
            self.credit.wait_for_successor(decision)
            return Applied(self._standing(decision))
        return Applied(FeedbackResult(updated=learned[0].update is not None, report=learned[0].report), learned)

    def _standing(
        self, decision: OpenDecision, *, duplicate: bool = False, reason: str | None = None
    ) -> FeedbackResult:
        return FeedbackResult(duplicate=duplicate, pending=decision.pending, reason=reason, report=decision.report)

    def _cancelled(self, seq: int, decision: OpenDecision) -> Applied:
        reason = "not executed: the decision is cancelled, unscored"
        held = [earlier for earlier in self.credit.behind(decision) if earlier.followed_by == decision.trace_id]
        self.credit.close(decision)
        learned = [
            Learned(trace_id=decision.trace_id, point=decision.point, seq=seq, report=None, update=None, reason=reason)
        ]
        for earlier in held:
            learned += self._learn(seq, earlier)
        return Applied(FeedbackResult(reason=reason), tuple(learned))

    def _appealed(self, event: Appealed) -> None:
        """An obeyed BLOCK that is contested waits for the ruling, as long as its window."""
        decision = self.credit.open.get(event.trace_id)
        if decision is not None and decision.action == BLOCK and decision.appeal is None:
            decision.appeal = "open"

    def _appeal_ruled(self, seq: int, event: AppealRuled) -> tuple[Learned, ...]:
        decision = self.credit.open.get(event.trace_id)
        if decision is None or decision.appeal != "open":
            return ()
        decision.appeal = "upheld" if event.upheld else "rejected"
        if decision.report is None and decision.obeyed_block and (decision.successor is not None or decision.terminal):
            decision.ended = decision.ended or decision.terminal
            decision.report = self._score(decision)
        return self._advance(seq, decision)

    def _observe_case(self, decision: OpenDecision, outcome: Outcome) -> None:
        """Such an outcome completes the reward, so a decision is counted once."""
        signature, conditions, plan = decision.ran
        if signature is not None and outcome.success is not None:
            self.cases.observe(decision.namespace, signature, conditions, outcome.success, plan)

    def _observe_fix(self, decision: OpenDecision, event: Validated) -> None:
        """Advice that was run, where no report said so; events of before it was counted name no origin."""
        if event.origin and not decision.outcomes and decision.advised and event.episode_id in decision.cited:
            conditions = as_advised(decision.conditions)
            self.cases.observe(decision.namespace, decision.advised, conditions, event.success)

    def _validated(self, seq: int, event: Validated) -> Applied:
        named, credit = event.trace_id, self.credit
        decision = credit.newest_citing(event.episode_id) if named is None else credit.open.get(named)
        if decision is not None and decision.learn_on == "uses":
            decision = None  # it is no answer that anybody could have followed
        trace_id = decision.trace_id if decision else event.trace_id
        repeat = event.trace_id is not None and self.skills.counted(event.episode_id, event.trace_id)
        counted = event.applied_suggestion and not repeat and event.counts
        if counted:
            self.skills.count(event.episode_id, trace_id, event.success)
            if event.success:
                self.skills.confirm(event.episode_id, event.by)
            if event.origin:
                self.worth.validated(event.origin, event.success)
        skill = self._review(event.episode_id, seq, may_earn=event.fix)
        learned: tuple[Learned, ...] = ()
        updated, reason, report = False, None, None
        if not event.applied_suggestion:
            reason = "the suggestion was not applied, so this says nothing about the fix"
        elif repeat:
            reason = "this decision's validation was counted before"
        elif not event.counts:
            reason = OVER_SHARE
            if decision is not None:
                decision.withheld |= not self.credit.held(decision)
        elif decision is None:
            reason = "no open decision rests on this episode; the validation counts for the episode"
        else:
            self._observe_fix(decision, event)
            decision.validation = event.success
            decision.ended = decision.ended or decision.terminal
            decision.report = report = self._score(decision)
            applied = self._settle(seq, decision)
            learned, updated = applied.learned, bool(applied.learned)
            reason = None if updated else f"waiting for {AWAITED[decision.pending]}"
        record = self.skills.of(event.episode_id)
        return Applied(
            ValidationResult(
                updated=updated,
                counted=counted,
                reason=reason,
                trace_id=trace_id,
                report=report,
                validations=record.total,
                success_rate=record.success_rate,
                promoted_to_skill=skill is not None and skill.surfaced,
                skill_id=skill.skill_id if skill and skill.surfaced else None,
            ),
            learned,
        )

    def _window_closed(self, seq: int, event: WindowClosed) -> tuple[Learned, ...]:
        decision = self.credit.open.get(event.trace_id)
        if decision is None:
            return ()
        if decision.report is None:
            decision.report = self._score(decision)
            decision.ended = decision.ended or decision.terminal
        if not self.credit.held(decision) and (decision.ready or decision.task is None):
            return self._learn(seq, decision)
        self.credit.wait_for_successor(decision)
        return ()

    def _trajectory_closed(self, seq: int, event: TrajectoryClosed) -> tuple[Learned, ...]:
        task = (event.point, event.namespace, event.task_id)
        trajectory = self.credit.trajectories.get(task)
        if trajectory is None or event.at - trajectory.last_at < self.rules.trajectory_ttl_s:
            return ()  # a decision or report came in just before the closing was written
        del self.credit.trajectories[task]
        left = [self.credit.open[trace_id] for trace_id in trajectory.open]
        for decision in left:
            decision.report = decision.report or self._score(decision)
        learned: list[Learned] = []
        for decision in left:
            if decision.trace_id in self.credit.open and not self.credit.held(decision):
                learned += self._learn(seq, decision)
        return tuple(learned)

    def _score(self, decision: OpenDecision, rules: PointRules | None = None) -> Report:
        return scored(decision, rules or self._rules(decision))

    def _advance(self, seq: int, decision: OpenDecision) -> tuple[Learned, ...]:
        """Learn the decision if it is ready, unless the rule waits for what comes of its successor."""
        return () if not decision.ready or self.credit.held(decision) else self._learn(seq, decision)

    def _learn(self, seq: int, decision: OpenDecision) -> tuple[Learned, ...]:
        """Learn the decision, and those that were held until it was over."""
        over = [decision, *self.credit.behind(decision)]
        for one in reversed(over):
            self.credit.close(one)
        counted = [one for one in over if not one.unscored]
        rules, rival = self._rules(decision), self.rivals.get(decision.point)
        for one in counted:
            self.proof.see(one, rules.weights, rival)
            self._credit_lesson(one)
            self._credit_memories(one, seq)
        links = linked(counted, rules.policy.gamma)
        if rival is not None:
            rival.learn(seq, links, [self._score(one, rival.rules).total for one in counted])
        updates: dict[str, Update] = {}
        if rules.policy.mode != "frozen":
            moved = self.policies[decision.point].fold_back(links, seq)
            updates = dict(zip([one.trace_id for one in counted], moved, strict=True))
        return tuple([ended(seq, one, updates.get(one.trace_id)) for one in over])

    def _credit_lesson(self, decision: OpenDecision) -> None:
        """What a decision that showed a reflection earned; where nobody reported on it, that is not known."""
        report = decision.report
        if decision.learn_on != "uses" and decision.lesson is not None and report is not None and report.terms:
            self.credit.note_use(decision.lesson, clip(report.total))

    def _credit_memories(self, decision: OpenDecision, seq: int) -> None:
        """How it ended, for what it was offered and for what was withheld from it."""
        if (success := decision.succeeded) is not None:
            for item in decision.offered:
                self.worth.see(item, success)
                self._review(item.episode_id, seq)

    def _review(self, episode_id: int, seq: int, *, may_earn: bool = False) -> Skill | None:
        """Only the validation of a fix makes a skill; whatever else is learnt moves those that are there."""
        if not may_earn and episode_id not in self.skills.by_episode:
            return None
        return promotion.review(self.skills, self.worth, episode_id, seq, self._at, self.rules.promotion)

    def _rules(self, decision: OpenDecision) -> PointRules:
        return self.rules.points[decision.point]
