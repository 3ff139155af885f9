"""Decisions of the journal as a log that policies can be replayed on.

The events are folded as they were, so a decision has the reward and the successor that the live fold gave it. What an
operator restored is passed over: decisions that were unlearnt by it were made and answered all the same.
"""

from collections import Counter

import msgspec

from strategist import PolicySettings
from strategist.evaluation import LoggedDecision, Sight

from .answers import Learned
from .credit import Credit, OpenDecision
from .events import AnyEvent, Configured, Decided, Reported, Restored
from .feedback import Outcome
from .fold import TenantFold
from .policy_events import PolicySet, Promoted, RolledBack
from .rules import Rules
from .state import State
from .steering import Steering
from .trace import Trace

NOTHING = Outcome()
OTHER_SPEC = "they were made under another feature spec"


class DecisionLog:
    """A tenant's decisions at one point, in the order they were learnt, from a state on that they begin with."""

    def __init__(self, tenant: str, point: str, begin: State) -> None:
        self._logged: list[tuple[str, LoggedDecision]] = []  # with the hash of its feature spec
        self._unlearnt: Counter[str] = Counter()
        self.rules = begin.rules_of(tenant)
        self._tenant, self._point = tenant, point
        self._settings, self._steering = begin.rules, Steering(begin.steering.dump())
        self._fold = TenantFold(tenant, _recording(self.rules))
        self._fold.credit = self._links = _Links()
        self._open: dict[str, tuple[int, Trace]] = {}
        self._told: dict[str, Outcome] = {}
        self._following: dict[str, tuple[int, Trace]] = {}

    def apply(self, seq: int, event: AnyEvent) -> None:
        """Take the next event of the journal, of whichever tenant."""
        if isinstance(event, Configured):
            self._settings = event.rules
        if isinstance(event, PolicySet | Promoted | RolledBack):
            self._steering.fold(seq, event)
        if isinstance(event, Configured | PolicySet | Promoted | RolledBack):
            self.rules = self._steering.over(self._tenant, self._settings)
            self._fold.configure(_recording(self.rules))
            return
        if event.tenant != self._tenant or isinstance(event, Restored):
            return
        if isinstance(event, Decided) and event.trace.point == self._point:
            self._open[event.trace.trace_id] = seq, event.trace
        if isinstance(event, Reported) and event.counts and self._unscored(event.trace_id):
            joined = self.rules.points[self._point].join == "together"
            before = self._told.get(event.trace_id, NOTHING) if joined else NOTHING
            self._told[event.trace_id] = before.with_more(event.outcome)
        applied = self._fold.apply(seq, event)
        if isinstance(event, Decided):
            self._following.update(dict.fromkeys(self._links.taken(), (seq, event.trace)))
        together = {learned.trace_id for learned in applied.learned}
        for learned in applied.learned:
            self._ended(learned, together)

    @property
    def decisions(self) -> list[LoggedDecision]:
        """Those whose states the present feature spec wrote: the others' keys mean something else."""
        return [decision for spec, decision in self._logged if spec == self.spec]

    def take(self) -> list[tuple[str, LoggedDecision]]:
        """Those since the last call, with the hashes of their feature specs; the log keeps them no longer."""
        taken, self._logged = self._logged, []
        return taken

    @property
    def left_out(self) -> Counter[str]:
        """How many decisions have no place in it, by the reason."""
        others = sum(spec != self.spec for spec, _ in self._logged)
        return self._unlearnt + Counter({OTHER_SPEC: others})

    @property
    def spec(self) -> str:
        """The hash of the feature spec in force."""
        return self.rules.points[self._point].spec_hash

    @property
    def open(self) -> int:
        """How many decisions still wait for their reward or their successor."""
        return len(self._open)

    def _unscored(self, trace_id: str) -> bool:
        decision = self._links.open.get(trace_id)
        return decision is not None and decision.report is None

    def _ended(self, learned: Learned, together: set[str]) -> None:
        outcome = self._told.pop(learned.trace_id, NOTHING)
        row, following = self._following.pop(learned.trace_id, (None, None))
        if (opened := self._open.pop(learned.trace_id, None)) is None:
            return
        if learned.update is None or learned.report is None:
            self._unlearnt[learned.reason or "it was not learnt"] += 1
            return
        if following is not None and following.trace_id not in self._links.open and following.trace_id not in together:
            row = None  # what came of it was learnt before
        seq, trace = opened
        head = trace.heads[0]
        self._logged.append(
            (
                trace.spec_hash,
                LoggedDecision(
                    row=seq,
                    sight=_sight(trace),
                    action=head.action,
                    propensity=head.propensity,
                    probabilities=head.probabilities,
                    reward=learned.report.total,
                    terms={term.name: term.value for term in learned.report.terms},
                    success=outcome.success,
                    cost_usd=outcome.cost,
                    latency_ms=outcome.latency_ms,
                    explored=trace.explored,
                    task=None if trace.task_id is None else f"{trace.namespace}/{trace.task_id}",
                    following=_sight(following) if following is not None and learned.update.discount else None,
                    followed_by=row if learned.update.discount else None,
                    truncated=learned.update.truncated,
                    masked=tuple(head.masked),
                    later=trace.steps[1:],
                ),
            )
        )


class _Links(Credit):
    """Notes which decisions a new one is the successor of."""

    def __init__(self) -> None:
        super().__init__()
        self._followed: list[str] = []

    def begin(self, trace: Trace, at: float) -> list[OpenDecision]:
        followed = super().begin(trace, at)
        self._followed += [decision.trace_id for decision in followed]
        return followed

    def taken(self) -> list[str]:
        """Those since the last call."""
        followed, self._followed = self._followed, []
        return followed


def _recording(rules: Rules) -> Rules:
    """The same rules for a fold that closes every decision, and whose discount says whether there is a successor."""
    points = {
        name: msgspec.structs.replace(of, policy=PolicySettings(gamma=1.0, update=of.policy.update))
        for name, of in rules.points.items()
    }
    return msgspec.structs.replace(rules, points=points)


def _sight(trace: Trace) -> Sight:
    return Sight(trace.situation, facts=trace.facts, text_codes=trace.text_codes, own_facts=trace.own_facts)
